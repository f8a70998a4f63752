"""Finds model names that some patterns match and others do not.

The automata answer; what they found is remembered. A name that was found is always tried on the
proxy's own patterns (`compile_glob`) before it counts.
"""

from collections.abc import Iterable
from typing import Final

from attrs import frozen
from lockgate.policy.glob import compile_glob

from pulumi_lockgate.proof.glob_automata import Glob, shortest
from pulumi_lockgate.proof.report import ContradictionError

MAX_STATES: Final = 60_000
"""States of one search: a second or two, and tens of MiB."""


@frozen
class Clash:
    """The fact that no name is matched by all of `wanted` and by none of `unwanted`."""

    wanted: frozenset[str]
    unwanted: frozenset[str]


class ModelNames:
    """Finds names for sets of patterns; `add` each pattern once."""

    def __init__(self) -> None:
        self._patterns: list[str] = []
        self._globs: dict[str, Glob] = {}
        self._taken: dict[str, tuple[int, frozenset[str]]] = {}
        self._known: dict[frozenset[str], list[str]] = {}
        self._found: dict[tuple[frozenset[str], frozenset[str]], str | None] = {}

    def add(self, pattern: str) -> None:
        """Add a pattern."""
        self._patterns.append(pattern)

    def any(self, wanted: frozenset[str], unwanted: frozenset[str]) -> str | Clash:
        """Return a name, one that was found before where it fits, or the clash."""
        for name in self._known.get(wanted, ()):
            if self.taken(name).isdisjoint(unwanted):
                return name
        return self.first(wanted, unwanted)

    def first(self, wanted: frozenset[str], unwanted: frozenset[str]) -> str | Clash:
        """Return the shortest name, or a `Clash` with no more patterns than it needs."""
        used: frozenset[str] = frozenset()
        while True:
            name = self._shortest(wanted, used)
            if name is None:
                return self._smaller(Clash(wanted, used))
            broken = self.taken(name) & unwanted
            if broken & used or not wanted <= self.taken(name):
                raise ContradictionError(f"automata and patterns do not read {name!r} alike")
            if not broken:
                return name
            used |= {min(broken, key=lambda pattern: (len(pattern), pattern))}

    def taken(self, name: str) -> frozenset[str]:
        """Return the patterns that match `name`, as the proxy reads them."""
        count, found = self._taken.get(name, (0, frozenset()))
        if count < len(self._patterns):
            found |= {p for p in self._patterns[count:] if compile_glob(p)(name)}
            self._taken[name] = (len(self._patterns), found)
        return found

    def _shortest(self, wanted: frozenset[str], unwanted: frozenset[str]) -> str | None:
        key = (wanted, unwanted)
        if key not in self._found:
            must, may_not = self._automata(wanted), self._automata(unwanted)
            name = shortest(must, may_not, MAX_STATES)
            self._found[key] = name
            if name is not None:
                self._known.setdefault(wanted, []).append(name)
        return self._found[key]

    def _smaller(self, clash: Clash) -> Clash:
        """Return the clash without what it does not need."""
        wanted, unwanted = clash.wanted, clash.unwanted
        for pattern in sorted(unwanted):
            if self._shortest(wanted, unwanted - {pattern}) is None:
                unwanted -= {pattern}
        for pattern in sorted(wanted):
            if self._shortest(wanted - {pattern}, unwanted) is None:
                wanted -= {pattern}
        return Clash(wanted, unwanted)

    def _automata(self, patterns: Iterable[str]) -> list[Glob]:
        return [self._automaton(pattern) for pattern in sorted(patterns)]

    def _automaton(self, pattern: str) -> Glob:
        if pattern not in self._globs:
            self._globs[pattern] = Glob(pattern)
        return self._globs[pattern]
