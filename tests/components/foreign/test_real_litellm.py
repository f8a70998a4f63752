"""The proof of a LiteLLM config agrees with the real LiteLLM, and what it shows leaks there."""

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
from pulumi_lockgate.foreign.litellm.provider_names import PROVIDERS

from tests.components.foreign.litellm_differential import Differential
from tests.components.foreign.litellm_real import MISSING, PYTHON, LiteLLM

CONFIGS = int(os.environ.get("LITELLM_CONFIGS", "10000"))
PARTS = 20
FEW = 10


@pytest.fixture(scope="module")
def real() -> Iterator[LiteLLM]:
    if not PYTHON.exists():
        warnings.warn(MISSING, stacklevel=1)
        pytest.skip(MISSING)
    with LiteLLM() as found:
        yield found


def compared(real: LiteLLM, seed: int, configs: int) -> Counter[str]:
    """Compare on random configs, and return what was seen; a disagreement ends it."""
    differential = Differential(real, Random(seed))
    for _ in range(configs):
        differential.compare()
    return differential.counts


def test_it_agrees_on_a_few_configs(real: LiteLLM) -> None:
    assert compared(real, 0, FEW)["routes"] > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_it_agrees_on_ten_thousand_configs(real: LiteLLM, part: int) -> None:
    seen = compared(real, 1000 + part, CONFIGS // PARTS)
    for kind in ("routes", "hops", "proved", "violated", "leak", "stayed"):
        assert seen[kind] > 0, kind
    assert seen["replayed"] == seen["leak"]


def test_its_providers_are_litellms(real: LiteLLM) -> None:
    assert real.providers == PROVIDERS
