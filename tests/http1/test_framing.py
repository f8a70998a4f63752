"""Bodies end where their framing says, however the bytes come."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.exchange.render import LAST_CHUNK, chunk
from lockgate.http1.framing import ChunkedBody, FramingError, LengthBody

SURPLUS = b"GET / HTTP/1.1\r\n"


def fed(body: ChunkedBody | LengthBody, raw: bytes, places: list[int]) -> bytes:
    edges = sorted([0, len(raw), *(place % (len(raw) + 1) for place in places)])
    pairs = pairwise(edges)
    return b"".join(body.feed(raw[a:b]) for a, b in pairs)


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    extension=st.sampled_from([b"", b";a=b", b';a="b c"', b";" + b"x" * 255]),
    trailer=st.sampled_from([b"", b"X: y\r\n", b"Content-Length: 9\r\n" * 3]),
    places=st.lists(st.integers(0, 2000), max_size=8),
)
def test_what_is_chunked_is_what_comes_out(
    pieces: list[bytes], extension: bytes, trailer: bytes, places: list[int]
) -> None:
    raw = b"".join(chunk(piece).replace(b"\r\n", extension + b"\r\n", 1) for piece in pieces)
    raw += b"0" + extension + b"\r\n" + trailer + b"\r\n" + SURPLUS
    body = ChunkedBody()
    assert fed(body, raw, places) == b"".join(pieces)
    assert body.done
    assert body.surplus == SURPLUS


@given(data=st.binary(max_size=60), places=st.lists(st.integers(0, 100), max_size=5))
def test_a_length_is_kept_to_the_byte(data: bytes, places: list[int]) -> None:
    body = LengthBody()
    body.begin(len(data))
    assert fed(body, data + SURPLUS, places) == data
    assert body.done
    assert body.surplus == SURPLUS


def test_nothing_is_done_before_its_end() -> None:
    body = ChunkedBody()
    body.feed(chunk(b"x") + LAST_CHUNK[:-1])
    assert not body.done
    body.feed(LAST_CHUNK[-1:])
    assert body.done


@pytest.mark.parametrize("raw", [b"g\r\n", b"\r\n", b"1 \r\n", b"1\n", b"-1\r\n", b"0" * 17])
def test_what_is_no_size_is_refused_with_its_first_bad_byte(raw: bytes) -> None:
    for places in ([], list(range(len(raw)))):
        with pytest.raises(FramingError):
            fed(ChunkedBody(), raw, places)
