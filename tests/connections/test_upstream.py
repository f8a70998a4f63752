"""An upstream's bytes become one answer, or a protocol error: to one verdict however they come."""

from collections.abc import Iterator

import pytest
from lockgate.connections.upstream import Upstream
from lockgate.exchange import events as on
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.http1.corpus import BAD_ANSWERS, GOOD_ANSWERS, every_way

REQUEST = b"POST / HTTP/1.1\r\n\r\n"
Verdict = tuple[int | None, bytes, str]
"""Status, body, and how it ended: "ended", a code of `errors.KINDS`, or "" for not yet."""


class Transport(StringTransport):
    unsent_bytes = 0
    producer = None


class Seen:
    """What the events of one answer come to."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.body = b""
        self.end = ""

    def take(self, events: list[on.Event]) -> None:
        for event in events:
            assert not self.end, f"{event} after the end"
            match event:
                case on.ResponseStarted(head):
                    self.status = head.status
                case on.ResponseData(data):
                    self.body += data
                case on.ResponseWhole(head, data):
                    self.status, self.body, self.end = head.status, data, "ended"
                case on.ResponseEnded():
                    self.end = "ended"
                case on.UpstreamFailed(code):
                    self.end = code


def opened() -> tuple[Upstream, Seen, Transport]:
    upstream, seen, transport = Upstream(), Seen(), Transport()
    upstream.makeConnection(transport)
    upstream.send(REQUEST, seen.take)
    return upstream, seen, transport


def verdict(pieces: Iterator[bytes]) -> Verdict:
    upstream, seen, _ = opened()
    for piece in pieces:
        if not seen.end:
            upstream.dataReceived(piece)
    return seen.status, seen.body, seen.end


@pytest.mark.parametrize("case", BAD_ANSWERS)
def test_an_answer_that_cannot_be_trusted_is_a_protocol_error(case: str) -> None:
    for way, pieces in every_way(BAD_ANSWERS[case]):
        assert verdict(pieces)[2] == "upstream_protocol", way


@pytest.mark.parametrize("case", GOOD_ANSWERS)
def test_a_plain_answer_is_whole(case: str) -> None:
    for way, pieces in every_way(GOOD_ANSWERS[case]):
        assert verdict(pieces) == (200, b"{}", "ended"), way


def test_s7_s12_what_follows_an_answer_is_dropped_with_its_connection() -> None:
    for surplus in (GOOD_ANSWERS["a length"], b"x"):
        upstream, seen, _ = opened()
        upstream.dataReceived(GOOD_ANSWERS["a length"] + surplus)
        assert (seen.status, seen.body, seen.end) == (200, b"{}", "ended")
        assert not upstream.release()


def test_s12_a_second_answer_that_comes_late_ends_the_connection() -> None:
    upstream, seen, transport = opened()
    upstream.dataReceived(GOOD_ANSWERS["a length"])
    assert upstream.release()
    upstream.dataReceived(GOOD_ANSWERS["a length"])
    assert transport.disconnected
    assert seen.end == "ended"


def test_h6_an_answer_that_has_no_body_has_none() -> None:
    upstream, seen, _ = opened()
    upstream.dataReceived(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}")
    assert (seen.status, seen.body, seen.end) == (204, b"", "ended")
    assert not upstream.release()


def test_h6_an_answer_that_came_before_our_request_was_sent_is_not_reused() -> None:
    upstream, _, transport = opened()
    transport.unsent_bytes = 5
    upstream.dataReceived(GOOD_ANSWERS["a length"])
    assert not upstream.release()


@pytest.mark.parametrize(
    ("raw", "reason", "end"),
    [
        (b"", ConnectionDone(), "upstream_reset"),
        (b"HTTP/1.1 200", ConnectionLost(), "upstream_reset"),
        (GOOD_ANSWERS["a length"][:-1], ConnectionDone(), "upstream_truncated"),
        (GOOD_ANSWERS["chunked"][:-3], ConnectionDone(), "upstream_truncated"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", ConnectionDone(), "ended"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", ConnectionLost(), "upstream_truncated"),
    ],
)
def test_h1_t9_the_end_of_a_connection_ends_an_answer_only_where_nothing_else_can(
    raw: bytes, reason: Exception, end: str
) -> None:
    upstream, seen, _ = opened()
    if raw:
        upstream.dataReceived(raw)
    upstream.connectionLost(Failure(reason))
    assert seen.end == end


def test_what_came_before_a_broken_chunk_is_told_before_the_break() -> None:
    """The end of an answer and an odd end behind it may come in one read."""
    upstream, seen, _ = opened()
    upstream.dataReceived(GOOD_ANSWERS["chunked"][:-5] + b"zz\r\n")
    assert (seen.status, seen.body, seen.end) == (200, b"{}", "upstream_protocol")
