"""The proof, the engine and the naive spec on the same policies and requests."""

import pytest

from tests.proof.differential import check


@pytest.mark.parametrize("part", range(4))
def test_the_proof_the_engine_and_the_naive_spec_agree_on_two_thousand_pairs(part: int) -> None:
    for seed in range(part, 200, 4):
        check(seed, 10)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("part", range(10))
def test_they_agree_on_a_hundred_thousand_pairs(part: int) -> None:
    for seed in range(1000 + part, 6000 + part, 10):
        check(seed, 20)
