"""What changed between two policies, as a value with its text and its data. Knows no solver."""

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

import click
from attrs import asdict, frozen

from pulumi_lockgate.proof.report import Witness, show

Kind = Literal["WIDENS", "NARROWS", "CHANGED"]
COLOURS: Final = {"WIDENS": "red", "NARROWS": "green", "CHANGED": "yellow"}
KINDS: Final[tuple[Kind, ...]] = ("WIDENS", "NARROWS", "CHANGED")
"""In the order in which they are shown."""


@frozen
class Change:
    """One class of requests whose chain changed: what took them before, and what does now.

    `path` is the place in the new spec. The chains name backends with their tiers, in order,
    without the runtime's bound. `reason` says what makes it wider or narrower; `met` are the
    backends that make it wider, `labels` those of the witness.
    """

    kind: Kind
    path: str
    old_via: str
    new_via: str
    old_chain: tuple[str, ...]
    new_chain: tuple[str, ...]
    reason: str
    witness: Witness
    labels: tuple[str, ...] = ()
    met: tuple[str, ...] = ()

    def policy_test(self) -> dict[str, Any]:
        """Return a policy test that the old policy passes.

        The new one fails it where its chain has another backend; order alone it does not see.
        """
        name = f"{self.old_via}-{self.new_via}".lower().replace(" ", "-").replace(":", "")
        old = [backend.partition(" ")[0] for backend in self.old_chain]
        return self.witness.policy_test(name, {"only": {"backends": old}})


@frozen
class Diff:
    """What changed from the policy `old` to `new` (digests). `undecided` counts as widening."""

    old: str
    new: str
    changes: tuple[Change, ...]
    undecided: tuple[str, ...] = ()

    @property
    def widens(self) -> bool:
        """Whether some request leads further out than before, or that was not decided."""
        return bool(self.undecided) or any(change.kind == "WIDENS" for change in self.changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the diff as JSON-ready data."""
        document = {"widens": self.widens, **asdict(self)}
        for change, shown in zip(self.changes, document["changes"], strict=True):
            shown["curl"] = change.witness.curl()
        return document

    def render(self, out: Callable[[str], object]) -> None:
        """Give `out` the lines for people, styled for a terminal, one at a time."""
        for line in _lines(self):
            out(line)


def _lines(diff: Diff) -> Iterator[str]:
    if not diff.changes and not diff.undecided:
        same = "the policies are the same" if diff.old == diff.new else "no request's chain changed"
        yield click.style("UNCHANGED", fg="green", bold=True) + f": {same}"
    for kind in KINDS:
        count = sum(change.kind == kind for change in diff.changes)
        if count:
            shown = click.style(kind, fg=COLOURS[kind], bold=True)
            yield f"{shown}: {count} {'class' if count == 1 else 'classes'} of requests"
    for change in diff.changes:
        yield from _change(change)
    for why in diff.undecided:
        yield click.style("UNDECIDED", fg="red", bold=True) + f": {why}; this counts as widening"
    yield f"  old {diff.old}"
    yield f"  new {diff.new}"


def _change(change: Change) -> Iterator[str]:
    yield ""
    kind = click.style(change.kind, fg=COLOURS[change.kind], bold=True)
    yield f"{kind} {change.old_via} => {change.new_via}"
    yield f"  was            {_shown(change.old_chain)}"
    yield f"  is             {_shown(change.new_chain)}"
    yield f"  because        {change.reason}"
    yield from show(change.witness)
    yield ""


def _shown(chain: tuple[str, ...]) -> str:
    return " -> ".join(chain) or "refused"
