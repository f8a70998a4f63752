"""Judges a change of policy: what widens passes only where the stack accepts it.

An acceptance names one digest over policy.json and over the printed list of what widens, so that it
accepts what was read and nothing else: another list needs another acceptance. What narrows always
passes, whatever acceptance stands there (docs/adr/0017).
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import click
from attrs import frozen
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.load import load_policy
from lockgate.policy.reading.problem import PolicyRefusedError

from pulumi_lockgate.manifests.enforcer import Enforcer, changes, enforcer_of, read_enforcer
from pulumi_lockgate.proof.change import Diff
from pulumi_lockgate.proof.diff import compare
from pulumi_lockgate.proof.widenings import Widening, listed, of_changes, of_settings

KEY: Final = "lockgate:acceptWidening"
NOT_COMPARED: Final = (
    "not compared, since what is deployed does not say it: image, arguments, Service, NetworkPolicy"
)


@frozen
class Unknown:
    """Something is deployed, and what it lets happen is not known: a change counts as widening."""

    why: str


@frozen
class Earlier:
    """A policy.json that was deployed; `secret`: one that its program did not show."""

    policy: str
    secret: bool = False


@frozen
class Record:
    """What a stack put out: its policy.json, and what enforces it, as text.

    `kept` are the policies whose ConfigMaps stand in the cluster: this one, then earlier ones that
    a rollback by hand may need, the latest first.
    """

    policy: str
    enforcer: str | None = None
    kept: tuple[Earlier, ...] = ()


@frozen
class Deployed:
    """A policy that runs, or is taken to, and what enforces it; None: that is not known."""

    policy: LoadedPolicy
    enforcer: Enforcer | None


Base = Deployed | Unknown | None
"""What is deployed; None: nothing is."""


@frozen
class Comparison:
    """What changed from what is deployed, and the list of what widens."""

    diff: Diff
    widenings: tuple[Widening, ...]
    compares_enforcers: bool = True

    @property
    def widens(self) -> bool:
        """Whether something widens, or may."""
        return self.diff.widens or bool(self.widenings)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        found = [widening.to_dict() for widening in self.widenings]
        return {**self.diff.to_dict(), "widens": self.widens, "widenings": found}

    def render(self, out: Callable[[str], object]) -> None:
        """Give `out` what widens, then every class of requests that changed, line by line."""
        if self.widenings:
            head = click.style("WIDENS", fg="red", bold=True)
            count = len(self.widenings)
            out(f"{head} in {count} {'way' if count == 1 else 'ways'}:")
            for widening in self.widenings:
                out(f"  {widening.line}")
        self.diff.render(out)
        if not self.compares_enforcers:
            out(f"  {NOT_COMPARED}")


@frozen
class WideningVerdict:
    """Whether a policy may take the place of its base. `accepted` is what the stack states.

    `digest` is the policy's, `acceptance` the digest that accepts this very list for it.
    """

    base: Base
    digest: str
    comparison: Comparison | None
    acceptance: str
    accepted: str | None
    stack: str

    @property
    def widens(self) -> bool:
        """Whether something widens, or may."""
        found = self.comparison
        return isinstance(self.base, Unknown) or (found is not None and found.widens)

    @property
    def passed(self) -> bool:
        """Whether nothing widens, or the stack accepts this very list."""
        return not self.widens or self.accepted == self.acceptance

    @property
    def widenings(self) -> tuple[Widening, ...]:
        """What widens, one by one."""
        return () if self.comparison is None else self.comparison.widenings

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        diff = None if self.comparison is None else self.comparison.to_dict()
        acceptance = self.acceptance if self.widens else None
        whole = {"passed": self.passed, "widens": self.widens, "acceptance": acceptance}
        return {**whole, "diff": diff}

    def render(self, out: Callable[[str], object]) -> None:
        """Give `out` what changed and whether it may, styled for a terminal, line by line."""
        if self.comparison is not None:
            self.comparison.render(out)
            out("")
        elif isinstance(self.base, Unknown):
            out(f"what is deployed cannot be compared: {self.base.why}; this counts as widening")
        else:
            out("nothing to compare: no earlier policy of this stack is known")
        for line in _judgement(self):
            out(line)


def base_of(found: str | Record | Unknown | None) -> Base:
    """Return what a stack put out, or a policy.json that was deployed, as what is compared with."""
    if found is None or isinstance(found, Unknown):
        return found
    record = Record(found) if isinstance(found, str) else found
    try:
        policy = load_policy(record.policy.encode(), "the deployed policy")
    except PolicyRefusedError as refused:
        return Unknown(f"it does not load in this version: {str(refused).splitlines()[0]}")
    return Deployed(policy, read_enforcer(record.enforcer))


def compared(base: Deployed, policy: LoadedPolicy) -> Comparison:
    """Compare `policy` with what is deployed. Raises ContradictionError as `compare` does."""
    diff = compare(base.policy, policy)
    return Comparison(
        diff, listed(_widenings(base, policy, diff)), compares_enforcers=base.enforcer is not None
    )


def _widenings(base: Deployed, policy: LoadedPolicy, diff: Diff) -> Iterator[Widening]:
    yield from of_changes(diff.changes, policy)
    yield from of_settings(base.policy, policy)
    if base.enforcer is not None:
        for kind, path, text in changes(base.enforcer, enforcer_of(policy)):
            yield Widening(kind, path, text)


def judge(base: Base, policy: LoadedPolicy, accepted: str | None, stack: str) -> WideningVerdict:
    """Judge `policy` as what follows `base`. Raises ContradictionError as `compare` does."""
    comparison = compared(base, policy) if isinstance(base, Deployed) else None
    lines = [base.why] if isinstance(base, Unknown) else []
    if comparison is not None:
        lines += [widening.line for widening in comparison.widenings]
        lines += comparison.diff.undecided
    acceptance = acceptance_of(policy, lines)
    return WideningVerdict(base, policy.digest, comparison, acceptance, accepted, stack)


def acceptance_of(policy: LoadedPolicy, lines: list[str]) -> str:
    """Return the digest that accepts the list of `lines` for `policy`, and nothing else."""
    text = policy.json + "".join(f"{line}\n" for line in lines).encode()
    return f"widening:{hashlib.sha256(text).hexdigest()}"


def _judgement(verdict: WideningVerdict) -> Iterator[str]:
    setting = f"  pulumi config set {KEY} {verdict.acceptance} --stack {verdict.stack}"
    refused = click.style("WIDENING NOT ACCEPTED", fg="red", bold=True)
    accepted = verdict.accepted
    if not verdict.widens:
        if accepted is not None:
            yield f"{KEY} is stale: nothing widens. Remove it:"
            yield f"  pulumi config rm {KEY} --stack {verdict.stack}"
    elif accepted is None:
        yield f"{refused}: requests may reach what they could not under what is deployed,"
        yield "or the enforcer is another one. Where all of the list is meant, accept this list:"
        yield setting
    elif accepted != verdict.acceptance:
        yield f"{refused}: the stack accepts another list than this one,"
        yield f"{accepted}. Read it again, and accept this one:"
        yield setting
    else:
        yield click.style("WIDENING ACCEPTED", bold=True) + f" by {KEY}, for this list alone"
