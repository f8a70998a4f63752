"""Judges a change of policy: what widens passes only where the stack accepts it.

An acceptance names the digest of one policy, so that it accepts what was read and nothing else.
What narrows always passes, whatever acceptance stands there (docs/adr/0011).
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import click
from attrs import frozen
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.load import load_policy
from lockgate.policy.reading.problem import PolicyRefusedError

from pulumi_lockgate.proof.change import Diff
from pulumi_lockgate.proof.diff import compare

KEY: Final = "lockgate:acceptWidening"


@frozen
class Unknown:
    """Something is deployed, and what it lets happen is not known: a change counts as widening."""

    why: str


Base = LoadedPolicy | Unknown | None
"""What is deployed; None: nothing is."""


@frozen
class WideningVerdict:
    """Whether a policy may take the place of its base. `acceptance` is what the stack states."""

    base: Base
    digest: str
    diff: Diff | None
    acceptance: str | None
    stack: str

    @property
    def widens(self) -> bool:
        """Whether something widens, or may."""
        return isinstance(self.base, Unknown) or (self.diff is not None and self.diff.widens)

    @property
    def passed(self) -> bool:
        """Whether nothing widens, or the stack accepts this very policy."""
        return not self.widens or self.acceptance == self.digest

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        diff = None if self.diff is None else self.diff.to_dict()
        return {"passed": self.passed, "widens": self.widens, "diff": diff}

    def render(self, out: Callable[[str], object]) -> None:
        """Give `out` what changed and whether it may, styled for a terminal, line by line."""
        if self.diff is not None:
            self.diff.render(out)
            out("")
        elif isinstance(self.base, Unknown):
            out(f"what is deployed cannot be compared: {self.base.why}; this counts as widening")
        else:
            out("nothing to compare: no earlier policy of this stack is known")
        for line in _judgement(self):
            out(line)


def base_of(text: str | Unknown | None) -> Base:
    """Return the policy in `text`, a policy.json that was deployed."""
    if text is None or isinstance(text, Unknown):
        return text
    try:
        return load_policy(text.encode(), "the deployed policy")
    except PolicyRefusedError as refused:
        return Unknown(f"it does not load in this version: {str(refused).splitlines()[0]}")


def judge(base: Base, policy: LoadedPolicy, acceptance: str | None, stack: str) -> WideningVerdict:
    """Compare `policy` with what is deployed. Raises ContradictionError as `compare` does."""
    diff = compare(base, policy) if isinstance(base, LoadedPolicy) else None
    return WideningVerdict(base, policy.digest, diff, acceptance, stack)


def _judgement(verdict: WideningVerdict) -> Iterator[str]:
    setting = f"  pulumi config set {KEY} {verdict.digest} --stack {verdict.stack}"
    refused = click.style("WIDENING NOT ACCEPTED", fg="red", bold=True)
    accepted = verdict.acceptance
    if not verdict.widens:
        if accepted is not None:
            yield f"{KEY} is stale: nothing widens. Left in place it would let a later change"
            yield f"back to {accepted} pass. Remove it:"
            yield f"  pulumi config rm {KEY} --stack {verdict.stack}"
    elif accepted is None:
        yield f"{refused}: more may reach a cloud than under what is deployed."
        yield "Where that is meant, accept this policy and no other:"
        yield setting
    elif accepted != verdict.digest:
        yield f"{refused}: the stack accepts another policy than this one,"
        yield f"{accepted}. Read the changes again, and accept this one:"
        yield setting
    else:
        yield click.style("WIDENING ACCEPTED", bold=True) + f" by {KEY}, for this policy alone"
