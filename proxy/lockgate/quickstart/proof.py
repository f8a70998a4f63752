"""The proof of a first policy, by the plan-time package where that is installed."""

import subprocess
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Final

from attrs import frozen

CHECK: Final = (sys.executable, "-m", "lockgate.cli.main", "check")
NOT_PROVED: Final = "not proved: the proof comes with `pip install pulumi-lockgate`"


@frozen
class Verdict:
    """What `lockgate check` says: its lines and its exit status; None where it is not there."""

    text: str
    status: int | None


def verdict(source: str) -> Verdict:
    """Return the verdict on the policy or stack file in `source`."""
    points = entry_points(group="lockgate.verbs", name="check")
    if not any(find_spec(point.module.partition(".")[0]) for point in points):
        return Verdict(NOT_PROVED, None)
    line = [*CHECK, "-"]
    done = subprocess.run(  # noqa: S603 - our own command
        line, input=source, capture_output=True, text=True, check=False
    )
    return Verdict((done.stdout or done.stderr).rstrip("\n"), done.returncode)
