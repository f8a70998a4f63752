"""Tokens that an upstream did not report are estimated, and marked so."""

import pytest
from lockgate.exchange.tokens import Tokens, estimated, of_bytes


@pytest.mark.parametrize(("size", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2), (4000, 1000)])
def test_four_bytes_are_a_token_and_what_is_over_is_one_more(size: int, tokens: int) -> None:
    assert of_bytes(size) == tokens


def test_a_stream_is_counted_by_its_events_and_a_whole_response_by_its_bytes() -> None:
    assert estimated(40, 7, 4000) == Tokens(10, 7, "estimated")
    assert estimated(40, 0, 400) == Tokens(10, 100, "estimated")
