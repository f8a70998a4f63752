"""Bad input through the HTTP door: each with its status, its code, and the shape of the error."""

import json

import pytest

from tests.support.client import Answer
from tests.support.proxy import Proxy

CHAT = "POST /v1/chat/completions HTTP/1.1"


def raw(proxy: Proxy, data: bytes) -> Answer:
    with proxy.connect() as connection:
        connection.sendall(data)
        return Answer.read(connection)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"hello", 400, "invalid_json"),
        (b"[]", 400, "not_an_object"),
        (b"", 400, "invalid_json"),
        (b"{}", 400, "missing_model"),
        (b'{"model": "a", "model": "b"}', 400, "duplicate_key"),
        (b'{"mod\\u0065l": "a"}', 400, "escaped_key"),
        ('{"model": "a"}'.encode("utf-16"), 400, "invalid_json"),
        (b'{"model": "a", "t": NaN}', 400, "invalid_json"),
        (b'\xef\xbb\xbf{"model": "a"}', 400, "invalid_json"),
        (b'{"model": "a", "fallbacks": ["gpt"]}', 400, "client_routing"),
        (b'{"model": "a", "api_base": "http://x"}', 400, "client_routing"),
        (b'{"model": "a", "stream": 1}', 400, "invalid_field"),
    ],
)
def test_a_bad_body_is_refused_by_name_and_leaves_one_record(
    proxy: Proxy, body: bytes, status: int, code: str
) -> None:
    answer = proxy.ask(body)
    assert (answer.status, answer.code) == (status, code)
    error = answer.json["error"]
    assert set(error) == {"message", "type", "param", "code", "request_id"}
    assert error["request_id"] in answer.head
    record = proxy.record()
    assert (record["outcome"], record["error"], record["status"]) == ("bad_request", code, status)
    assert record["request_id"] == error["request_id"]


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        (f"{CHAT}\r\nhost: x\r\ncontent-length: 33554433", 413, "body_too_large"),
        (f"{CHAT}\r\nhost: x\r\ncontent-encoding: gzip\r\ncontent-length: 2", 415, "encoded_body"),
        ("GET /v1/chat/completions HTTP/1.1\r\nhost: x", 405, "method_not_allowed"),
        ("DELETE /v1/models HTTP/1.1\r\nhost: x", 405, "method_not_allowed"),
        ("POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 0", 404, "not_found"),
        ("GET / HTTP/1.1\r\nhost: x", 404, "not_found"),
        (f"{CHAT}\r\ncontent-length: 2", 400, "bad_request"),
        (f"{CHAT}\r\nhost: x\r\nhost: y\r\ncontent-length: 2", 400, "bad_request"),
        (f"{CHAT}\r\nhost: x\r\nexpect: x\r\ncontent-length: 2", 417, "expectation_failed"),
        (f"{CHAT}\r\nhost: x\r\nx_llmkube_team: 1\r\ncontent-length: 2", 400, "bad_request"),
        ("POST /v1/models?x=" + "y" * 9000 + " HTTP/1.1\r\nhost: x", 414, "uri_too_long"),
        (f"{CHAT}\r\nhost: x\r\nx-big: " + "y" * 40_000, 431, "head_too_large"),
        ("nonsense", 400, "bad_request"),
    ],
)  # fmt: skip
def test_a_bad_head_is_refused_and_the_connection_closed(
    proxy: Proxy, head: str, status: int, code: str
) -> None:
    answer = raw(proxy, head.encode() + b"\r\n\r\n")
    assert (answer.status, answer.code) == (status, code)
    assert "connection: close" in answer.head
    assert proxy.flushed() == []


def test_405_names_the_method(proxy: Proxy) -> None:
    answer = raw(proxy, b"GET /v1/chat/completions HTTP/1.1\r\nhost: x\r\n\r\n")
    assert "allow: POST" in answer.head


def test_no_framing_is_no_body(proxy: Proxy) -> None:
    answer = raw(proxy, f"{CHAT}\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    assert (answer.status, answer.code) == (400, "invalid_json")


def test_32_mib_are_taken_and_one_byte_more_is_not(proxy: Proxy) -> None:
    limit = 32 * 1024 * 1024
    body = b'{"model": "m", "x": "' + b"x" * (limit - 23) + b'"}'
    assert len(body) == limit
    assert proxy.ask(body).status == 200
    pieces = b"".join(b"100000\r\n%b\r\n" % (b"x" * 0x100000) for _ in range(33))
    head = f"{CHAT}\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    with proxy.connect() as connection:
        connection.sendall(head)
        try:
            connection.sendall(pieces)
        except OSError:
            pass
        assert Answer.read(connection).status == 413


@pytest.mark.parametrize(
    ("value", "sensitive"),
    [(", ".join(["public"] * 100), False), (",".join(["public"] * 99 + ["x"]), True), ("", True)],
)
def test_classification_fields_of_any_shape_are_read(
    proxy: Proxy, value: str, sensitive: bool
) -> None:
    assert proxy.ask(None, ("x-llmkube-classification", value)).status == 200
    assert proxy.record()["sensitive"] is sensitive


def test_a_record_is_one_line_whatever_the_caller_writes(proxy: Proxy) -> None:
    body = {"model": "a b", "messages": []}
    proxy.ask(body, ("x-llmkube-team", "red\x1b[31m" if False else "red"))
    assert json.dumps(proxy.record()).count("\n") == 0


def test_the_error_is_followed_by_a_clean_next_request(proxy: Proxy) -> None:
    good = b'{"model": "m"}'
    with proxy.connect() as connection:
        for body, status in ((b"{", b"400"), (good, b"200"), (b"[]", b"400"), (good, b"200")):
            connection.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b"
                % (len(body), body)
            )
            assert connection.recv(65536).startswith(b"HTTP/1.1 " + status)
