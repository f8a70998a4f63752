"""JSON as Python writes it is read and written, and nothing worse."""

import math
from typing import Any

import pytest
from lockgate.bodies.lenient import read_json, write_json


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [1, null]}', {"a": [1, None]}),
        (b"[Infinity, -Infinity]", [math.inf, -math.inf]),
        (b'"\\ud83d"', "\ud83d"),
        (b"\xef\xbb\xbf{}", {}),
    ],
)
def test_what_model_servers_send_is_read(data: bytes, value: Any) -> None:
    assert read_json(data) == value


def test_nan_is_read() -> None:
    assert math.isnan(read_json(b"NaN"))


@pytest.mark.parametrize("data", [b"", b"{", b"{}x", b"{'a': 1}", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each reader has words of its own
        read_json(data)


def test_a_lone_surrogate_is_written_as_its_escape() -> None:
    assert write_json({"a": "\ud83d"}) == b'{"a":"\\ud83d"}'
    assert write_json({"a": "é"}) == '{"a":"é"}'.encode()
