"""How long `lockgate plan STACK --replay` takes for a million recorded requests.

Two files: one whose requests ask for 40 models, as a week's do, and one in which no two requests
ask for the same, so that each is decided for itself. Medians of three, each a whole process.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from lockgate.audit.record import NO_ENDING, decision_fields, render
from lockgate.policy.deciding.decide import Decider
from lockgate.policy.deciding.decision import Refuse
from pulumi_lockgate.stack.read import load_named

STACK: Final = "prod"
ATTEMPT: Final = {"backend": "local", "tier": "local", "outcome": "complete", "ms": 812.4}
TOKENS: Final = {"prompt": 1832, "completion": 211, "estimated": False}


def record(number: int, decider: Decider, models: int) -> bytes:
    """Return one record, of about the size that the proxy writes."""
    headers: dict[str, tuple[str, ...]] = {}
    if number % 3 == 0:
        headers["x-llmkube-classification"] = ("phi",)
    if number % 5 == 0:
        headers["x-llmkube-task-complexity"] = ("complex",)
    decision = decider.decide(f"model-{number % models}", headers)
    ending = {
        "worker": None,
        "sequence": number,
        "time": 1_795_000_000.0 + number / 2,
        "request_id": f"{number:032x}",
        "outcome": "refused_policy" if isinstance(decision, Refuse) else "complete",
        "error": decision.code if isinstance(decision, Refuse) else None,
        "status": 200,
        **NO_ENDING,
        "attempts": [ATTEMPT],
        "tokens": TOKENS,
        "bytes_in": 7311,
        "bytes_out": 1204,
    }
    return render(ending, decision_fields(decision))


def written(file: Path, decider: Decider, count: int, models: int) -> None:
    """Write `count` records of requests that the stack decided."""
    with file.open("wb") as out:
        for number in range(count):
            out.write(record(number, decider, models))


def seconds(file: Path) -> float:
    """Return how long one plan takes with the records of `file`."""
    began = time.monotonic()
    command = [sys.executable, "-m", "lockgate.cli.main", "plan", STACK, "--replay", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "0 newly to a cloud backend" in done.stdout
    return time.monotonic() - began


def main() -> None:
    """Print a line for each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", nargs="?", type=int, default=1_000_000)
    count = parser.parse_args().records
    decider = Decider(load_named(STACK))
    with tempfile.TemporaryDirectory() as folder:
        for models in (40, count):
            file = Path(folder) / "audit.jsonl"
            written(file, decider, count, models)
            median = statistics.median(seconds(file) for _ in range(3))
            size = file.stat().st_size
            print(
                f"{count:,} records of {size / count:,.0f} bytes, {models:,} models: {median:.1f} s"
            )


if __name__ == "__main__":
    main()
