"""Requests through the real process: answers, refusals, faults, and one record each."""

import http.client as http_client
import json
import socket
import threading

import openai
import pytest

from tests.support.proxy import Proxy
from tests.support.responses import DONE, END, SSE_HEAD, http, word
from tests.support.upstream import Upstream, reset
from tests.support.wait import let_pass, pace

PII = ("x-llmkube-classification", "pii")
HARD = ("x-llmkube-task-complexity", "complex")


def sdk(proxy: Proxy, **options: object) -> openai.OpenAI:
    url = f"http://127.0.0.1:{proxy.port}/v1"
    return openai.OpenAI(base_url=url, api_key="x", max_retries=0, **options)  # type: ignore[arg-type]


def test_the_sdk_gets_an_answer_and_one_record_is_left(proxy: Proxy, local: Upstream) -> None:
    answer = sdk(proxy).chat.completions.create(
        model="any", messages=[{"role": "user", "content": "hi"}]
    )
    assert answer.choices[0].message.content == "hello"
    record = proxy.record()
    assert record["outcome"] == "complete"
    assert (record["rule"], record["backend"], record["tier"]) == ("all", "local", "local")
    assert record["tokens"] == {"prompt": 3, "completion": 5, "source": "reported"}
    assert record["candidates"][1] == {"backend": "cloud", "tier": "cloud", "reason": "candidate"}
    assert record["deadlines"]["first_token_s"] == 120.0
    assert proxy.flushed() == []
    assert b'"model":"qwen"' in local.requests[0]


def test_nothing_of_the_caller_goes_up_but_what_the_backend_lists(
    proxy: Proxy, local: Upstream
) -> None:
    fields = (
        ("x-org", "blue"), ("cookie", "a=b"), ("authorization", "Bearer mine"), ("x-forwarded-for", "1.2.3.4"),
        ("x-llmkube-team", "red"), ("connection", "x-secret"), ("x-secret", "s"),
    )  # fmt: skip
    assert proxy.ask(None, *fields).status == 200
    head = local.requests[0].partition(b"\r\n\r\n")[0].decode().lower()
    names = {line.split(":")[0] for line in head.split("\r\n")[1:]}
    assert names == {
        "host", "content-type", "accept", "accept-encoding", "user-agent", "x-org", "x-request-id",
        "content-length",
    }  # fmt: skip
    assert "x-org: blue" in head


def test_the_key_goes_to_its_backend_and_nowhere_else(
    proxy: Proxy, local: Upstream, cloud: Upstream
) -> None:
    proxy.ask(None, HARD)
    proxy.ask()
    assert b"authorization: Bearer sk-CANARY" in cloud.requests[0]
    assert b"sk-CANARY" not in local.requests[0]
    assert "sk-CANARY" not in json.dumps([proxy.record(), proxy.record()])


def test_local_connections_are_reused_and_cloud_ones_are_fresh(
    proxy: Proxy, local: Upstream, cloud: Upstream
) -> None:
    for _ in range(3):
        proxy.ask()
        proxy.ask(None, HARD)
    assert local.connections <= 1
    assert cloud.connections == 3


def test_models_are_listed_by_their_published_ids(proxy: Proxy) -> None:
    assert [model.id for model in sdk(proxy).models.list()] == ["local", "cloud"]
    assert proxy.record()["door"] == "models"


def test_a_stream_arrives_as_it_is_sent(proxy: Proxy, local: Upstream) -> None:
    first_came = threading.Event()

    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(SSE_HEAD + word("one"))
        assert first_came.wait(timeout=60)  # nothing more is sent before the caller has the first
        connection.sendall(word("two") + END + DONE)

    local.script = script
    seen = []
    for part in sdk(proxy).chat.completions.create(model="m", messages=[], stream=True):
        seen.append(part.choices[0].delta.content)
        first_came.set()
    assert seen == ["one", "two", None]
    assert b'"include_usage":true' in local.requests[0]


@pytest.mark.parametrize("how", ["fin", "reset", "clean end", "error event"])
def test_a_cut_stream_is_an_error_and_never_an_end(proxy: Proxy, local: Upstream, how: str) -> None:
    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(SSE_HEAD + word("one"))
        pace(0.05)
        if how == "reset":
            reset(connection)
        elif how == "clean end":
            connection.sendall(b"0\r\n\r\n")
        elif how == "error event":
            connection.sendall(b'16\r\ndata: {"error": "boo"}\r\n\r\n')
        raise OSError

    local.script = script
    answer = proxy.ask(stream=True, body={"model": "m", "messages": []})
    assert not answer.clean
    assert b"[DONE]" not in answer.body
    assert b'"error"' in answer.body
    assert proxy.record()["outcome"] in {"truncated", "upstream_died"}
    with pytest.raises(openai.APIError):
        list(sdk(proxy).chat.completions.create(model="m", messages=[], stream=True))


def test_p2_a_sensitive_request_meets_only_local_backends_in_every_failure(
    proxy: Proxy, local: Upstream, cloud: Upstream
) -> None:
    scripts = {
        "500": lambda c, _: c.sendall(http(500, b"{}")),
        "429": lambda c, _: c.sendall(http(429, b"{}", "retry-after: 60")),
        "401": lambda c, _: c.sendall(http(401, b"{}")),
        "reset": lambda c, _: reset(c),
        "html": lambda c, _: c.sendall(http(200, b"<html>", kind="text/html")),
    }
    for script in scripts.values():
        local.script = script
        answer = proxy.ask(None, PII, HARD)
        assert (answer.status, answer.code) == (503, "no_allowed_upstream")
        record = proxy.record()
        assert {attempt["tier"] for attempt in record["attempts"]} <= {"local"}
    assert cloud.requests == []


@pytest.mark.parametrize("label", ["pii", "PHI", "", "public,", "tpyo", "public,pii"])
def test_what_is_or_may_be_sensitive_never_reaches_the_cloud(
    proxy: Proxy, cloud: Upstream, label: str
) -> None:
    assert proxy.ask(None, ("x-llmkube-classification", label), HARD).status == 200
    record = proxy.record()
    assert (record["tier"], record["sensitive"]) == ("local", True)
    assert cloud.requests == []


def test_two_classification_fields_count_together(proxy: Proxy) -> None:
    proxy.ask(None, ("x-llmkube-classification", "public"), PII, HARD)
    assert proxy.record()["labels"] == ["pii", "public"]


@pytest.mark.parametrize(
    ("script", "attempts"),
    [
        (lambda c, _: c.sendall(http(500, b"{}")), 3),
        (lambda c, _: c.sendall(http(503, b"{}")), 3),
        (lambda c, _: c.sendall(http(429, b"{}")), 2),
        (lambda c, _: c.sendall(http(401, b'{"error": "sk-other"}')), 2),
        (lambda c, _: c.sendall(http(302, b"", "location: http://10.0.0.1/")), 2),
        (lambda c, _: c.sendall(http(200, b"<html></html>", kind="text/html")), 2),
        (lambda c, _: c.sendall(http(200, b'{"half": ')), 2),
        (lambda c, _: c.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{}") or reset(c), 3),
        (lambda c, _: c.sendall(b"nonsense\r\n\r\n"), 3),
        (lambda c, _: reset(c), 3),
    ],
)  # fmt: skip
def test_a_failing_primary_falls_back_by_the_retry_law(
    proxy: Proxy, cloud: Upstream, script: object, attempts: int
) -> None:
    cloud.script = script  # type: ignore[assignment]
    answer = proxy.ask(None, HARD)
    assert answer.status == 200
    record = proxy.record()
    assert record["backend"] == "local"
    assert [a["backend"] for a in record["attempts"]] == ["cloud"] * (attempts - 1) + ["local"]


def test_the_callers_own_400_comes_back_and_nobody_else_is_asked(
    proxy: Proxy, local: Upstream, cloud: Upstream
) -> None:
    said = (
        b'{"error": {"message": "no such tool", "type": "invalid_request_error", "internal": "x"}}'
    )
    local.script = lambda c, _: c.sendall(http(400, said))
    answer = proxy.ask()
    assert (answer.status, answer.json["error"]["message"]) == (400, "no such tool")
    assert "internal" not in answer.json["error"]
    assert proxy.record()["outcome"] == "upstream_refused"
    assert cloud.requests == []


def test_five_failures_open_the_breaker_and_one_probe_closes_it(
    proxy: Proxy, local: Upstream
) -> None:
    local.script = lambda c, _: c.sendall(http(500, b"{}"))
    number = 0
    while 'lockgate_breaker_state{backend="local"} 2.0' not in proxy.get("/metrics"):
        number += 1
        proxy.ask({"model": "m", "messages": [], "seed": number}, PII)
        proxy.record()
    assert number >= 5
    before = len(local.requests)
    answer = proxy.ask(None, PII)
    assert answer.status == 503
    assert "retry-after: " in answer.head
    assert proxy.record()["skipped"] == [{"backend": "local", "reason": "breaker_open"}]
    assert len(local.requests) == before
    local.reset()
    assert 'lockgate_breaker_state{backend="local"} 2.0' in proxy.get("/metrics")


def test_c2_pipelined_requests_of_a_caller_that_leaves_are_recorded_each(
    proxy: Proxy, local: Upstream
) -> None:
    local.script = lambda c, _: pace(0.5)
    one = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 14\r\n\r\n"
    with proxy.connect() as connection:
        connection.sendall((one + b'{"model": "m"}') * 2 + one + b"{")
        let_pass(0.1)
    found = [proxy.record() for _ in range(3)]
    assert [record["outcome"] for record in found] == ["client_gone"] * 3
    assert [record["terminal"] for record in found] == ["Cw", "Cb", "Cb"]
    assert len(local.requests) == 1


def test_a_chunked_body_goes_up_whole_with_a_length(proxy: Proxy, local: Upstream) -> None:
    with proxy.connect() as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
            b'connection: close\r\n\r\n8\r\n{"model"\r\n6\r\n: "m"}\r\n0\r\n\r\n'
        )
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert local.requests[0].endswith(b'{"model": "qwen"}')


def test_an_unknown_model_is_no_error(proxy: Proxy) -> None:
    assert proxy.ask({"model": "no/such model ☺", "messages": []}).status == 200


def test_the_standard_library_sees_a_cut_stream_as_an_error(proxy: Proxy, local: Upstream) -> None:
    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(SSE_HEAD + word("one"))
        raise OSError

    local.script = script
    connection = http_client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
    connection.request("POST", "/v1/chat/completions", b'{"model": "m", "stream": true}')
    with pytest.raises(http_client.IncompleteRead):
        connection.getresponse().read()
    connection.close()
