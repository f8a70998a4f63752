"""Rows X2, X3 and P6: the policy changes while requests are under way."""

import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Start
from tests.faults.load import Load
from tests.faults.rig import POLICY, Rig, body, changed, request
from tests.support.proxy import ROOT, environment
from tests.support.responses import DONE, END, SSE_HEAD, word
from tests.support.upstream import Upstream, reset, serve_well
from tests.support.wait import eventually, let_pass

fault = pytest.mark.fault


def adopt(rig: Rig, policy: dict[str, Any]) -> None:
    """Put `policy` in force."""
    name = 'lockgate_policy_reloads_total{result="adopted"}'
    before = rig.metrics().get(name, 0)
    rig.proxy.policy_file.write_text(json.dumps(policy))
    rig.proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: rig.metrics().get(name, 0) > before)


def at(port: int, name: str = "moving") -> dict[str, Any]:
    """Return a policy whose one backend says itself where it is."""
    external = {"provider": "openai", "model": "m", "url": f"http://127.0.0.1:{port}/v1"}
    policy: dict[str, Any] = json.loads(json.dumps(POLICY))
    policy["backends"].append({"name": name, "tier": "local", "external": external})
    policy["rules"] = [{"name": "all", "route": {"backends": [name]}}]
    return policy


@fault(
    "X2", "20 SIGHUPs with changing policies under load", "no failed request, both policies seen"
)
def test_x2_reload_under_load(start: Start) -> None:
    rig = start()
    load = Load(rig.proxy.port)
    for number in range(20):
        rig.proxy.policy_file.write_text(json.dumps(changed(f"all-{number % 2}")))
        rig.proxy.process.send_signal(signal.SIGHUP)
        let_pass(0.05)
    load.stop()
    assert load.failures == []
    rules = {rig.record()["rule"] for _ in range(load.count)}
    assert {"all-0", "all-1"} <= rules


@fault("X2", "SIGHUP with an open breaker", "it stays open over the reload")
def test_x2_a_breaker_survives_a_reload(start: Start) -> None:
    policy = changed("all")
    policy["proxy"] = {"quarantineDuration": "60s"}
    rig = start(policy=policy)
    rig.local.script = lambda c, _: reset(c)
    for _ in range(5):
        rig.ask(body("alone"))
    assert rig.metrics()['lockgate_breaker_state{backend="local"}'] == 2
    rig.proxy.policy_file.write_text(json.dumps({**policy, "rules": policy["rules"][:-1]}))
    rig.proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: rig.grew("lockgate_policy_reloads_total") >= 1)
    answer = rig.ask(body("alone"))
    assert (answer.status, answer.code) == (503, "upstreams_unavailable")
    assert "retry-after: " in answer.head


@fault("X2", "SIGHUP while it starts", "it starts")
def test_x2_a_hangup_during_the_start(tmp_path: Path, upstreams: dict[str, Upstream]) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(POLICY))
    address = f"http://127.0.0.1:{upstreams['local'].port}"
    command = [sys.executable, "-m", "lockgate.cli.main", "serve", "--policy", str(policy)]
    command += [
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--address",
        f"local={address}",
    ]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(), stderr=log)
    ignored = 0
    while b" serving " not in (tmp_path / "log").read_bytes():
        assert process.poll() is None
        status = Path(f"/proc/{process.pid}/status").read_text()
        if int(status.split("SigIgn:\t")[1].split()[0], 16) & 1:
            ignored += 1
            process.send_signal(signal.SIGHUP)
        let_pass(0.01)
    assert ignored > 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0


@fault("X3", "garbage, missing, unreadable, duplicate keys, 10 MB, bad YAML", "the old one stays")
def test_x3_what_does_not_load_changes_nothing(start: Start) -> None:
    rig = start()
    before = rig.ask().head.split("x-lockgate-policy: ")[1][:71]
    texts = [
        "",
        "{",
        '{"backends": [], "backends": []}',
        "x" * 100,
        "a: &b\n- *b",
        " " * 10_000_000,
    ]
    for number, text in enumerate(texts, start=1):
        rig.proxy.policy_file.write_text(text)
        rig.proxy.process.send_signal(signal.SIGHUP)
        eventually(lambda number=number: rig.grew("lockgate_policy_reloads_total") >= number)
    rig.proxy.policy_file.unlink()
    rig.proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: rig.grew("lockgate_policy_reloads_total") > len(texts))
    assert rig.ask().head.split("x-lockgate-policy: ")[1][:71] == before
    log = rig.proxy.log.read_text()
    assert log.count("policy kept") >= len(texts) + 1
    assert "stands twice (first on line 1)" in log


@fault("X2", "a backend goes from the policy under its streams", "they end whole")
def test_x2_a_backend_that_goes_finishes_its_streams(start: Start) -> None:
    rig = start(policy=at(1))
    goes_on = threading.Event()

    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(SSE_HEAD + word("one"))
        goes_on.wait(timeout=60)
        connection.sendall(word("two") + END + DONE)

    rig.local.script = script
    adopt(rig, at(rig.local.port))
    with rig.connect() as connection:
        connection.sendall(request(body(stream=True)))
        data = connection.recv(65536)
        while b"one" not in data:
            data += connection.recv(65536)
        adopt(rig, at(rig.local.port, "another"))
        goes_on.set()
        while not data.endswith(b"0\r\n\r\n"):
            data += connection.recv(65536)
        rig.local.script = serve_well
        connection.sendall(request())  # the connection is as good as before
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert [rig.record()["outcome"] for _ in range(2)] == ["complete", "complete"]


@fault("X2", "a backend moves while it answers", "the next request goes where it is now")
def test_x2_a_connection_to_where_a_backend_was_is_not_used_again(start: Start) -> None:
    rig = start(policy=at(1))
    goes_on, moved = threading.Event(), Upstream()

    def script(connection: socket.socket, one: bytes) -> None:
        goes_on.wait(timeout=60)
        serve_well(connection, one)

    rig.local.script = script
    adopt(rig, at(rig.local.port))
    with rig.connect() as connection:
        connection.sendall(request())
        eventually(lambda: rig.local.requests)
        adopt(rig, at(moved.port))
        goes_on.set()
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert rig.ask().status == 200
    assert (len(rig.local.requests), len(moved.requests)) == (1, 1)
    moved.stop()


@fault("P6", "the policy narrows while a request waits for its second candidate", "it is not tried")
def test_p6_a_reload_narrows(start: Start) -> None:
    rig = start()

    def fail_after_reload(connection: socket.socket, _: bytes) -> None:
        policy = changed("all")
        policy["rules"][-1]["route"]["backends"] = ["local"]
        rig.proxy.policy_file.write_text(json.dumps(policy))
        rig.proxy.process.send_signal(signal.SIGHUP)
        eventually(lambda: rig.grew("lockgate_policy_reloads_total") >= 1)
        connection.close()

    rig.local.script = fail_after_reload
    assert rig.ask().status == 502
    assert rig.cloud.requests == []
    assert rig.record()["skipped"][-1] == {"backend": "cloud", "reason": "policy_changed"}
