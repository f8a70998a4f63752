"""A body that goes up while it arrives: what goes up is what would have gone up whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.exchange.body import scan, splices
from proxy.exchange.commands import SendUp
from proxy.exchange.errors import RejectedError
from proxy.exchange.upload import WITHHELD_BYTES, Outgoing, Upload
from proxy.policy.backends import Backend
from tests.net.corpus import pieces

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
)
def test_what_goes_up_is_the_body_with_its_splices_however_it_came(
    before: int, after: int, places: list[int], most: int, tail: str
) -> None:
    body = body_of(before, after, tail=tail)
    scanned = scan(body)
    edits, _ = splices(scanned, "another", include_usage=True)
    upload, out = Upload(), b""
    outgoing = Outgoing(upload, edits[:1])
    for piece in pieces(body, places):
        upload.add(piece)
        while data := outgoing.take(most):
            out += data
        assert outgoing.at <= max(len(upload.joined()) - WITHHELD_BYTES, 0)
    assert not outgoing.done
    assert outgoing.end(scanned.usage_edit)
    while data := outgoing.take(most):
        out += data
    assert outgoing.done
    assert out == SendUp(Backend(name="b"), body, edits).body


def test_a_splice_whose_place_has_gone_up_is_left_out() -> None:
    start = b'{"model":"m","stream_options":{},"messages":["'
    body = start + b"a" * (2 * WITHHELD_BYTES) + b'"],"stream":true}'
    scanned = scan(body)
    upload = Upload()
    outgoing = Outgoing(upload, ())
    upload.add(body[:-5])
    out = outgoing.take(len(body))
    assert not outgoing.end(scanned.usage_edit)
    upload.add(body[-5:])
    assert out + outgoing.take(len(body)) == body


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
    assert (1 << 20) < size <= (2 << 20) + 8192
    assert found == ("m", (body.index(b'"m"'), body.index(b'"m"') + 3))


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages": [{"model": "inner", "x": "' + b"a" * 10_000,
        b'["model"' + b" " * 10_000,
        b'"model"' + b" " * 10_000,
        b'{"x": "\xff", "model": "m"' + b" " * 10_000,
        b'{"x": NaN, "model": "m"' + b" " * 10_000,
        b'{"model": "' + b"m" * 5_000,
        b'{"a": ' + b"[" * 50_000 + b'"model"',
    ],
)
def test_what_is_not_known_yet_waits_for_the_whole(body: bytes) -> None:
    assert looked(body)[1] is None


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (b'{"model": "a", "model": "b",', "duplicate_key"),
        (b'{"model": 1,', "invalid_field"),
        (b'{"mod\\u0065l": "a", "x": {"model": 1},', "escaped_key"),
        (b'{"api_key": "a", "model": "m",', "client_routing"),
    ],
)
def test_a_certain_refusal_is_seen_at_once(start: bytes, code: str) -> None:
    with pytest.raises(RejectedError) as rejected:
        looked(start + b" " * 5000)
    assert rejected.value.kind.code == code


def test_looking_costs_no_more_than_two_readings() -> None:
    upload, read = Upload(), 0
    for _ in range(8192):
        upload.add(b"a" * 4096)
        due = upload.size >= upload._look_at
        upload.look()
        read += upload.size if due else 0
    assert read <= 2 * upload.size


def test_many_small_pieces_are_kept_as_few_blocks() -> None:
    upload = Upload()
    for number in range(40_000):
        upload.add(b"%04x" % (number % 65_536) * 20)
    assert len(upload.pieces) < 20_000
    assert upload.joined() == b"".join(b"%04x" % (n % 65_536) * 20 for n in range(40_000))
    assert len(upload.pieces) == 1
