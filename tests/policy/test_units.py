"""Durations as Go writes them, sizes as Kubernetes does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.policy.spec.units import format_duration, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("1m30s", 90.0),
        ("1h1m1s", 3661.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("250ms", 0.25),
        ("1us", 1e-6),
        ("1µs", 1e-6),  # the micro sign
        ("1μs", 1e-6),  # the Greek letter
        ("1ns", 1e-9),
        ("+5s", 5.0),
        ("1s1s", 2.0),  # as Go reads it
        ("0.1s", 0.1),  # exactly: decimal, not binary
    ],
)
def test_what_go_reads_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["30", "s", "1 s", "1d", "1e3s", "1m 30s", "-1s", "1S", "x1s"])
def test_what_go_does_not_read_is_told_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration like 30s or 1m30s"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "+", "0s", "0h0m0s"])
def test_a_duration_is_greater_than_zero(text: str) -> None:
    with pytest.raises(ValueError, match="greater than zero"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (30.0, "30s"),
        (60.0, "1m"),
        (90.0, "1m30s"),
        (3600.0, "1h"),
        (3601.0, "1h1s"),
        (0.25, "250ms"),
        (1.5, "1.5s"),
        (0.0005, "0.5ms"),
    ],
)
def test_it_is_written_in_the_fewest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(1, 10**9).map(lambda thousandths: thousandths / 1000))
def test_what_is_written_reads_back_as_it_was(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1048576", 1 << 20),
        ("96Mi", 96 << 20),
        ("1G", 10**9),
        ("2k", 2000),
        ("1Ti", 1 << 40),
    ],
)
def test_a_size_is_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "Mi", "-1", "1.5Gi", "1 Mi", "1mi", "1KB", "9" * 13])
def test_what_is_no_size_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)
