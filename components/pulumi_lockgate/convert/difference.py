"""What an import reports of every entry: exact, changed, or left out."""

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

from attrs import asdict, define, field, frozen
from lockgate.policy.reading.document import from_plain
from lockgate.policy.reading.paths import is_within
from lockgate.policy.reading.problem import PolicyRefusedError, Problem

from pulumi_lockgate.stack.settings import read_stack_tree

Kind = Literal["left out", "changed", "exact"]
_ORDER: Final[tuple[Kind, ...]] = ("left out", "changed", "exact")


@frozen
class Difference:
    """What became of one entry, with its place in the source. `mend`: how to have it carried."""

    kind: Kind
    path: str
    line: int | None
    message: str
    mend: str = ""

    def render(self, source: str) -> str:
        """Return ``file:line: path: kind: message; mend`` on one line."""
        place = source if self.line is None else f"{source}:{self.line}"
        mend = f"; {self.mend}" if self.mend else ""
        message = f": {self.message}" if self.message else ""
        return f"{place}: {self.path or '(document)'}: {self.kind}{message}{mend}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return asdict(self)


@frozen
class Imported:
    """A stack's config made from another router's, and what became of every entry.

    `config` holds all that could be carried; it loads, or is empty where nothing could be.
    """

    source: str
    config: dict[str, Any]
    differences: tuple[Difference, ...]

    @property
    def refused(self) -> tuple[Problem, ...]:
        """What was left out, as problems of the source."""
        left_out = (d for d in self.differences if d.kind == "left out")
        return tuple(Problem(d.path, d.line, d.message, d.mend) for d in left_out)


@define
class Notes:
    """Collects what becomes of entries while an import runs: kind, path, message, mend."""

    entries: list[tuple[Kind, str, str, str]] = field(factory=list)

    @property
    def refused_paths(self) -> list[str]:
        """The places of what is left out."""
        return [path for kind, path, *_ in self.entries if kind == "left out"]

    def differences(
        self, line_of: Callable[[str], int | None], carried: Iterable[str] = ()
    ) -> tuple[Difference, ...]:
        """Return them all by weight, and of the places `carried` those that nothing is said of."""
        refused, begun = self.refused_paths, "begins to act: "
        kept = [
            Difference(kind, path, line_of(path), message, mend)
            for kind, path, message, mend in self.entries
            if not message.startswith(begun) or not inside(path, refused)
        ]
        kept.sort(key=lambda d: (_ORDER.index(d.kind), not d.message.startswith(begun)))
        said = [path for _, path, *_ in self.entries]
        exact = [
            Difference("exact", place, line_of(place), "")
            for place in carried
            if not any(inside(path, [place]) for path in said)
        ]
        return (*kept, *exact)

    def begins(self, path: str, message: str, *, first: bool = False) -> None:
        """Note that a setting which the source's product ignored acts from now on."""
        entry: tuple[Kind, str, str, str] = ("changed", path, f"begins to act: {message}", "")
        self.entries.insert(0 if first else len(self.entries), entry)

    def differs(self, path: str, message: str) -> None:
        """Note that a setting means something else here."""
        self.entries.append(("changed", path, message, ""))

    def refused(self, path: str, message: str, mend: str) -> None:
        """Note that an entry is left out, and what to write to have it carried."""
        self.entries.append(("left out", path, message, mend))


def inside(path: str, others: Iterable[str]) -> bool:
    """Whether `path` is, or lies in, one of `others`."""
    return any(is_within(path, other) for other in others)


def problems_of(config: dict[str, Any], name: str) -> tuple[Problem, ...]:
    """Return what Lockgate's own loader finds wrong in a stack's config that an import wrote."""
    try:
        read_stack_tree(from_plain(config), "", name)
    except PolicyRefusedError as refused:
        return refused.problems
    return ()
