"""Growth: requests a second against the number of rules and of backends, as numbers and a plot.

Two curves each: one model name, which the memo of decisions makes flat, and 100,000 distinct names,
where nothing is promised but bounded memory. Writes docs/bench/growth.svg and growth.json.
"""

import json
import platform
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pygal

sys.path.insert(0, str(Path(__file__).parent))
from rig import LOAD_CORE, Bench, bench, build_name, need, policy, resident_mib

OUT = Path(__file__).parent.parent / "docs" / "bench"
RULES, BACKENDS = (10, 100, 1000), (2, 20, 200)
ROUNDS, SECONDS = 3, 2
ONE, MANY = "one model name", "100,000 model names"
SCRIPT = """
wrk.method = "POST"
wrk.path = "/v1/chat/completions"
wrk.headers["content-type"] = "application/json"
local number = 0
request = function()
  number = (number + 7919) % COUNT
  local name = string.format("gpt-4-%06d", number)
  return wrk.format(nil, nil, nil, '{"model": "' .. name .. '", "messages": []}')
end
"""


def document(folder: Path, rules: int, backends: int) -> dict[str, Any]:
    """Return a policy whose last rule matches, over so many rules and backends."""
    held = policy(folder / "audit.jsonl")
    held["backends"] = [
        {"name": "local" if n == 0 else f"b-{n}", "inferenceServiceRef": {"name": "model"}}
        for n in range(backends)
    ]
    last = held["rules"].pop()
    held["rules"] = [held["rules"][0]] + [
        {
            "name": f"rule-{number}",
            "match": {"models": [f"other-{number}-*"]},
            "route": {"backends": [f"b-{number % (backends - 1) + 1}"]},
        }
        for number in range(rules - 2)
    ]
    held["rules"].append(last)
    return held


def rate(held: Bench, port: int, names: int) -> float:
    """Return requests a second with so many distinct names."""
    script = held.folder / f"names-{names}.lua"
    script.write_text(SCRIPT.replace("COUNT", str(names)))
    done = subprocess.run(
        [
            *("taskset", "-c", LOAD_CORE, "wrk", "-t1", "-c32", f"-d{SECONDS}s"),
            *("-s", str(script), f"http://127.0.0.1:{port}"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    if "Non-2xx" in done.stdout:
        raise SystemExit(done.stdout)
    found = re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)
    assert found is not None
    return float(found[1])


def measured(held: Bench, upstream: int, rules: int, backends: int) -> dict[str, float]:
    """Return the medians of both curves, and the memory after them."""
    port, process = held.lockgate(upstream, document(held.folder, rules, backends))
    rate(held, port, 1)
    found: dict[str, float] = {}
    for name, names in ((ONE, 1), (MANY, 100_000)):
        found[name] = statistics.median(rate(held, port, names) for _ in range(ROUNDS))
    found["resident_mib"] = resident_mib(process.pid)
    held.stop(process)
    return found


def plot(title: str, xs: tuple[int, ...], rows: list[dict[str, float]]) -> pygal.Line:
    """Return one chart."""
    style = pygal.style.CleanStyle(font_family="sans-serif")
    chart = pygal.Line(
        title=title, style=style, range=(0, max(row[ONE] for row in rows) * 1.15),
        js=[], no_prefix=True, truncate_legend=-1, y_title="requests a second",
        x_title=title.rpartition(" ")[2], disable_xml_declaration=True,
    )  # fmt: skip
    chart.x_labels = [str(x) for x in xs]
    for name in (ONE, MANY):
        chart.add(name, [round(row[name]) for row in rows])
    return chart


def main() -> None:
    """Measure, print, and write the pages."""
    need("nginx", "wrk", "taskset")
    print(build_name())
    with bench() as held:
        upstream = held.upstream()
        by_rules = [measured(held, upstream, rules, 2) for rules in RULES]
        by_backends = [measured(held, upstream, 10, backends) for backends in BACKENDS]
    OUT.mkdir(parents=True, exist_ok=True)
    for what, xs, rows in (("rules", RULES, by_rules), ("backends", BACKENDS, by_backends)):
        for x, row in zip(xs, rows, strict=True):
            print(
                f"  {x:>5} {what:<9} {row[ONE]:>7.0f} requests/s with one name, "
                f"{row[MANY]:>7.0f} with 100,000; {row['resident_mib']:.0f} MiB"
            )
        flat = min(row[ONE] for row in rows) / max(row[ONE] for row in rows)
        print(f"  flat within {1 - flat:.0%} with one name")
        chart = plot(f"Requests a second by number of {what}", xs, rows)
        (OUT / f"growth-{what}.svg").write_text(chart.render(is_unicode=True))
    numbers = {
        "machine": f"{platform.machine()}, two shared cores, {platform.system()}",
        "build": build_name(),
        "rules": dict(zip(map(str, RULES), by_rules, strict=True)),
        "backends": dict(zip(map(str, BACKENDS), by_backends, strict=True)),
    }
    (OUT / "growth.json").write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
