"""Mixed faults for minutes: ``python -m tests.faults.soak [SECONDS]``.

Callers ask, leave, reset, drip and never read; upstreams answer, reset, stall, lie and flap; policies
change. At the end descriptors, deadlines, permits and the memory budget are back where they were.
"""

import json
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.faults.rig import HARD, PII, POLICY, Rig, body, request
from tests.http1.corpus import BAD, BAD_ANSWERS
from tests.support.proxy import Proxy, secrets
from tests.support.responses import DONE, END, SSE_HEAD, http, word
from tests.support.upstream import Upstream, reset, serve_well

CALLERS = 16
MODELS = ("m", "alone", "strict", "twice", "once", "resume")


def upstream_script(chance: random.Random) -> Any:
    """Return a script that does something else each time."""

    def script(connection: socket.socket, one: bytes) -> None:
        kind = chance.random()
        stream = b'"stream": true' in one
        if kind < 0.6:
            if stream:
                connection.sendall(SSE_HEAD)
                for _ in range(chance.randrange(1, 30)):
                    connection.sendall(word("w"))
                    time.sleep(chance.random() * 0.01)
                connection.sendall(END + DONE)
            else:
                serve_well(connection, one)
        elif kind < 0.7:
            reset(connection)
        elif kind < 0.8 and stream:
            connection.sendall(SSE_HEAD + word("x") * chance.randrange(20))
            raise OSError
        elif kind < 0.85:
            connection.sendall(chance.choice(list(BAD_ANSWERS.values()))[:5000])
            raise OSError
        elif kind < 0.95:
            connection.sendall(
                http(chance.choice([400, 401, 404, 429, 500, 503]), b'{"error": {"message": "x"}}')
            )
        else:
            time.sleep(0.4)
            connection.close()

    return script


def client(port: int, chance: random.Random, until: float, seen: Counter[str]) -> None:
    """Ask in every way until the time is over."""
    while time.monotonic() < until:
        kind = chance.random()
        document = body(chance.choice(MODELS), stream=chance.random() < 0.5)
        fields = [f"{k}: {v}" for k, v in (PII, HARD) if chance.random() < 0.3]
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                if kind < 0.1:
                    connection.sendall(request(document)[: chance.randrange(200)])
                    seen["left in the request"] += 1
                    continue
                if kind < 0.2:
                    connection.sendall(chance.choice(list(BAD.values()))[0])
                    connection.recv(1024)
                    seen["nonsense"] += 1
                    continue
                connection.sendall(request(document, *fields, close=True))
                if kind < 0.35:
                    connection.recv(chance.randrange(1, 2000))
                    seen["left in the answer"] += 1
                    reset(connection) if kind < 0.28 else None
                    continue
                data = b""
                while piece := connection.recv(65536):
                    data += piece
                seen[data[9:12].decode("latin-1") or "cut"] += 1
        except OSError:
            seen["reset"] += 1


def main() -> None:
    """Soak, and say what was seen."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    seed = int(os.environ.get("SEED", "1"))
    folder = Path(tempfile.mkdtemp())
    upstreams = {name: Upstream() for name in ("local", "cloud")}
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    policy = {**POLICY, "proxy": {**POLICY["proxy"], "memoryBudget": "64Mi"}}
    proxy = Proxy(folder, policy, addresses, "--secrets", str(secrets(folder)))
    rig = Rig(proxy, upstreams["local"], upstreams["cloud"])
    seen: Counter[str] = Counter()
    for number, upstream in enumerate(upstreams.values()):
        upstream.script = upstream_script(random.Random(seed * 10 + number))
    memory = []

    def soak(took: float) -> None:
        until = time.monotonic() + took
        threads = [
            threading.Thread(
                target=client, args=(proxy.port, random.Random(seed * 1000 + n), until, seen)
            )
            for n in range(CALLERS)
        ]
        for thread in threads:
            thread.start()
        number = 0
        while time.monotonic() < until:
            time.sleep(min(2, max(until - time.monotonic(), 0)))
            number += 1
            changed = json.loads(json.dumps(policy))
            changed["rules"][-1]["name"] = f"all-{number}"
            proxy.policy_file.write_text(json.dumps(changed))
            proxy.process.send_signal(signal.SIGHUP)
            memory.append(rig.metrics()["process_resident_memory_bytes"] / 2**20)
        for thread in threads:
            thread.join()

    soak(min(seconds / 10, 30))  # caches fill and allocators settle
    warm = memory[-1]
    soak(seconds)
    print(f"{sum(seen.values())} requests in {seconds:.0f} s (seed {seed}):")
    for what, count in seen.most_common():
        print(f"  {what:<20} {count}")
    rig.hold_the_invariants()
    now = rig.metrics()
    print(f"  descriptors {now['process_open_fds']:.0f}, deadlines {now['lockgate_timers']:.0f}, "
          f"permits {now['lockgate_permits_out']:.0f}, budget held {now['lockgate_memory_held_bytes']:.0f}: "
          "all as at the start")  # fmt: skip
    print(f"  resident {warm:.0f} MiB after warming up, {memory[-1]:.0f} MiB at the end")
    assert memory[-1] < warm + 16, memory
    assert proxy.stop() == 0


if __name__ == "__main__":
    main()
