"""Bytes that are JSON, nearly JSON, and in pieces: what the readers of bodies are held together by."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.http1.corpus import pieces

_ATOMS = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b'"model"', b'"a"', b'"stream"', b'"stream_options"', b'"n"',
    b'"include_usage"', b'{"include_usage":true}', b'"api_key"', b'"Model"', b"true", b"false", b"null",
    b"NaN", b"-Infinity", b"1", b"0", b"-", b".", b"e", b"E+", b"\\", b"\\\\", b'\\"', b"\\n", b"\\u00", b"41",
    b"\\ud83d", b"\\ude00", "😀".encode(), b"\xc3", b"\xa9", b"\xff", b" ", b"\n", b"\0", b"mod\\u0065l",
    b'{"model":"a"', b'{"model":"a",', b'"x":[1,2,{"a,":[]},"b"]', b'"x":{"y":{"q":1,"r":[],"s":"t"}}',
]  # fmt: skip
_KEYS = ["model", "stream", "n", "x", "é", "stream_options", "messages", "Stream", "api_key", ""]
_VALUES: list[Any] = [
    "a", "ö", True, False, None, 3, 2.5, -1e5, {}, [], {"include_usage": True}, {"include_usage": 0},
    {"Include_Usage": True}, {"x": [1, [2, {"q": []}], "a,b"]}, [1, 2, 3, "x"], '\\"\n😀', "\ud800",
    [{"role": "user", "content": "hi"}, {"role": "assistant"}], "m" * 300,
]  # fmt: skip


def _broken(data: bytes, place: int, byte: int) -> bytes:
    """Return `data` with one byte changed; as it is where the place is behind it."""
    return data[:place] + bytes([byte]) + data[place + 1 :] if place < len(data) else data


_documents = st.dictionaries(st.sampled_from(_KEYS), st.sampled_from(_VALUES), max_size=6)
_written = st.builds(
    lambda document, ascii_only, indent: json.dumps(
        document, ensure_ascii=ascii_only, indent=indent
    ).encode("utf-8", "surrogatepass"),
    st.builds(
        lambda first, rest: {"model": first, **rest}, st.sampled_from(["a", "ö"]), _documents
    ),
    st.booleans(),
    st.sampled_from([None, 0, 1]),
)
_garbage = st.lists(st.sampled_from(_ATOMS), max_size=14).map(b"".join)
bodies = (
    _written
    | st.builds(_broken, _written, st.integers(0, 200), st.integers(0, 255))
    | _garbage
    | _garbage.map(lambda middle: b'{"model":"a",' + middle + b"}")
)
"""Bodies of every kind, one byte in some of them wrong."""
places = st.lists(st.integers(0, 300), max_size=6)


def chunkings(data: bytes, at: list[int]) -> list[list[bytes]]:
    """Return `data` whole, byte by byte, and cut at these places."""
    return [[data], [data[n : n + 1] for n in range(len(data))], list(pieces(data, at))]
