"""Recorded requests beside a plan: what the planned policy would decide for last week's records."""

from collections.abc import Callable
from typing import Any

import click
from attrs import frozen
from lockgate.audit.rehearsal import Rehearsal, rehearse
from lockgate.cli.results import reading_bar
from lockgate.policy.deciding.decide import Decider
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.problem import UnusableInputError


@frozen
class Rehearsed:
    """What became of the records in the file `source`."""

    source: str
    found: Rehearsal

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {"source": self.source, **self.found.to_dict()}

    def render(self, out: Callable[[str], object]) -> None:
        """Give `out` the lines for people."""
        out(click.style(f"rehearsal: the records of {self.source} under this policy", bold=True))
        for line in self.found.lines():
            out(f"  {line}")


def rehearsed(source: str, policy: LoadedPolicy) -> Rehearsed:
    """Replay the audit records in the file `source` under `policy`; - is stdin.

    OSError where it cannot be read, UnusableInputError where it holds no record.
    """
    with click.open_file(source, "rb") as stream, reading_bar(stream) as progress:
        found = rehearse(Decider(policy), stream, progress=progress)
    if not found.records:
        mend = "name a file that `lockgate serve` wrote"
        raise UnusableInputError(f"--replay {source}: holds no audit record; {mend}")
    return Rehearsed(source, found)
