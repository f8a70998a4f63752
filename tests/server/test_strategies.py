"""Strategies, health checks and resuming through the real process."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.support.proxy import Proxy
from tests.support.responses import DONE, END, SSE_HEAD, http, word
from tests.support.upstream import Upstream, reset, serve_well
from tests.support.wait import eventually, pace

Serve = Callable[..., Proxy]


@pytest.fixture
def serve(tmp_path: Path, upstreams: dict[str, Upstream]) -> Iterator[Serve]:
    """Run a proxy on backends a and b and one rule over both."""
    for upstream in upstreams.values():
        upstream.reset()
    started: list[Proxy] = []

    def run(rule: dict[str, Any], a: dict[str, Any] | None = None, **b: Any) -> Proxy:
        policy = {
            "backends": [
                {"name": "a", "inferenceServiceRef": {"name": "a"}, **(a or {})},
                {"name": "b", "inferenceServiceRef": {"name": "b"}, **b},
            ],
            "rules": [{"name": "r", "route": {"backends": ["a", "b"]}, **rule}],
        }
        ports = {"a": upstreams["local"].port, "b": upstreams["cloud"].port}
        addresses = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        proxy = Proxy(tmp_path, policy, addresses)
        started.append(proxy)
        return proxy

    yield run
    for proxy in started:
        assert proxy.stop() == 0
        assert "Traceback" not in proxy.log.read_text()


def test_weights_share_requests_out_and_the_order_is_in_the_record(serve: Serve) -> None:
    proxy = serve(
        {"route": {"backends": ["a", "b"], "strategy": "weighted"}}, a={"weight": 3}, weight=1
    )
    for _ in range(40):
        assert proxy.ask().status == 200
    records = [proxy.record() for _ in range(40)]
    assert Counter(record["backend"] for record in records) == {"a": 30, "b": 10}
    assert {tuple(record["order"]) for record in records} == {("a", "b"), ("b", "a")}


def test_a_shadow_gets_a_copy_that_can_neither_delay_nor_fail_a_caller(
    serve: Serve, local: Upstream, cloud: Upstream
) -> None:
    proxy = serve({"route": {"backends": ["a", "b"], "strategy": "shadow", "shadowPercent": 100}})

    answered = threading.Event()

    def sulk(connection: socket.socket, _: bytes) -> None:
        assert answered.wait(timeout=60)  # the caller does not wait for this
        reset(connection)

    for number, script in enumerate((serve_well, sulk), start=1):
        cloud.script = script
        answer = proxy.ask()
        assert answer.status == 200
        assert "x-lockgate-backend: a" in answer.head
        eventually(lambda number=number: len(cloud.requests) == number)  # type: ignore[misc]
    answered.set()
    assert b'"model": "b"' in cloud.requests[0] or b'"model":"b"' in cloud.requests[0]
    for outcome in ("answered", "failed"):
        line = f'lockgate_shadow_copies_total{{backend="b",outcome="{outcome}"}} 1.0'
        eventually(lambda line=line: line in proxy.get("/metrics"))  # type: ignore[misc]
    assert [proxy.record()["attempts"][0]["backend"] for _ in range(2)] == ["a", "a"]
    assert proxy.flushed() == []
    assert 'breaker_state{backend="b"} 0.0' in proxy.get("/metrics")


def test_nobody_but_the_first_answers_under_shadow(serve: Serve, local: Upstream) -> None:
    proxy = serve({"route": {"backends": ["a", "b"], "strategy": "shadow"}})
    local.script = lambda c, _: c.sendall(http(401, b"{}"))
    assert proxy.ask().status == 502
    assert {a["backend"] for a in proxy.record()["attempts"]} == {"a"}


def test_a_backend_whose_health_check_fails_is_out_until_it_is_well_again(
    serve: Serve, local: Upstream
) -> None:
    check = {"path": "/health", "intervalSeconds": 1, "timeoutSeconds": 1}
    healthy = False

    def script(connection: socket.socket, request: bytes) -> None:
        if request.startswith(b"GET /health "):
            connection.sendall(http(200 if healthy else 503, b"{}"))
        else:
            serve_well(connection, request)

    local.script = script
    proxy = serve({}, a={"healthCheck": check})
    eventually(lambda: 'backend_healthy{backend="a"} 0.0' in proxy.get("/metrics"))
    assert "x-lockgate-backend: b" in proxy.ask().head
    assert proxy.record()["skipped"] == [{"backend": "a", "reason": "unhealthy"}]
    healthy = True
    eventually(lambda: 'backend_healthy{backend="a"} 1.0' in proxy.get("/metrics"))
    assert "x-lockgate-backend: a" in proxy.ask().head


def test_with_every_backend_out_callers_learn_when_to_come_back(
    serve: Serve, local: Upstream, cloud: Upstream
) -> None:
    local.script = cloud.script = lambda c, _: c.sendall(http(500, b"{}"))
    check = {"healthCheck": {"intervalSeconds": 1, "timeoutSeconds": 1}}
    proxy = serve({}, a=check, **check)
    eventually(lambda: proxy.get("/metrics").count("backend_healthy{") == 2)
    eventually(lambda: 'healthy{backend="a"} 0.0' in proxy.get("/metrics"))
    eventually(lambda: 'healthy{backend="b"} 0.0' in proxy.get("/metrics"))
    answer = proxy.ask()
    assert (answer.status, answer.code) == (503, "upstreams_unavailable")
    assert "retry-after: " in answer.head


def test_the_sdk_sees_one_answer_where_a_stream_died_and_was_resumed(
    serve: Serve, local: Upstream, cloud: Upstream
) -> None:
    def die(connection: socket.socket, _: bytes) -> None:
        connection.sendall(SSE_HEAD + word("one ") + word("two "))
        pace(0.1)
        reset(connection)

    local.script = die
    cloud.script = lambda c, _: c.sendall(SSE_HEAD + word("one two ") + word("three") + END + DONE)
    proxy = serve({"recovery": "resume"})
    sdk = openai.OpenAI(base_url=f"http://127.0.0.1:{proxy.port}/v1", api_key="x", max_retries=0)
    stream = sdk.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "count"}], stream=True
    )
    text = "".join(part.choices[0].delta.content or "" for part in stream if part.choices)
    assert text == "one two three"
    record = proxy.record()
    assert [a["backend"] for a in record["attempts"]] == ["a", "b"]
    assert [a["outcome"] for a in record["attempts"]] == ["upstream_truncated", "complete"]
    assert (record["outcome"], record["backend"]) == ("complete", "b")
    assert record["tokens"]["source"] == "summed"
    assert json.loads(local.requests[0].partition(b"\r\n\r\n")[2])["messages"]


def test_a_rule_that_refuses_asks_nobody_and_says_which_it_was(
    serve: Serve, local: Upstream, cloud: Upstream
) -> None:
    proxy = serve({"match": {"models": ["no*"]}, "route": {"refuse": True}})
    answer = proxy.ask(model="nothing")
    assert (answer.status, answer.code) == (503, "refused_by_rule")
    assert "x-should-retry: false" in answer.head
    record = proxy.record()
    assert (record["rule"], record["outcome"], record["terminal"]) == ("r", "refused_policy", "Pr-policy")  # fmt: skip
    assert (record["attempts"], record["candidates"]) == ([], [])
    assert (local.connections, cloud.connections) == (0, 0)
