"""A body that goes up while it arrives: what goes up is what would have gone up whole."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.bodies.edits import ROOM_BYTES, WITHHELD_BYTES, EditedBody, edited
from lockgate.bodies.splices import scan, splices
from lockgate.bodies.upload import Upload
from lockgate.errors.kinds import RejectedError

from tests.exchange.playbook import Playbook, local
from tests.http1.corpus import pieces

SIZES = st.integers(0, 3 * WITHHELD_BYTES)


def body_of(before: int, after: int, *, tail: str = "", model: str = "m") -> bytes:
    """Return a body with so much before its model and behind it."""
    return (
        b'{"x":"%b","model":"%b","messages":["%b"],"stream":true%b}'
    ) % (b"a" * before, model.encode(), "é".encode() * (after // 2), tail.encode())  # fmt: skip


@given(
    before=SIZES,
    after=SIZES,
    places=st.lists(st.integers(0, 6 * WITHHELD_BYTES), max_size=6),
    most=st.integers(1, 2 * WITHHELD_BYTES),
    tail=st.sampled_from(["", " ", ',"stream_options":{}', ',"stream_options":{"x":1}  ']),
    chunked=st.booleans(),
    usage=st.booleans(),
)
def test_what_goes_up_is_the_body_with_its_splices_however_it_came(
    before: int, after: int, places: list[int], most: int, tail: str, chunked: bool, usage: bool
) -> None:
    body = body_of(before, after, tail=tail)
    scanned = scan(body)
    edits, _ = splices(scanned, "another", include_usage=usage)
    upload, out = Upload(length=None if chunked else len(body)), b""
    outgoing = EditedBody(upload, edits[:1])
    for piece in pieces(body, places):
        upload.add(piece)
        while data := outgoing.take(most):
            out += data
        assert outgoing.at <= max(upload.size - WITHHELD_BYTES, 0)
    assert not outgoing.done
    assert upload.scan() == scanned
    assert outgoing.end(scanned.usage_edit if usage else None, scanned.end) == usage
    while data := outgoing.take(most):
        out += data
    assert outgoing.done
    wanted = b"".join(edited(body, edits))
    if chunked:
        assert outgoing.length is None
        assert out == wanted
    else:
        assert outgoing.length == len(out)
        assert json.loads(out) == json.loads(wanted)
        assert out.replace(b" ", b"") == wanted.replace(b" ", b"")


@given(before=SIZES, after=SIZES, most=st.integers(1, 2 * WITHHELD_BYTES))
def test_a_whole_body_goes_up_with_its_own_length(before: int, after: int, most: int) -> None:
    body = body_of(before, after)
    edits, _ = splices(scan(body), "another", include_usage=True)
    upload, out = Upload(), b""
    upload.add(body)
    outgoing = EditedBody(upload, edits, whole=True)
    while data := outgoing.take(most):
        out += data
    assert outgoing.done
    assert out == b"".join(edited(body, edits))
    assert outgoing.length == len(out)


def test_a_splice_whose_place_has_gone_up_is_left_out_and_its_room_is_filled() -> None:
    start = b'{"model":"m","stream_options":{},"messages":["'
    body = start + b"a" * (2 * WITHHELD_BYTES) + b'"],"stream":true}'
    scanned = scan(body)
    upload = Upload(length=len(body))
    outgoing = EditedBody(upload, ())
    upload.add(body[:-5])
    out = outgoing.take(len(body))
    assert not outgoing.end(scanned.usage_edit, scanned.end)
    upload.add(body[-5:])
    while data := outgoing.take(len(body)):
        out += data
    assert out == body[:-1] + b" " * ROOM_BYTES + b"}"
    assert outgoing.length == len(out)


def test_room_is_filled_behind_a_brace_that_has_gone_up() -> None:
    body = b'{"model":"m"}' + b" " * (2 * WITHHELD_BYTES)
    scanned = scan(body)
    upload = Upload(length=len(body))
    outgoing = EditedBody(upload, ())
    upload.add(body)
    out = outgoing.take(len(body))
    assert not outgoing.end(None, scanned.end)
    while data := outgoing.take(len(body)):
        out += data
    assert out == body + b" " * ROOM_BYTES


def looked(body: bytes, step: int = 4096) -> tuple[int, object]:
    """Return how much had come when the model was known, and what was found."""
    upload = Upload()
    for at in range(0, len(body), step):
        upload.add(body[at : at + step])
        if found := upload.look():
            return upload.size, found
    return len(body), None


def test_a_model_that_stands_first_is_known_from_the_first_bytes() -> None:
    size, found = looked(body_of(0, 1 << 20, model="ö"))
    assert size == 4096
    assert found == ("ö", (16, 20))


def test_a_model_that_stands_late_is_known_before_the_end() -> None:
    body = body_of(1 << 20, 4 << 20)
    size, found = looked(body)
    assert size == body.index(b'"m"') // 4096 * 4096 + 4096
    assert found == ("m", (body.index(b'"m"'), body.index(b'"m"') + 3))


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages": [{"model": "inner", "x": "' + b"a" * 10_000,
        b'["model"' + b" " * 10_000,
        b'{"model": "' + b"m" * 5_000,
    ],
)
def test_what_is_not_known_yet_waits_for_the_whole(body: bytes) -> None:
    assert looked(body)[1] is None


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (b'{"model": "a", "model": "b",', "duplicate_key"),
        (b'"model"' + b" " * 10_000 + b",", "invalid_json"),
        (b'{"x": "\xff", "model": "m"', "invalid_json"),
        (b'{"x": NaN, "model": "m"', "invalid_json"),
        (b'{"a": ' + b"[" * 50_000, "invalid_json"),
        (b'{"a": [' + b"[]," * 250_000, "too_many_values"),
        (b'{"mod\\u0065l": "a", "x": {"model": 1},', "escaped_key"),
        (b'{"api_key": "a", "model": "m",', "client_routing"),
    ],
)
def test_a_certain_refusal_is_seen_at_once_and_the_rest_forgotten(start: bytes, code: str) -> None:
    upload = Upload()
    for piece in (start, b" " * 5000, b'"' * 5000):
        upload.add(piece)
        assert upload.look() is None
    assert upload.fault is not None
    assert upload.fault.kind.code == code
    assert upload.is_bomb == (code == "too_many_values")
    assert upload.size == len(start) + 10_000
    assert upload.pieces() == []
    with pytest.raises(RejectedError):
        upload.scan()


def test_what_is_no_model_is_said_when_the_body_is_whole() -> None:
    upload = Upload()
    upload.add(b'{"model": 1,')
    assert upload.look() is None
    upload.add(b'"x": 2}')
    with pytest.raises(RejectedError) as rejected:
        upload.scan()
    assert rejected.value.kind.code == "invalid_field"


def test_a_small_body_is_not_read_as_it_comes() -> None:
    upload = Upload(read_from=None)
    upload.add(b"no JSON")
    assert not upload.is_read
    late = Upload(read_from=10)
    late.add(b'{"model":')
    assert not late.is_read
    late.add(b'"m"}')
    assert late.is_read
    assert late.scan().model == "m"


def test_many_small_pieces_are_kept_as_few_blocks() -> None:
    upload = Upload(read_from=None)
    for number in range(40_000):
        upload.add(b"%04x" % (number % 65_536) * 20)
    assert len(upload.pieces()) <= 5
    assert upload.joined() == b"".join(b"%04x" % (n % 65_536) * 20 for n in range(40_000))


def test_a_body_is_known_again_however_it_came() -> None:
    def fingerprint(*parts: bytes) -> int:
        book = Playbook(local("a"), arriving=True)
        for part in parts:
            book.more(part)
        return book.exchange.request.fingerprint()

    body = body_of(5000, 5000)
    assert fingerprint(body[:10], body[10:7000], body[7000:]) == fingerprint(body)
    assert fingerprint(body) != fingerprint(body.replace(b"a", b"b", 1))
