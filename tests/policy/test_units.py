"""Sizes as Kubernetes writes them."""

import pytest
from lockgate.policy.spec.units import parse_size


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
