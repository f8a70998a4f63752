"""What `lockgate plan` finds for a stack: the plan, a violated policy, or a refusal, as values."""

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any

import click
import pulumi
from attrs import frozen
from lockgate.amount import amount
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.problem import EndsCommandError, UnusableInputError

from pulumi_lockgate.notices import OPENS, network_lines, network_rows, notices, of_models
from pulumi_lockgate.prerequisites import prerequisites, render
from pulumi_lockgate.proof.report import Report
from pulumi_lockgate.proved_policy import PolicyViolatedError
from pulumi_lockgate.rehearsed import Rehearsed, rehearsed
from pulumi_lockgate.stack.deployed import load_base
from pulumi_lockgate.stack.engine import StackRefusedError
from pulumi_lockgate.stack.evaluate import Plan, RouterOutputs, config_of, evaluate
from pulumi_lockgate.stack.files import stack_file
from pulumi_lockgate.stack.read import load_stack, read_whole
from pulumi_lockgate.widening import KEY, WideningVerdict, judge


@frozen
class Planned:
    """A stack whose program ran and whose policies hold, and how they stand to what is deployed.

    `change` is None where no single policy can be compared. `rehearsal` is what the policy would do
    to recorded requests, where some were named. `out` is the folder that the manifests were written
    to, if they were.
    """

    stack: str
    plan: Plan
    change: WideningVerdict | None
    rehearsal: Rehearsed | None = None
    out: Path | None = None

    @property
    def exit_status(self) -> int:
        """0, or 3 where something widens that the stack does not accept."""
        return 0 if self.change is None or self.change.passed else 3

    @property
    def proofs(self) -> tuple[tuple[LoadedPolicy, Report], ...]:
        """Each router's policy with its proof, where it is wholly known."""
        known = [router.proved for router in self.plan.routers if router.proved is not None]
        return tuple((one.policy, one.report) for one in known)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        resources = self.plan.resources
        return {
            "change": None if self.change is None else self.change.to_dict(),
            "rehearsal": None if self.rehearsal is None else self.rehearsal.to_dict(),
            "mustExist": [one.to_dict() for one in prerequisites(self.plan)],
            "network": [
                {"router": router.name, "way": way, "what": what, "opens": opens}
                for router in self.plan.routers
                for way, what, opens in network_rows(router.proved)
            ],
            "outputs": dict(self.plan.outputs),
            "warnings": list(self.plan.warnings),
            "resources": [
                {"type": r.type, "name": r.name, "inputs": dict(r.inputs)} for r in resources
            ],
        }

    def render(self, out: Callable[[str], object]) -> None:
        """Give `out` the lines for people, styled for a terminal, at 80 columns."""
        render_plan(self.stack, self.plan, out)
        self.render_change(out)
        self.render_needs(out)

    def render_needs(self, out: Callable[[str], object]) -> None:
        """Give `out` the lines that say what must be in the cluster."""
        render(prerequisites(self.plan, rendered=self.out is not None), out)

    def render_change(self, out: Callable[[str], object]) -> None:
        """Give `out` the lines on what changed, on recorded requests, and on what was written."""
        if self.change is not None:
            out("")
            self.change.render(out)
            if self.change.base is None:
                out("  to compare with what is deployed, name it: --against FILE")
        if self.rehearsal is not None:
            out("")
            self.rehearsal.render(out)
        if self.out is not None:
            out(f"{amount(len(self.plan.manifests), 'manifest')} written to {self.out}")


@frozen
class Violated:
    """A stack whose policy does not hold."""

    stack: str
    policy: LoadedPolicy
    report: Report
    exit_status: int = 1

    @property
    def proofs(self) -> tuple[tuple[LoadedPolicy, Report], ...]:
        """The policy with its proof."""
        return ((self.policy, self.report),)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready data."""
        return self.report.to_dict()

    def render(self, out: Callable[[str], object]) -> None:
        """Give `out` the report's lines."""
        self.report.render(out)


@frozen
class Refused:
    """A stack that could not be planned, and why."""

    stack: str
    error: EndsCommandError

    @property
    def exit_status(self) -> int:
        """The error's."""
        return self.error.exit_status


Outcome = Planned | Violated | Refused


def planned(stack: str, against: str | None, records: str | None = None) -> Outcome:
    """Evaluate the program for `stack`; compare its policy with what `against` names.

    `records` names a file of audit records that are replayed under the policy.

    The policy is loaded once and proved once, by the program itself.
    """
    try:
        path = stack_file(stack)
        source = read_whole(path)
        config = config_of(source, str(path))
        try:
            plan = evaluate(stack, config)
        except StackRefusedError:
            load_stack(source, str(path))  # the same again with lines: a program has none
            raise
        except (EndsCommandError, PolicyViolatedError):
            raise
        except (Exception, SystemExit) as problem:  # whatever a program raises is no leak
            raise UnusableInputError(_failure(problem)) from problem
        accepted = config.get(KEY)
        change = _compared(stack, plan, against, accepted if isinstance(accepted, str) else None)
        rehearsal = None if records is None else rehearsed(records, _one_policy(plan, "--replay"))
        return Planned(stack, plan, change, rehearsal)
    except PolicyViolatedError as violated:
        return Violated(stack, violated.policy, violated.report)
    except EndsCommandError as error:
        return Refused(stack, error)


def _failure(problem: BaseException) -> str:
    """Return why a program failed: what Pulumi shows of it, else where it was raised."""
    if isinstance(problem, pulumi.RunError):
        return f"the program failed: {problem}"
    return "the program failed:\n" + "".join(traceback.format_exception(problem)).rstrip()


def _compared(
    stack: str, plan: Plan, against: str | None, accepted: str | None
) -> WideningVerdict | None:
    base = load_base(against) if against is not None else None
    if base is None and not _is_one_policy(plan):
        return None
    return judge(base, _one_policy(plan, "--against"), accepted, stack)


def _is_one_policy(plan: Plan) -> bool:
    return len(plan.routers) == 1 and plan.routers[0].proved is not None


def _one_policy(plan: Plan, option: str) -> LoadedPolicy:
    """Return the plan's only policy; UnusableInputError, for `option`, where there is no such."""
    proved = plan.routers[0].proved if len(plan.routers) == 1 else None
    if proved is None:
        why = "one router's policy, wholly known here, is compared"
        raise UnusableInputError(
            f"{option}: {why}; this program has {amount(len(plan.routers), 'router')}"
        )
    return proved.policy


def render_plan(stack: str, plan: Plan, out: Callable[[str], object]) -> None:
    """Give `out` a plan's resources and the verdict on each of its routers."""
    out(click.style(f"stack {stack}: {amount(len(plan.resources), 'resource')}", bold=True))
    for line in resource_lines(plan):
        out(line)
    out("")
    render_verdicts(plan, out)


def resource_lines(plan: Plan) -> Iterator[str]:
    """Yield a line for each resource of a plan."""
    for resource in plan.resources:
        kind = resource.type.rpartition(":")[2]
        manifest = resource.manifest
        yield f"  + {kind:<21} {manifest['metadata']['name'] if manifest else resource.name}"


def render_verdicts(plan: Plan, out: Callable[[str], object]) -> None:
    """Give `out` the verdict on each router of a plan."""
    for router in plan.routers:
        _render_router(router, out, alone=len(plan.routers) == 1)
    for line in plan.warnings:
        for part in wrap(f"warning: {line}", 80):
            out(click.style(part, fg="yellow"))
    for line in of_models(plan.manifests):
        for part in wrap(line, 80):
            out(part)
    if not plan.routers:
        out("this program has no ModelRouter: nothing was proved")


def _render_router(router: RouterOutputs, out: Callable[[str], object], *, alone: bool) -> None:
    if not alone:
        out(click.style(f"router {router.name}", bold=True))
    word, colon, rest = router.verdict.partition(":")
    colour = "yellow" if word.startswith("NOT") else "green"
    out(f"{click.style(word, fg=colour, bold=True)}{colon}{rest}")
    if router.proved is not None:
        for line in notices(router.proved.policy):
            if line not in router.verdict:
                out(f"  {line}")
    out(f"  url {router.url or 'is known to the engine alone'}")
    if router.proved is not None:
        out(f"{OPENS}:")
        for line in network_lines(router.proved):
            out(line)
