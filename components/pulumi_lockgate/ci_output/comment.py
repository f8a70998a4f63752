"""The outcome of a plan as Markdown, for a comment on a change and for a pipeline's summary."""

import re
from collections.abc import Iterator
from typing import Final

import click
from lockgate.amount import amount

from pulumi_lockgate.diagram.mermaid import mermaid_of
from pulumi_lockgate.diagram.rows import picture
from pulumi_lockgate.planned import Outcome, Planned, Refused, render_verdicts, resource_lines
from pulumi_lockgate.proof.report import text_of

VERDICTS: Final = {
    0: ("✅", "proved, and no widening that is not accepted"),
    1: ("❌", "VIOLATED: the policy must not be deployed"),
    2: ("❌", "REFUSED: the stack does not load"),
    3: ("❌", "WIDENS: requests may reach more than before, and the stack does not accept it"),
}
"""(sign, words) for each exit status of `lockgate plan`."""
MOST: Final = 35_000
"""Characters of a report that are shown: GitHub takes 65,536 a comment, GitLab a million."""
MOST_CHART: Final = 15_000
"""Characters of a chart; a longer one is left to `lockgate graph`."""


def comment(outcome: Outcome) -> str:
    """Return Markdown for the outcome of a plan: verdict, report, picture, resources.

    Picture and resources are folded away; a violated policy's picture is shown at once.
    """
    sign, words = VERDICTS.get(
        outcome.exit_status, ("❌", f"no verdict (exit status {outcome.exit_status})")
    )
    parts = [f"### {sign} Lockgate, stack `{_inline(outcome.stack)}`: {words}"]
    if isinstance(outcome, Refused):
        return "\n\n".join([*parts, _fenced(str(outcome.error))]) + "\n"
    report = _report(outcome) if isinstance(outcome, Planned) else text_of(outcome)
    parts.append(_fenced(report.strip("\n")))
    parts += _pictures(outcome, is_open=outcome.exit_status == 1)
    if isinstance(outcome, Planned):
        resources = _fenced("\n".join(resource_lines(outcome.plan)))
        needs: list[str] = []
        outcome.render_needs(needs.append)
        if needs:
            parts.append(_folded("What must exist in the cluster", _fenced("\n".join(needs[2:]))))
        parts.append(_folded(amount(len(outcome.plan.resources), "resource"), resources))
    return "\n\n".join(parts) + "\n"


def _report(planned: Planned) -> str:
    lines: list[str] = []
    render_verdicts(planned.plan, lines.append)
    planned.render_change(lines.append)
    return click.unstyle("\n".join(lines))


def _pictures(outcome: Outcome, *, is_open: bool) -> Iterator[str]:
    """Yield a Mermaid chart for each router that is small enough to be read in one."""
    for policy, report in () if isinstance(outcome, Refused) else outcome.proofs:
        chart = mermaid_of(picture(policy, report)) if report.reached is not None else None
        if chart is not None and len(chart) <= MOST_CHART:
            yield _folded("Where requests go", f"```mermaid\n{chart}```", is_open=is_open)


def _folded(title: str, text: str, *, is_open: bool = False) -> str:
    tag = "<details open>" if is_open else "<details>"
    return f"{tag}<summary>{title}</summary>\n\n{text}\n\n</details>"


def _inline(text: str) -> str:
    return text.replace("`", "'")


def _fenced(text: str) -> str:
    """Return `text` as a block that nothing in it can end."""
    plain = click.unstyle(text)
    cut = plain if len(plain) <= MOST else plain[:MOST].rpartition("\n")[0] + "\n... cut"
    longest = max((len(run) for run in re.findall(r"`+", cut)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{cut}\n{fence}"
