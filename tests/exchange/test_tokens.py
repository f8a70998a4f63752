"""Tokens: as reported, estimated and marked so, or summed over a resumed response."""

import pytest
from lockgate.exchange.tokens import Tokens, of_bytes, summed, used


@pytest.mark.parametrize(("size", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2), (4000, 1000)])
def test_four_bytes_are_a_token_and_what_is_over_is_one_more(size: int, tokens: int) -> None:
    assert of_bytes(size) == tokens


def test_a_stream_is_counted_by_its_events_and_a_whole_response_by_its_bytes() -> None:
    assert used(None, 7, 40, 4000) == Tokens(10, 7, "estimated")
    assert used(None, 0, 40, 400) == Tokens(10, 100, "estimated")


def test_what_is_reported_is_not_estimated() -> None:
    assert used((0, 0), 7, 40, 4000) == Tokens(0, 0, "reported")


def test_a_resumed_response_used_what_all_its_attempts_used() -> None:
    assert summed((3, 4), (10, 7)) == Tokens(13, 11, "summed")
