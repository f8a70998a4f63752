"""A reload: every field of the new policy acts, or the policy is refused."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.proxy import POLICY, Proxy
from tests.support.responses import SSE_HEAD, word
from tests.support.upstream import Upstream
from tests.support.wait import eventually, pace


@pytest.fixture
def running(tmp_path: Path, upstreams: dict[str, Upstream]) -> Iterator[Proxy]:
    for upstream in upstreams.values():
        upstream.reset()
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    policy = {**POLICY, "proxy": {"memoryBudget": "64Mi", "quarantineDuration": "60s"}}
    proxy = Proxy(tmp_path, policy, addresses)
    yield proxy
    if proxy.process.poll() is None:
        proxy.stop(signal.SIGKILL)
    assert "Traceback" not in proxy.log.read_text()


def reload(proxy: Proxy, **proxy_fields: Any) -> None:
    policy = json.loads(proxy.policy_file.read_text())
    policy["proxy"] |= proxy_fields
    proxy.policy_file.write_text(json.dumps(policy))
    before = proxy.log.read_text().count("in force")
    proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: proxy.log.read_text().count("in force") > before)


def test_x2_the_memory_budget_of_a_new_policy_acts(running: Proxy) -> None:
    assert "lockgate_memory_budget_bytes 6.7108864e+07" in running.get("/metrics")
    reload(running, memoryBudget="48Mi")
    assert "lockgate_memory_budget_bytes 5.0331648e+07" in running.get("/metrics")


def test_x2_the_quarantine_of_a_new_policy_acts_on_breakers_that_stay(
    running: Proxy, local: Upstream
) -> None:
    local.script = lambda connection, _: connection.close()
    pii = ("x-llmkube-classification", "pii")
    reload(running, quarantineDuration="200ms")

    def is_quarantined() -> bool:
        answer = running.ask(None, pii)
        return answer.status != 502 and "retry-after" in answer.head

    eventually(is_quarantined)
    local.reset()
    eventually(lambda: running.ask(None, pii).status == 200)  # 15 s and more by the old policy


def test_x1_the_drain_grace_of_a_new_policy_acts(running: Proxy, local: Upstream) -> None:
    def endless(connection: Any, _: bytes) -> None:
        connection.sendall(SSE_HEAD)
        while True:
            connection.sendall(word("x"))
            pace(0.1)

    local.script = endless
    reload(running, drainGrace="300ms")
    body = json.dumps({"model": "m", "messages": [], "stream": True}).encode()
    with running.connect() as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b"
            % (len(body), body)
        )
        assert connection.recv(1000)
        assert running.stop() == 0  # 60 s and more by the old policy


def test_x3_a_policy_that_moves_the_audit_log_is_refused(running: Proxy, tmp_path: Path) -> None:
    policy = json.loads(running.policy_file.read_text())
    policy["policy"] = {"auditLog": {"sink": "file", "filePath": str(tmp_path / "audit.jsonl")}}
    running.policy_file.write_text(json.dumps(policy))
    running.process.send_signal(signal.SIGHUP)
    refused = "policy.auditLog: cannot change while the proxy runs; restart the proxy"
    eventually(lambda: refused in running.log.read_text())
    assert running.ask().status == 200
    assert running.record()["outcome"] == "complete"
