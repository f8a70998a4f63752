"""The gates of a request's head."""

import pytest
from lockgate.doors import NO_RULES
from lockgate.errors.kinds import RejectedError
from lockgate.http1.grammar import without_length
from lockgate.http1.request_head import Heads, admit_head

HOST = (b"host", b"x")
CHAT = b"/v1/chat/completions"


@pytest.mark.parametrize(
    ("method", "target", "version", "fields", "code"),
    [
        (b"POST", CHAT, "1.1", [], "bad_request"),
        (b"POST", CHAT, "1.1", [HOST, HOST], "bad_request"),
        (b"GET", CHAT, "1.1", [HOST], "method_not_allowed"),
        (b"POST", b"/v1/models", "1.1", [HOST], "method_not_allowed"),
        (b"POST", b"/", "1.1", [HOST], "not_found"),
        (b"POST", b"/v1//chat/completions", "1.1", [HOST], "bad_request"),
        (b"POST", b"/v1/x/../chat/completions", "1.1", [HOST], "bad_request"),
        (b"POST", b"/v1/chat/completions/", "1.1", [HOST], "not_found"),
        (b"POST", b"/v1/chat%2fcompletions", "1.1", [HOST], "bad_request"),
        (b"POST", b"http://y/v1/chat/completions", "1.1", [HOST], "bad_request"),
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
    ],
)  # fmt: skip
def test_a_head_that_is_not_understood_is_refused(
    method: bytes, target: bytes, version: str, fields: list[tuple[bytes, bytes]], code: str
) -> None:
    with pytest.raises(RejectedError) as rejected:
        admit_head(method, target, version, fields, NO_RULES)
    assert rejected.value.kind.code == code


def test_a_plain_request_is_admitted_with_every_field_value() -> None:
    fields = [HOST, (b"x-a", b"1"), (b"content-length", b"33554432"), (b"x-a", b"2")]
    head = admit_head(b"POST", CHAT + b"?beta=true", "1.1", fields, NO_RULES)
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
    assert admit_head(b"POST", CHAT, version, fields, NO_RULES).keep_alive is kept


def raw(length: bytes, *fields: bytes) -> bytes:
    lines = [
        b"POST /v1/chat/completions HTTP/1.1",
        b"Host: x",
        *fields,
        b"Content-Length: " + length,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def test_heads_that_differ_by_their_length_alone_are_one_head() -> None:
    heads = Heads(NO_RULES)
    first, length = heads.read(raw(b"5"))
    second, longer = heads.read(raw(b"50"))
    assert second is first
    assert (length, longer) == (5, 50)
    assert heads.read(raw(b"5", b"X-A: b"))[0] is not first


@pytest.mark.parametrize("name", [b"Content-Length: ", b"content-length: ", b"CONTENT-LENGTH:"])
@pytest.mark.parametrize(
    ("value", "length"),
    [(b"5", 5), (b"05", 5), (b"5 ", 5), (b"9" * 18, 10**18 - 1)]
    + [(value, None) for value in (b"", b"+5", b"5,5", b"0x5", b"5 5", b"\xb2", b"9" * 19)],
)
def test_a_length_leaves_its_place_in_the_head_and_no_more(
    name: bytes, value: bytes, length: int | None
) -> None:
    head = b"GET / HTTP/1.1\r\nhost: x\r\n%b%b\r\nx: 7\r\n\r\n"
    key, found = without_length(head % (name, value))
    assert found == length
    assert key == head % (name, value if length is None else b"0" + value.lstrip(b"0123456789"))


@pytest.mark.parametrize(
    "field", [b"Content-Length: 5", b"content-length: 6", b"CONTENT-LENGTH: 5"]
)
def test_a_second_length_is_refused_whatever_was_remembered(field: bytes) -> None:
    heads = Heads(NO_RULES)
    heads.read(raw(b"5"))
    for _ in range(2):
        with pytest.raises(RejectedError):
            heads.read(raw(b"5", field))


def test_a_length_over_the_cap_is_refused_whatever_was_remembered() -> None:
    heads = Heads(NO_RULES)
    heads.read(raw(b"5"))
    with pytest.raises(RejectedError) as rejected:
        heads.read(raw(b"33554433"))
    assert rejected.value.kind.code == "body_too_large"


@pytest.mark.parametrize("length", [b"", b" ", b"\t", b"x", b"+5", b"0x5", b"5 5", b"5,", b"-0"])
def test_what_is_no_length_is_refused_whatever_was_remembered(length: bytes) -> None:
    heads = Heads(NO_RULES)
    for good in (b"5", b"0", b" 5", b"5 ", b"\t5\t"):
        heads.read(raw(good))
    for name in (b"Content-Length", b"content-length"):
        with pytest.raises(RejectedError):
            heads.read(raw(length).replace(b"Content-Length", name))
