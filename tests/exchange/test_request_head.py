"""The gates of a request's head."""

import pytest

from proxy.exchange.errors import RejectedError
from proxy.exchange.request_head import admit_head

HOST = (b"host", b"x")
CHAT = b"/v1/chat/completions"


@pytest.mark.parametrize(
    ("method", "target", "version", "fields", "code"),
    [
        (b"POST", CHAT, "1.1", [], "bad_request"),
        (b"POST", CHAT, "1.1", [HOST, HOST], "bad_request"),
        (b"POST", CHAT, "2.0", [HOST], "bad_request"),
        (b"GET", CHAT, "1.1", [HOST], "method_not_allowed"),
        (b"POST", b"/v1/models", "1.1", [HOST], "method_not_allowed"),
        (b"POST", b"/", "1.1", [HOST], "not_found"),
        (b"POST", b"/v1//chat/completions", "1.1", [HOST], "not_found"),
        (b"POST", b"/v1/x/../chat/completions", "1.1", [HOST], "not_found"),
        (b"POST", b"/v1/chat/completions/", "1.1", [HOST], "not_found"),
        (b"POST", b"/v1/chat%2fcompletions", "1.1", [HOST], "not_found"),
        (b"POST", b"http://x/v1/chat/completions", "1.1", [HOST], "not_found"),
        (b"POST", b"/" + b"x" * 9000, "1.1", [HOST], "uri_too_long"),
        (b"POST", CHAT, "1.1", [HOST, (b"content-encoding", b"gzip")], "encoded_body"),
        (b"POST", CHAT, "1.1", [HOST, (b"expect", b"magic")], "expectation_failed"),
        (b"POST", CHAT, "1.1", [HOST, (b"content-length", b"33554433")], "body_too_large"),
        (b"POST", CHAT, "1.1", [HOST, (b"content-length", b"9" * 40)], "body_too_large"),
        (b"POST", CHAT, "1.1", [HOST, (b"content-length", b"+5")], "bad_request"),
        (b"POST", CHAT, "1.1", [HOST, (b"content-length", b"5, 5")], "bad_request"),
        (b"POST", CHAT, "1.1", [HOST, *[(b"content-length", b"5")] * 2], "bad_request"),
        (
            b"POST", CHAT, "1.1",
            [HOST, (b"content-length", b"5"), (b"transfer-encoding", b"chunked")], "bad_request",
        ),
        (b"POST", CHAT, "1.1", [HOST, (b"transfer-encoding", b"gzip, chunked")], "bad_request"),
        (b"POST", CHAT, "1.0", [HOST, (b"transfer-encoding", b"chunked")], "bad_request"),
        (b"POST", CHAT, "1.1", [HOST, (b"x_y", b"1")], "bad_request"),
        (b"POST", CHAT, "1.1", [HOST, (b"x", b"a\x00b")], "bad_request"),
        (b"POST", CHAT, "1.1", [HOST, *[(b"x", b"1")] * 100], "head_too_large"),
        (b"POST", CHAT, "1.1", [HOST, (b"x", b"1" * 40_000)], "head_too_large"),
    ],
)  # fmt: skip
def test_a_head_that_is_not_understood_is_refused(
    method: bytes, target: bytes, version: str, fields: list[tuple[bytes, bytes]], code: str
) -> None:
    with pytest.raises(RejectedError) as rejected:
        admit_head(method, target, version, fields)
    assert rejected.value.kind.code == code


def test_a_plain_request_is_admitted_with_every_field_value() -> None:
    fields = [HOST, (b"x-a", b"1"), (b"content-length", b"33554432"), (b"x-a", b"2")]
    head = admit_head(b"POST", CHAT + b"?beta=true", "1.1", fields)
    assert (head.door, head.keep_alive) == ("chat", True)
    assert head.headers["x-a"] == ("1", "2")


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        ("1.1", None, True),
        ("1.1", b"x, Close", False),
        ("1.0", None, False),
        ("1.0", b"keep-alive", True),
    ],
)
def test_keep_alive_follows_version_and_connection(
    version: str, connection: bytes | None, kept: bool
) -> None:
    fields = [HOST, *([(b"connection", connection)] if connection else [])]
    assert admit_head(b"POST", CHAT, version, fields).keep_alive is kept
