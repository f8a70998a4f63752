"""Rows P and A: what the policy keeps in, and what the records say."""

import socket
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Start
from tests.faults.rig import HARD, PII, Rig, body, changed
from tests.support.responses import SSE_HEAD, http, word
from tests.support.upstream import reset, serve_well
from tests.support.wait import let_pass

fault = pytest.mark.fault


@fault("P8", "canary keys and prompts in every row", "in no response, record or log")
def test_p8_the_key_goes_to_its_backend_alone(rig: Rig) -> None:
    assert (
        rig.ask(None, HARD, ("authorization", "Bearer sk-mine"), ("x-api-key", "k")).status == 200
    )
    assert rig.ask().status == 200
    assert b"authorization: Bearer sk-CANARY" in rig.cloud.requests[0]
    assert b"sk-CANARY" not in rig.local.requests[0]
    for sent in (*rig.cloud.requests, *rig.local.requests):
        assert b"sk-mine" not in sent
    environ = Path(f"/proc/{rig.proxy.process.pid}/environ").read_bytes()
    assert b"sk-CANARY" not in environ


@fault("A6", "quotes, newlines and escapes in a client's header and model", "one line, escaped")
@pytest.mark.parametrize("text", ['"', "\\", '", "rule": "x', "\x85", "\x9b31m", "\t"])
def test_a6_a_record_is_one_line(rig: Rig, text: str) -> None:
    model = "a" + "".join(c for c in text if c.isprintable())
    rig.ask(body(model), ("x-llmkube-team", f"a{text}b"))
    record = rig.record()  # read line by line: two lines would be no JSON
    team = f"a{text}b".encode().decode("latin-1")
    assert (record["model"], record["team"]) == (model, team)


DOWN = [
    lambda c, _: c.sendall(http(500, b"{}")),
    lambda c, _: c.sendall(http(429, b"{}", "retry-after: 60")),
    lambda c, _: c.sendall(http(401, b"{}")),
    lambda c, _: reset(c),
    lambda c, _: c.sendall(http(200, b"<html>", kind="text/html")),
]


@fault("P2", "every local backend down in five ways", "503, the cloud is never asked")
def test_p2_a_sensitive_request_meets_only_local_backends(rig: Rig) -> None:
    for script in DOWN:
        rig.local.script = script
        answer = rig.ask(None, PII, HARD)
        assert (answer.status, answer.code) == (503, "no_allowed_upstream")
    assert rig.cloud.requests == []
    rig.local.script = serve_well


def leaking() -> dict[str, Any]:
    """Return a policy whose every rule, default and name would take sensitive data to the cloud."""
    policy = changed("all")
    policy["rules"] = [
        {"name": name, "match": {"models": [name]},
         "route": {"backends": ["cloud", "local"], "strategy": strategy}, **more}
        for name, strategy, more in (
            ("primary", "primary-fallback", {}), ("weighted", "weighted", {}),
            ("resume", "primary-fallback", {"recovery": "resume"}),
        )
    ]  # fmt: skip
    shadow = {"backends": ["local", "cloud"], "strategy": "shadow", "shadowPercent": 100}
    policy["rules"].append({"name": "shadow", "match": {"models": ["shadow"]}, "route": shadow})
    return {**policy, "defaultRoute": "cloud", "defaultRouteStrategy": "BackendNameMatch"}


@fault("P2", "a policy that leaks in every rule, its default and its names", "the bound holds")
@pytest.mark.parametrize("label", ["pii", "phi", "publc", "", "public,", "public, pii"])
def test_p2_the_bound_needs_no_policy(start: Start, label: str) -> None:
    rig = start(policy=leaking())
    field = (PII[0], label)
    for model in ("primary", "weighted", "resume", "shadow"):
        for _ in range(4):
            assert "x-lockgate-backend: local" in rig.ask(body(model), field).head
    for model in ("cloud", "anything"):
        answer = rig.ask(body(model), field)
        assert (answer.status, answer.code) == (503, "refused_by_policy")

    def dies(connection: socket.socket, _: bytes) -> None:
        connection.sendall(SSE_HEAD + word("one"))
        reset(connection)

    rig.local.script = dies
    assert not rig.ask(body("resume", stream=True), field).clean
    for script in DOWN:
        rig.local.script = script
        for model in ("primary", "weighted", "resume", "shadow"):
            answer = rig.ask(body(model), field)
            assert (answer.status, answer.code) == (503, "no_allowed_upstream")
    let_pass(0.2)  # for a copy that must not be made
    assert rig.cloud.connections == 0
    rig.local.script = serve_well
    assert "x-lockgate-backend: cloud" in rig.ask(body("primary")).head
