"""Rows that need a network of their own: run under ``unshare --net``."""

import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tests.faults.dns import NXDOMAIN, Dns
from tests.faults.rig import POLICY, Rig, body, request
from tests.faults.test_client import full_backlog
from tests.support.proxy import Proxy, free_port
from tests.support.upstream import Upstream, serve_well


def network() -> None:
    """Bring loopback up, with IPv4 and IPv6."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def local_only(addresses: dict[str, str], *more: str) -> tuple[Rig, Upstream]:
    """Run a proxy on one backend."""
    policy = {**POLICY, "backends": POLICY["backends"][:1], "rules": []}
    policy["defaultRoute"] = "local"
    upstream = Upstream()
    filled = {k: v.replace("PORT", str(upstream.port)) for k, v in addresses.items()}
    proxy = Proxy(Path(tempfile.mkdtemp()), policy, filled, *more)
    return Rig(proxy, upstream, upstream), upstream


def ports() -> None:
    """U8: eleven local ports; what finds none is 503 and nobody's fault."""
    goes_on = threading.Event()
    rig, upstream = local_only({"local": "http://127.0.0.1:PORT"})
    listener = ("127.0.0.1", rig.proxy.port)
    connections = [socket.create_connection(listener) for _ in range(30)]
    rig.metrics()
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40010")

    def script(connection: socket.socket, one: bytes) -> None:
        goes_on.wait(timeout=60)
        serve_well(connection, one)

    upstream.script = script
    statuses = []
    for connection in connections:
        connection.settimeout(0.2)
        connection.sendall(request(body()))
        try:
            statuses.append(connection.recv(65536).split(b" ")[1])
        except TimeoutError:
            statuses.append(b"waiting")
    goes_on.set()
    assert set(statuses) == {b"waiting", b"503"}, statuses
    assert statuses.count(b"waiting") <= 11
    for connection in connections:
        if statuses.pop(0) == b"waiting":
            connection.settimeout(10)
            assert connection.recv(65536).split(b" ")[1] == b"200"
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("32768 60999")
    records = [rig.record() for _ in range(30)]
    refused = [r for r in records if r["status"] == 503]
    assert {r["error"] for r in refused} == {"proxy_capacity"}
    assert {r["outcome"] for r in refused} == {"refused_overload"}
    assert rig.grew("lockgate_breaker_failures") == 0
    for connection in connections:
        connection.close()
    rig.hold_the_invariants()
    assert rig.proxy.stop() == 0


def dead_v6() -> None:
    """X17: the name has an IPv6 address where nobody accepts, and a good IPv4 one."""
    listener, waiting = full_backlog()
    port = listener.getsockname()[1]
    six = socket.socket(socket.AF_INET6)
    six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    for one in (*waiting, listener):
        one.close()
    upstream = Upstream()
    port = upstream.port
    six.bind(("::1", port))
    six.listen(0)
    stuck = []
    for _ in range(4):
        one = socket.socket(socket.AF_INET6)
        one.setblocking(False)
        one.connect_ex(("::1", port))
        stuck.append(one)
    meaning = {"both.test": ["::1", "127.0.0.1"], "six.test": ["::1"]}
    dns = Dns(lambda name: meaning.get(name, NXDOMAIN))
    rig, _ = local_only(
        {"local": f"http://both.test:{port}"}, "--resolver", f"127.0.0.1:{dns.port}"
    )
    answer = rig.ask()
    assert answer.status == 200, answer.raw
    record = rig.record()
    assert 200 <= record["attempts"][0]["ms"] < 900, record
    assert free_port()
    rig.hold_the_invariants()
    assert rig.proxy.stop() == 0


if __name__ == "__main__":
    network()
    {"ports": ports, "dead-v6": dead_v6}[sys.argv[1]]()
