"""The life of the process: readiness, reload, drain."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.net.conftest import DONE, END, POLICY, ROOT, SSE_HEAD, Answer, Proxy, Upstream, word


@pytest.fixture
def own(tmp_path: Path, upstreams: dict[str, Upstream]) -> Iterator[Proxy]:
    """A proxy of the test's own, with an audit file."""
    for upstream in upstreams.values():
        upstream.reset()
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(tmp_path, POLICY, addresses, "--drain-grace", "1s")
    yield proxy
    if proxy.process.poll() is None:
        proxy.stop(signal.SIGKILL)


def changed() -> dict[str, Any]:
    policy: dict[str, Any] = json.loads(json.dumps(POLICY))
    policy["rules"][-1]["name"] = "everything"
    return policy


def digest(proxy: Proxy) -> str:
    return proxy.ask().head.split("x-lockgate-policy: ")[1].split("\r\n")[0]


def test_a_changed_policy_file_is_picked_up_whole(own: Proxy) -> None:
    before = digest(own)
    new = own.policy_file.with_suffix(".new")
    new.write_text(json.dumps(changed()))
    new.rename(own.policy_file)
    deadline = time.monotonic() + 5
    while digest(own) == before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "x-lockgate-rule: everything" in own.ask().head


@pytest.mark.parametrize("text", ["", "{", '{"backends": [], "backends": []}', "x" * 100])
def test_x3_a_policy_that_does_not_load_is_refused_whole_and_the_old_one_kept(
    own: Proxy, text: str
) -> None:
    before = digest(own)
    own.policy_file.write_text(text)
    own.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 5
    while 'reloads_total{result="refused"}' not in own.get("/metrics"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert digest(own) == before
    assert "does not load" in own.log.read_text()


def test_x2_twenty_hangups_fail_no_request(own: Proxy) -> None:
    for number in range(20):
        own.policy_file.write_text(json.dumps(changed() if number % 2 else POLICY))
        own.process.send_signal(signal.SIGHUP)
        assert own.ask().status == 200


def test_p6_a_reload_narrows_what_a_waiting_request_may_still_try(
    own: Proxy, upstreams: dict[str, Upstream]
) -> None:
    local, cloud = upstreams["local"], upstreams["cloud"]

    def fail_after_reload(connection: socket.socket, _: bytes) -> None:
        policy = json.loads(json.dumps(POLICY))
        policy["rules"][-1]["route"]["backends"] = ["local"]
        own.policy_file.write_text(json.dumps(policy))
        own.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        connection.close()

    local.script = fail_after_reload
    answer = own.ask()
    assert answer.status == 502
    assert cloud.requests == []
    assert own.record()["skipped"][-1] == {"backend": "cloud", "reason": "policy_changed"}


def test_x1_sigterm_lets_streams_finish_and_cuts_the_rest_with_an_error(
    own: Proxy, upstreams: dict[str, Upstream]
) -> None:
    def script(connection: socket.socket, request: bytes) -> None:
        connection.sendall(SSE_HEAD + word("one"))
        time.sleep(0.4 if b'"short"' in request else 5)
        connection.sendall(word("two") + END + DONE)

    upstreams["local"].script = script
    answers: dict[str, Answer] = {}

    def ask(kind: str) -> None:
        answers[kind] = own.ask({"model": "m", "user": kind, "stream": True})

    threads = [threading.Thread(target=ask, args=(kind,)) for kind in ("short", "long")]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    assert own.stop() == 0
    for thread in threads:
        thread.join(timeout=5)
    assert answers["short"].clean
    assert b"[DONE]" in answers["short"].body
    assert not answers["long"].clean
    assert b'"draining"' in answers["long"].body
    outcomes = {own.record()["outcome"], own.record()["outcome"]}
    assert outcomes == {"complete", "drained"}


def test_the_drain_delay_still_accepts_and_readiness_is_off(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    upstreams["local"].reset()
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(tmp_path, POLICY, addresses, "--drain-delay", "800ms")
    proxy.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    with pytest.raises(urllib.error.HTTPError) as unready:
        proxy.get("/readyz")
    assert unready.value.code == 503
    assert proxy.get("/healthz") == "ok\n"
    answer = proxy.ask()
    assert answer.status == 200
    assert "connection: close" in answer.head
    assert proxy.process.wait(timeout=10) == 0


def test_audit_to_a_file_and_hangup_after_rotation(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    upstreams["local"].reset()
    audit = tmp_path / "audit.jsonl"
    policy = {**POLICY, "policy": {"auditLog": {"sink": "file", "filePath": str(audit)}}}
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(tmp_path, policy, addresses)
    proxy.ask()
    time.sleep(0.2)
    audit.rename(tmp_path / "old.jsonl")
    proxy.process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    proxy.ask()
    assert proxy.stop() == 0
    lines = [(tmp_path / name).read_text().splitlines() for name in ("old.jsonl", "audit.jsonl")]
    assert [len(part) for part in lines] == [1, 1]
    assert [json.loads(part[0])["sequence"] for part in lines] == [1, 2]
    assert audit.stat().st_mode & 0o777 == 0o600


def test_addresses_are_checked_at_connect_time(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    policy: dict[str, Any] = json.loads(json.dumps(POLICY))
    del policy["backends"][1]["external"]["allowPrivateAddress"]
    cloud = upstreams["cloud"]
    cloud.reset()
    addresses = {"local": "http://192.0.2.1:9", "cloud": f"http://127.0.0.1:{cloud.port}"}
    proxy = Proxy(tmp_path, policy, addresses)
    answer = proxy.ask()
    assert (answer.status, answer.code) == (502, "upstream_address")
    codes = [attempt["outcome"] for attempt in proxy.record()["attempts"]]
    assert codes == ["upstream_address"] * len(codes)
    assert cloud.connections == 0
    proxy.stop()


def test_a_missing_key_takes_its_backend_out_and_nothing_else(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    for upstream in upstreams.values():
        upstream.reset()
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(tmp_path, POLICY, addresses, "--secrets", str(tmp_path / "none"))
    answer = proxy.ask(None, ("x-llmkube-task-complexity", "complex"))
    assert "x-lockgate-backend: local" in answer.head
    assert proxy.record()["skipped"] == [{"backend": "cloud", "reason": "credentials_missing"}]
    assert 'lockgate_credentials_missing{backend="cloud"} 1.0' in proxy.get("/metrics")
    proxy.stop()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--policy", "/nonexistent"], "cannot be read"),
        (["--policy", "POLICY", "--listen", "nowhere"], "HOST:PORT"),
        (["--policy", "POLICY", "--address", "moon=http://127.0.0.1:1"], "names no backend"),
        (["--policy", "BROKEN"], "is not a field"),
    ],
)
def test_what_does_not_load_is_exit_2_with_a_reason(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "POLICY").write_text(json.dumps(POLICY))
    (tmp_path / "BROKEN").write_text(json.dumps({**POLICY, "rulez": []}))
    run = [sys.executable, "-m", "proxy.cli.main", "serve"]
    run += [str(tmp_path / a) if a in {"POLICY", "BROKEN"} else a for a in arguments]
    done = subprocess.run(run, capture_output=True, text=True, check=False, cwd=ROOT, timeout=30)
    assert done.returncode == 2
    assert said in done.stderr
