"""A fault in the prover makes the differential test red: so green means something."""

import pytest
from pulumi_lockgate.proof.report import ContradictionError

from tests.proof.differential import check
from tests.proof.faults import FAULTS

POLICIES = 800


def search() -> None:
    """Run the differential test until it is red; RuntimeError and KeyError are crashes."""
    for seed in range(POLICIES):
        check(seed, 10, seconds=5)


@pytest.mark.parametrize("sentence", FAULTS)
def test_a_fault_in_the_prover_is_seen(sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    FAULTS[sentence](monkeypatch)
    with pytest.raises((AssertionError, ContradictionError, RuntimeError, KeyError)):
        search()


def test_there_are_at_least_twenty() -> None:
    assert len(FAULTS) >= 20
