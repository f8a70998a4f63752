"""The differences that an import reports: what changes, begins to act, or is refused."""

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

from attrs import asdict, define, field, frozen
from lockgate.policy.reading.document import from_plain
from lockgate.policy.reading.paths import is_within
from lockgate.policy.reading.problem import PolicyRefusedError, Problem

from pulumi_lockgate.stack.settings import read_stack_tree

Kind = Literal["begins to act", "differs", "refused"]
_ORDER: Final[tuple[Kind, ...]] = ("refused", "begins to act", "differs")


@frozen
class Difference:
    """One difference, with its place in the source. `mend`: what to write instead, if refused."""

    kind: Kind
    path: str
    line: int | None
    message: str
    mend: str = ""

    def render(self, source: str) -> str:
        """Return ``file:line: path: kind: message; mend`` on one line."""
        place = source if self.line is None else f"{source}:{self.line}"
        mend = f"; {self.mend}" if self.mend else ""
        return f"{place}: {self.path or '(document)'}: {self.kind}: {self.message}{mend}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return asdict(self)


@frozen
class Imported:
    """A stack's config made from another router's, and every difference.

    `config` is complete only where nothing is refused.
    """

    source: str
    config: dict[str, Any]
    differences: tuple[Difference, ...]

    @property
    def refused(self) -> tuple[Problem, ...]:
        """What could not be imported, as problems of the source."""
        refused = (d for d in self.differences if d.kind == "refused")
        return tuple(Problem(d.path, d.line, d.message, d.mend) for d in refused)


@define
class Notes:
    """Collects differences while an import runs: kind, path, message, what to write."""

    entries: list[tuple[Kind, str, str, str]] = field(factory=list)

    @property
    def refused_paths(self) -> list[str]:
        """The places of what cannot be imported."""
        return [path for kind, path, *_ in self.entries if kind == "refused"]

    def differences(self, line_of: Callable[[str], int | None]) -> tuple[Difference, ...]:
        """Return them all, refused ones first; what is refused does not begin to act."""
        refused = self.refused_paths
        kept = [
            Difference(kind, path, line_of(path), message, mend)
            for kind, path, message, mend in self.entries
            if kind != "begins to act" or not inside(path, refused)
        ]
        return tuple(sorted(kept, key=lambda difference: _ORDER.index(difference.kind)))

    def begins(self, path: str, message: str, *, first: bool = False) -> None:
        """Note that a setting which the source's product ignored acts from now on."""
        self.entries.insert(0 if first else len(self.entries), ("begins to act", path, message, ""))

    def differs(self, path: str, message: str) -> None:
        """Note that a setting means something else here."""
        self.entries.append(("differs", path, message, ""))

    def refused(self, path: str, message: str, mend: str) -> None:
        """Note that a setting cannot be imported, and what to write instead."""
        self.entries.append(("refused", path, message, mend))


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
