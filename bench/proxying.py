"""One core of Lockgate against nginx `proxy_pass` on the same core, in the same run.

Ten rules, the audit on to a file; a 900-byte body, a 850-byte answer; the upstream (nginx) and the
load (wrk) on the other core. Medians of three, alternating.
"""

import re
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from house import BODY, LOAD_CORE, Bench, bench, build_name, need

ROUNDS = 3


def wrk(held: Bench, port: int, connections: int, seconds: int) -> tuple[float, float]:
    """Return requests a second and the median latency in microseconds."""
    script = held.folder / "post.lua"
    script.write_text(
        'wrk.method="POST"\nwrk.path="/v1/chat/completions"\n'
        f'wrk.headers["content-type"]="application/json"\nwrk.body=[[{BODY}]]\n'
    )
    done = subprocess.run(
        [
            *("taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"),
            *("--latency", "-s", str(script), f"http://127.0.0.1:{port}"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    if "Non-2xx" in done.stdout:
        print(done.stdout)
        sys.exit(1)
    rate = float(re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)[1])  # type: ignore[index]
    number, unit = re.search(r"50%\s+([0-9.]+)(us|ms|s)", done.stdout).groups()  # type: ignore[union-attr]
    return rate, float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def main() -> None:
    """Print the table."""
    need("nginx", "wrk", "taskset")
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    print(build_name())
    with bench() as held:
        upstream = held.upstream()
        ports = {"nginx": held.nginx_proxy(upstream), "lockgate": held.lockgate(upstream)[0]}
        for port in ports.values():
            wrk(held, port, 32, 1)
        for connections in (32, 1):
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in ports}
            for _ in range(ROUNDS):
                for name, port in ports.items():
                    found[name].append(wrk(held, port, connections, seconds))
            show(connections, found)


def show(connections: int, found: dict[str, list[tuple[float, float]]]) -> None:
    """Print one row a server, and the ratio."""
    rates, latencies = {}, {}
    print(f"{connections} connection(s), median of {ROUNDS}:")
    for name, rounds in found.items():
        rates[name] = statistics.median(rate for rate, _ in rounds)
        latencies[name] = statistics.median(latency for _, latency in rounds)
        print(f"  {name:<10} {rates[name]:>8.0f} requests/s   p50 {latencies[name]:>6.0f} us")
    ratio = rates["lockgate"] / rates["nginx"]
    slower = latencies["lockgate"] / latencies["nginx"]
    print(f"  ratio      {ratio:>8.2f} of nginx       p50 x {slower:.2f}")


if __name__ == "__main__":
    main()
