"""Model patterns as automata, exact for what `lockgate.policy.glob` takes.

A pattern is a list of stages: a run of one-character tests, behind a star or not. Go's matcher
commits to the first place where such a run fits. All the places where one run may fit are equally
long, so the first one to end is the first one to begin: when it ends, the automaton forgets every
other place and goes on to the next stage. Only the last run may be tried at every place, since it
has to end with the name.

A state is (stage, places): bit n of `places` says that the first n tests of the stage's run fit
what was read last; bit 0, where a run may begin, stays while the star goes on, up to a ``/``.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from typing import Final

from attrs import frozen

MAX_NAME: Final = 1024
"""Characters of a model name: the proxy's own bound (`lockgate.bodies.splices`), as a test says."""
_LAST: Final = 0x110000
_SLASH: Final = ord("/")
_DEAD: Final = (0, 0)
State = tuple[int, int]
_PREFERRED: Final = "mabcdefghijklnopqrstuvwxyz0123456789-._ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@frozen
class One:
    """A test of one character: it is in one of `ranges` (code points, inclusive), or in none."""

    ranges: tuple[tuple[int, int], ...]
    negated: bool = False

    def takes(self, point: int) -> bool:
        """Whether the character at `point` passes."""
        return any(low <= point <= high for low, high in self.ranges) != self.negated


@frozen
class Stage:
    """Tests of consecutive characters; `star`: they may begin anywhere before the next ``/``."""

    star: bool
    tests: tuple[One, ...]


class TooManyStatesError(Exception):
    """A search for a name took more states than it may."""


class Glob:
    """The automaton of one pattern; transitions are computed when they are first needed."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.stages = tuple(_stages(pattern)) or (Stage(star=False, tests=()),)
        self.least = sum(len(stage.tests) for stage in self.stages)
        self.start: State = (0, 1)
        self._next: dict[tuple[State, str], State] = {}

    def bounds(self) -> Iterator[int]:
        """Yield the code points at which the pattern begins to treat characters differently."""
        yield from (_SLASH, _SLASH + 1)
        for stage in self.stages:
            for test in stage.tests:
                for low, high in test.ranges:
                    yield from (low, high + 1)

    def step(self, state: State, char: str) -> State:
        """Return the state after `char`."""
        found = self._next.get((state, char))
        if found is None:
            found = self._next[state, char] = self._step(state, char)
        return found

    def _step(self, state: State, char: str) -> State:
        number, places = state
        stage, point = self.stages[number], ord(char)
        going = places & 1 if stage.star and point != _SLASH else 0
        for place, test in enumerate(stage.tests):
            if places >> place & 1 and test.takes(point):
                going |= 2 << place
        ended = going >> len(stage.tests) & 1
        if ended and number + 1 < len(self.stages):
            return (number + 1, 1)
        return (number, going) if going else _DEAD

    def accepts(self, state: State) -> bool:
        """Whether a name may end here."""
        number, places = state
        last = number + 1 == len(self.stages)
        return last and bool(places >> len(self.stages[number].tests) & 1)


def shortest(wanted: Iterable[Glob], unwanted: Iterable[Glob], limit: int) -> str | None:
    """Return the shortest name that all of `wanted` take and none of `unwanted`; None for none.

    Of several the first in the order of `_PREFERRED`. A name is printable and has 1 to MAX_NAME
    characters. TooManyStatesError when `limit` states are not enough to tell.
    """
    must, may_not = tuple(wanted), tuple(unwanted)
    if any(glob.least > MAX_NAME for glob in must):
        return None
    globs = (*must, *may_not)
    search = _Search(globs, len(must), alphabet(globs), limit)
    return search.run()


@frozen
class _Search:
    """Breadth first over the product, so that what is found first is shortest."""

    globs: tuple[Glob, ...]
    wanted: int
    chars: tuple[str, ...]
    limit: int

    def run(self) -> str | None:
        """Return the first name found."""
        seen: set[tuple[State, ...]] = set()  # not the start: a name has a character
        front = [(tuple(glob.start for glob in self.globs), "")]
        for _ in range(MAX_NAME):
            following = []
            for state, name in front:
                for char in self.chars:
                    after = self._after(state, char)
                    if after is None or after in seen:
                        continue
                    if self._accepted(after):
                        return name + char
                    seen.add(after)
                    following.append((after, name + char))
                if len(seen) > self.limit:
                    raise TooManyStatesError(f"more than {self.limit} states")
            front = following
        return None

    def _after(self, state: tuple[State, ...], char: str) -> tuple[State, ...] | None:
        after = []
        for number, glob in enumerate(self.globs):
            one = glob.step(state[number], char)
            if number < self.wanted and one == _DEAD:
                return None
            after.append(one)
        return tuple(after)

    def _accepted(self, state: tuple[State, ...]) -> bool:
        return all(
            glob.accepts(one) == (number < self.wanted)
            for number, (glob, one) in enumerate(zip(self.globs, state, strict=True))
        )


def alphabet(globs: tuple[Glob, ...]) -> tuple[str, ...]:
    """Return one printable character for each class that no test of `globs` tells apart."""
    edges = sorted({0, _LAST} | {edge for glob in globs for edge in glob.bounds()})
    tests = tuple(dict.fromkeys(t for glob in globs for stage in glob.stages for t in stage.tests))
    chosen: dict[tuple[bool, ...], str] = {}
    for low, high in pairwise(edges):
        char = _representative(low, high)
        if char is None:
            continue
        kind = (char == "/", *(test.takes(ord(char)) for test in tests))
        if kind not in chosen or _rank(char) < _rank(chosen[kind]):
            chosen[kind] = char
    return tuple(sorted(chosen.values(), key=_rank))


def _rank(char: str) -> tuple[int, str]:
    found = _PREFERRED.find(char)
    return (found if found >= 0 else len(_PREFERRED), char)


@cache
def _representative(low: int, high: int) -> str | None:
    """Return the nicest printable character from `low` up to, and without, `high`."""
    if low < 128:
        plain = [chr(p) for p in range(low, min(high, 128)) if chr(p).isprintable()]
        if plain:
            return min(plain, key=_rank)
    return next((chr(p) for p in range(max(low, 128), high) if chr(p).isprintable()), None)


def _stages(pattern: str) -> Iterator[Stage]:
    at = 0
    while at < len(pattern):
        begun = at
        while pattern[at : at + 1] == "*":
            at += 1
        star, tests = at > begun, []
        while at < len(pattern) and pattern[at] != "*":
            test, at = _test(pattern, at)
            tests.append(test)
        yield Stage(star, tuple(tests))


def _test(pattern: str, at: int) -> tuple[One, int]:
    """Return the test that begins at `at`, and where it ends."""
    char = pattern[at]
    if char == "?":
        return One(((_SLASH, _SLASH),), negated=True), at + 1
    if char == "[":
        return _class(pattern, at + 1)
    point, at = _point(pattern, at)
    return One(((point, point),)), at


def _class(pattern: str, at: int) -> tuple[One, int]:
    negated = pattern[at] == "^"
    at += negated
    ranges: list[tuple[int, int]] = []
    while pattern[at] != "]" or not ranges:
        low, at = _point(pattern, at)
        high = low
        if pattern[at] == "-":
            high, at = _point(pattern, at + 1)
        ranges.append((low, high))
    return One(tuple(ranges), negated=negated), at + 1


def _point(pattern: str, at: int) -> tuple[int, int]:
    at += pattern[at] == "\\"
    return ord(pattern[at]), at + 1
