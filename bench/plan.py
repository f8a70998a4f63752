"""How long `lockgate plan` takes for a large stack: 50 model servers and a router of 200 rules.

Prints the median of three whole runs, and the objects of each component.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from pulumi_lockgate.stack.evaluate import evaluate

SERVICES: Final = 50
RULES: Final = 200
RUNS: Final = 3


def main() -> None:
    """Plan it, and print what that took."""
    models = {
        f"b{n}": {"modelRef": f"pvc://models/b{n}.gguf", "gpu": n % 2} for n in range(SERVICES)
    }
    stated = {"lockgate:models": models, "lockgate:router": router()}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Pulumi.yaml").write_text("name: agents\nruntime: python\n")
        Path(folder, "Pulumi.large.yaml").write_text(json.dumps({"config": stated}))
        line = [sys.executable, "-m", "lockgate.cli.main", "plan", "large"]
        took = [_seconds(line, folder) for _ in range(RUNS)]
    size = f"{SERVICES} model servers, {RULES} rules"
    print(f"plan of {size}: {statistics.median(took):.1f} s (median of {RUNS}; wanted: under 8)")
    plan = evaluate("large", stated)
    for kind, of in (("InferenceService", "b1-"), ("ModelRouter", "lockgate-")):
        made = [r.type.rpartition(":")[2] for r in plan.resources if r.name.startswith(of)]
        listed = ", ".join(f"{n} {name}" for name, n in sorted(Counter(made).items()))
        print(f"objects of one {kind}: {len(made)} ({listed})")


def router() -> dict[str, Any]:
    """Return a policy as large teams have it: what is sensitive first, then a rule a team."""
    local = [f"b{n}" for n in range(SERVICES)]
    clouds = [f"c{n}" for n in range(SERVICES)]
    outside = {"provider": "openai", "model": "gpt-5"}
    rules = [_rule(n, local, clouds) for n in range(1, RULES)]
    kept = {"name": "sensitive", "match": {"dataClassification": ["pii", "phi"]}}
    return {
        "backends": [{"name": n, "inferenceServiceRef": {"name": n}} for n in local]
        + [{"name": n, "tier": "cloud", "external": outside} for n in clouds],
        "rules": [{**kept, "route": {"backends": local[:3]}, "failClosed": True}, *rules],
        "defaultRoute": "b0",
    }


def _rule(number: int, local: list[str], clouds: list[str]) -> dict[str, Any]:
    here, there = number % SERVICES, number * 7 % SERVICES
    match: dict[str, Any] = {"models": [f"team-{number}/*", f"*-{number}?-[a-f]*"]}
    if number % 3 == 0:
        match["taskComplexity"] = ("simple", "moderate", "complex")[number % 9 // 3]
    if number % 4 == 0:
        match["headers"] = {"X-Team": f"team-{number}"}
    route = {"backends": [local[here], clouds[there]]}
    return {"name": f"team-{number}", "match": match, "route": route}


def _seconds(line: list[str], folder: str) -> float:
    began = time.monotonic()
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    if done.returncode not in {0, 1} or "+ Deployment" not in done.stdout:
        raise SystemExit(done.stdout[-500:] + done.stderr[-500:])
    return took


if __name__ == "__main__":
    main()
