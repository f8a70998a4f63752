"""Bytes become the messages of a connection, or a rejection: to one verdict however they are cut."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.doors import DOORS, NO_RULES
from lockgate.errors.kinds import RejectedError
from lockgate.http1.head_rules import HeadRules
from lockgate.http1.reader import END, End, RequestReader, ResponseReader
from lockgate.http1.request_head import Head, Heads
from lockgate.http1.response_head import ProtocolError, ResponseHead, ResponseHeads

from tests.http1 import corpus
from tests.http1.corpus import BAD, BAD_ANSWERS, GOOD, GOOD_ANSWERS, JSON, every_way

CUTS = st.lists(st.integers(0, 400), max_size=5)
BYTES = st.sampled_from(list(b"\r\n\t :;,0aA\0\x0b\x7f\xff#/_"))
EDITS = st.lists(st.tuples(st.integers(0, 10_000), BYTES), min_size=1, max_size=3)
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
Requests = tuple[list[bytes], int]
"""The bodies of the whole requests, and the status of the rejection behind them, 0 for none."""
Response = tuple[int, bytes, str]
"""Status, body, and how it ended: "end", "rejected", or "" for not yet."""


def requests(pieces: Iterable[bytes], *, at_once: bool = False) -> Requests:
    """Read requests; `at_once` asks for a small body with its head, as a connection does."""
    heads = Heads(NO_RULES)
    heads.read(corpus.PLAIN_HEAD)  # what is remembered changes no verdict
    reader, bodies, begun = RequestReader(heads), list[bytes](), list[bytes]()
    for piece in pieces:
        reader.feed(piece)
        while reader.has_more:
            match reader.next():
                case Head():
                    assert begun == []
                    body = reader.whole_body(1 << 20) if at_once else None
                    if body is not None:
                        bodies.append(body)
                case bytes() as part:
                    begun.append(part)
                case End():
                    bodies.append(b"".join(begun))
                    begun = []
                case RejectedError() as rejection:
                    assert reader.is_stopped
                    assert not reader.has_more
                    return bodies, rejection.kind.status
    return bodies, 0


def response(pieces: Iterable[bytes]) -> Response:
    reader, status, body = ResponseReader(ResponseHeads()), 0, b""
    for piece in pieces:
        reader.feed(piece)
        while True:
            match reader.next():
                case ResponseHead() as head:
                    status = head.status
                case bytes() as part:
                    body += part
                case End():
                    return status, body, "end"
                case ProtocolError():
                    return status, body, "rejected"
                case _:
                    break
    return status, body, ""


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("case", BAD)
def test_what_is_ambiguous_is_rejected_however_it_comes(case: str, at_once: bool) -> None:
    raw, status = BAD[case]
    for way, pieces in every_way(raw):
        assert requests(pieces, at_once=at_once) == ([], status), way


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("case", GOOD)
def test_what_is_plain_is_a_request_however_it_comes(case: str, at_once: bool) -> None:
    for way, pieces in every_way(GOOD[case]):
        assert requests(pieces, at_once=at_once) == ([JSON], 0), way


@given(st.sampled_from(sorted(GOOD)), st.sampled_from([*sorted(GOOD), *sorted(BAD)]), CUTS)
def test_a_second_request_is_read_where_the_first_one_ends(
    first: str, second: str, cuts: list[int]
) -> None:
    raw, status = (GOOD[second], 0) if second in GOOD else BAD[second]
    expected = [JSON, JSON] if status == 0 else [JSON]
    assert requests(corpus.pieces(GOOD[first] + raw, cuts)) == (expected, status)


@given(st.sampled_from(sorted(GOOD)), EDITS, st.booleans(), CUTS)
def test_a_mutated_request_has_one_verdict_and_is_at_most_one_request(
    case: str, edits: list[tuple[int, int]], insert: bool, cuts: list[int]
) -> None:
    raw = bytearray(GOOD[case])
    for place, byte in edits:
        at = place % len(raw)
        raw[at : at + (0 if insert else 1)] = bytes([byte])
    whole = requests([bytes(raw)])
    assert requests([bytes(raw)], at_once=True) == whole
    assert requests(corpus.pieces(bytes(raw), cuts)) == whole
    assert requests(bytes(raw)[n : n + 1] for n in range(len(raw))) == whole
    assert len(whole[0]) <= 1


@pytest.mark.parametrize("case", BAD_ANSWERS)
def test_a_response_that_cannot_be_trusted_is_rejected_however_it_comes(case: str) -> None:
    for way, pieces in every_way(BAD_ANSWERS[case]):
        assert response(pieces)[2] == "rejected", way


@pytest.mark.parametrize("case", GOOD_ANSWERS)
def test_a_plain_response_is_whole_however_it_comes(case: str) -> None:
    for way, pieces in every_way(GOOD_ANSWERS[case]):
        assert response(pieces) == (200, b"{}", "end"), way


@given(st.sampled_from(sorted(GOOD_ANSWERS)), EDITS, CUTS)
def test_a_mutated_response_has_one_verdict(
    case: str, edits: list[tuple[int, int]], cuts: list[int]
) -> None:
    raw = bytearray(GOOD_ANSWERS[case])
    for place, byte in edits:
        raw[place % len(raw)] = byte
    whole = response([bytes(raw)])
    assert response(bytes(raw)[n : n + 1] for n in range(len(raw))) == whole
    assert response(corpus.pieces(bytes(raw), cuts)) == whole


def test_what_is_not_asked_for_is_kept() -> None:
    reader = RequestReader(Heads(NO_RULES))
    reader.feed(GOOD["plain"] * 3)
    for left in (2, 1, 0):
        assert isinstance(reader.next(), Head)
        assert reader.whole_body(100) == JSON
        assert reader.unread_bytes == left * len(GOOD["plain"])
    assert not reader.has_more
    assert reader.next() is None


def test_a_body_that_is_too_long_to_be_taken_at_once_comes_in_pieces() -> None:
    reader = RequestReader(Heads(NO_RULES))
    reader.feed(GOOD["plain"])
    assert isinstance(reader.next(), Head)
    assert reader.whole_body(len(JSON) - 1) is None
    assert [reader.next(), reader.next(), reader.next()] == [JSON, END, None]


def test_what_came_of_a_body_before_its_break_is_given_before_the_rejection() -> None:
    reader = RequestReader(Heads(NO_RULES))
    reader.feed(CHUNKED + b"2\r\n{}\r\nzz\r\n" + GOOD["plain"])
    assert isinstance(reader.next(), Head)
    assert reader.next() == b"{}"
    assert reader.has_more
    rejection = reader.next()
    assert isinstance(rejection, RejectedError)
    reader.feed(GOOD["plain"])  # nobody knows where it would begin
    assert (reader.has_more, reader.unread_bytes, reader.next()) == (False, 0, None)


@pytest.mark.parametrize("tail", [b"0\r\n\r\n", b"0\r\n" + b"a:\r\n" * 2_000 + b"\r\n"])
def test_of_many_tiny_chunks_a_slice_is_given_at_a_time(tail: bytes) -> None:
    reader, body = RequestReader(Heads(NO_RULES)), b"y" * 3_000
    reader.feed(CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + tail)
    assert isinstance(reader.next(), Head)
    given: list[bytes] = []
    while isinstance(piece := reader.next(), bytes):
        given.append(piece)
    assert piece is END
    assert b"".join(given) == body
    assert max(len(part) for part in given) <= 1_024
    assert len(given) > 10


def test_a_chunked_body_is_rejected_at_the_cap() -> None:
    endless = [CHUNKED + b"f" * 16 + b"\r\n", *[b"x" * (1 << 20)] * 33]
    assert requests(endless) == ([], 413)


@pytest.mark.parametrize(("line", "bodiless"), [(b"HEAD", True), (b"GET", False)])
def test_a_rejection_of_head_is_known_to_have_no_body(line: bytes, bodiless: bool) -> None:
    reader = RequestReader(Heads(NO_RULES))
    reader.feed(line + b" /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
    assert isinstance(reader.next(), RejectedError)
    assert reader.is_bodiless is bodiless


def test_a_response_without_framing_ends_with_the_connection_and_no_other_does() -> None:
    for raw, ends in ((b"HTTP/1.1 200 OK\r\n\r\n{", True), (GOOD_ANSWERS["a length"][:-1], False)):
        reader = ResponseReader(ResponseHeads())
        assert not reader.ends_with_connection
        reader.feed(raw)
        while reader.next() is not None:
            pass
        assert (reader.is_in_body, reader.ends_with_connection) == (True, ends)


def test_the_next_response_is_read_anew_and_what_followed_the_last_one_is_none() -> None:
    reader = ResponseReader(ResponseHeads())
    for surplus in (b"", b"x", GOOD_ANSWERS["no reason"]):
        reader.expect()
        reader.feed(GOOD_ANSWERS["a length"] + surplus)
        events = [reader.next(), reader.next(), reader.next(), reader.next()]
        assert events[1:] == [b"{}", END, None]
        assert (reader.is_complete, reader.unread_bytes) == (True, len(surplus))


def test_a_field_that_routing_reads_is_rejected_in_a_trailer() -> None:
    reader = RequestReader(Heads(HeadRules(DOORS, ["x-org"])))
    reader.feed(CHUNKED + b"2\r\n{}\r\n0\r\nX-Org: one\r\n\r\n")
    assert isinstance(reader.next(), Head)
    assert reader.next() == b"{}"
    rejection = reader.next()
    assert isinstance(rejection, RejectedError)
    assert rejection.param == "X-Org"


@pytest.mark.parametrize(("version", "is_http11"), [(b"HTTP/1.0", False), (b"HTTP/1.1", True)])
def test_the_version_of_a_response_is_that_of_its_head(version: bytes, is_http11: bool) -> None:
    reader = ResponseReader(ResponseHeads())
    reader.feed(b"HTTP/1.1 100 Continue\r\n\r\n" + version + b" 200 OK\r\n\r\n")
    assert isinstance(reader.next(), ResponseHead)
    assert reader.is_http11 is is_http11
