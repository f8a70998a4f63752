"""Rows X5 and X14: several processes, one of which goes."""

import os
import signal
import urllib.error
from pathlib import Path

import pytest

from tests.faults.conftest import Start
from tests.faults.load import Load
from tests.faults.rig import POLICY, changed
from tests.support.proxy import Proxy, secrets
from tests.support.upstream import Upstream
from tests.support.wait import eventually, let_pass

fault = pytest.mark.fault


@fault("X5", "kill -9 of one of two workers under load", "another at once, the other goes on")
def test_x5_a_worker_is_killed(tmp_path: Path, upstreams: dict[str, Upstream]) -> None:
    upstreams["local"].reset()
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    held = secrets(tmp_path)
    proxy = Proxy(tmp_path, POLICY, addresses, "--secrets", str(held), "--workers", "2")
    children = Path(f"/proc/{proxy.process.pid}/task/{proxy.process.pid}/children")
    before = [int(pid) for pid in children.read_text().split()]
    assert len(before) == 2
    for _ in range(40):
        assert proxy.ask().status == 200
    load = Load(proxy.port)
    let_pass(0.3)
    os.kill(before[0], signal.SIGKILL)
    eventually(lambda: len(set(children.read_text().split())) == 2)
    assert str(before[1]) in children.read_text().split()
    eventually(lambda: _ready(proxy), seconds=30)
    load.stop()
    # what the dead one was at, a caller each, and as much in its backlog (ADR 9)
    assert len(load.failures) <= 8, load.failures
    assert load.count > 4
    for _ in range(40):
        assert proxy.ask().status == 200
    assert 'worker_restarts_total{worker="0"} 1.0' in proxy.get("/metrics")
    proxy.process.send_signal(signal.SIGHUP)
    assert proxy.ask().status == 200
    assert proxy.stop() == 0
    records = proxy.flushed()
    assert {record["worker"] for record in records} == {0, 1}
    assert {record["outcome"] for record in records} == {"complete"}
    sequence = {n: [r["sequence"] for r in records if r["worker"] == n] for n in (0, 1)}
    assert sequence[1] == list(range(1, len(sequence[1]) + 1))
    again = sequence[0].index(1, 1)  # what a kill may lose is the last 100 ms before it
    assert sequence[0] == [*range(1, again + 1), *range(1, len(sequence[0]) - again + 1)]


def _ready(proxy: Proxy) -> bool:
    try:
        return proxy.get("/readyz") == "ready\n"
    except urllib.error.HTTPError:
        return False


@fault("X5", "the parent is killed", "the workers drain")
def test_x5_workers_do_not_outlive_their_parent(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(tmp_path, POLICY, addresses, "--workers", "2")
    children = Path(f"/proc/{proxy.process.pid}/task/{proxy.process.pid}/children")
    pids = [int(pid) for pid in children.read_text().split()]
    proxy.process.kill()
    proxy.process.wait()
    eventually(lambda: not any(_runs(pid) for pid in pids))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@fault(
    "X14", "two replicas, two policies, a rolling restart under load", "digests tell; none failed"
)
def test_x14_a_rolling_update(start: Start) -> None:
    first, second = (
        start("--drain-delay", "1s"),
        start("--drain-delay", "1s", policy=changed("new")),
    )
    digests = {rig.ask().head.split("x-lockgate-policy: ")[1][:71] for rig in (first, second)}
    assert len(digests) == 2
    for rig in (first, second):
        assert rig.record()["policy_digest"] in digests
        assert (
            f'lockgate_policy_info{{digest="{rig.records[-1]["policy_digest"]}"}} 1.0'
            in rig.proxy.get("/metrics")
        )
    load = Load(first.proxy.port)
    first.proxy.process.send_signal(signal.SIGTERM)
    eventually(lambda: not _ready(first.proxy))
    load.port = second.proxy.port  # what a Service does once readiness is off
    assert first.proxy.process.wait(timeout=30) == 0
    load.stop()
    assert load.failures == []
    assert load.count > 0
