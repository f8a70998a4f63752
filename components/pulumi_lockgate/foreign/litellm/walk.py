"""Where a request may end up in LiteLLM's router, when what it meets fails.

Each deployment may fail as it likes: at all, because the prompt is too long, or because the content
is refused. LiteLLM looks for fallbacks by the name that is asked for at that hop, then by the name
that the request asked for; it goes on from each of those in turn, up to max_fallbacks deep.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from attrs import field, frozen

from pulumi_lockgate.foreign.litellm.config import Config, Entry, Lists, Target
from pulumi_lockgate.foreign.litellm.lookup import Chain, Names, chains
from pulumi_lockgate.foreign.report import Failure

FAILURES: Final[tuple[Failure, ...]] = ("any", "long", "content")


@frozen
class Hop:
    """One step on: from a name that failed with `failure`, by an entry, to a target."""

    name: str
    failure: Failure
    chain: Chain
    target: Target


@frozen
class Walk:
    """The walks of requests for `asked` under `lists`: the config's, or those of a body."""

    config: Config
    lists: Lists
    asked: str
    most_hops: int
    names: Names = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Make the lookup."""
        object.__setattr__(self, "names", Names(self.config))

    def failures(self, name: str) -> tuple[Failure, ...]:
        """Return how a name may fail: where nothing serves it, no server says why."""
        return FAILURES if self.names.meaning(name).deployments else ("any",)

    def after(self, name: str, failure: Failure) -> list[Chain]:
        """Return what follows a name that failed."""
        lists, looked = self.lists, dict.fromkeys((name, self.asked))
        if failure == "long" and lists.longer is not None:
            found = chains(lists.longer, looked)
            if found:
                return found
        if failure == "content" and lists.filtered is not None:
            return chains(lists.filtered, looked)
        return chains(lists.fallbacks or (), looked)

    def paths(self) -> Iterator[tuple[Hop, ...]]:
        """Yield a shortest way to each name that can be reached, the nearest first."""
        seen, todo = {self.asked}, deque([(self.asked, tuple[Hop, ...]())])
        while todo:
            name, path = todo.popleft()
            yield path
            if len(path) >= self.most_hops:
                continue
            for failure in self.failures(name):
                for chain in self.after(name, failure):
                    for target in chain.entry.targets:
                        if target.elsewhere is not None:
                            yield (*path, Hop(name, failure, chain, target))
                        elif target.name not in seen:
                            seen.add(target.name)
                            todo.append((target.name, (*path, Hop(name, failure, chain, target))))

    def reached(self) -> set[int]:
        """Return the numbers of all deployments that can be reached."""
        found = [self.names.meaning(p[-1].target.name if p else self.asked) for p in self.paths()]
        return {one.number for meaning in found for one in meaning.deployments}

    def tried(self, failing: Mapping[str, Failure], other: Failure = "any") -> list[str]:
        """Return the names that are asked, in order, when every one fails as `failing` says."""
        tried, known = list[str](), {self.asked}

        def level(name: str, depth: int) -> None:
            tried.append(name)
            failure = failing.get(name, other)
            found = self.after(name, failure if failure in self.failures(name) else "any")
            for target in _targets(found) if depth < self.most_hops else ():
                if target not in known:
                    known.add(target)
                    depth += 1  # LiteLLM counts those beside it, too
                    level(target, depth)

        level(self.asked, 0)
        return tried

    def confirmed(self, path: tuple[Hop, ...]) -> dict[str, Failure] | None:
        """Return how each name must fail so that the last of `path` is asked; None if none will."""
        failing = {hop.name: hop.failure for hop in path}
        for other in FAILURES:
            if not path or path[-1].target.name in self.tried(failing, other):
                return failing
        return None


def _targets(found: list[Chain]) -> list[str]:
    certain = next((chain.entry for chain in found if chain.certain), None)
    return [target.name for target in certain.targets] if certain else []


def with_body(lists: Lists, targets: tuple[str, ...]) -> Lists:
    """Return the lists where a body's own ``fallbacks`` takes the place of the config's."""
    entry = Entry("*", tuple(map(Target, targets)), "")
    return Lists((entry,), lists.longer, lists.filtered)
