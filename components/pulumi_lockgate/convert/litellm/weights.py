"""How LiteLLM spreads requests over a group's deployments: weight, else rpm, else tpm."""

from functools import reduce
from math import gcd
from typing import Any, Final

from pulumi_lockgate.convert.litellm.draft import Draft, Entry

METRICS: Final = ("weight", "rpm", "tpm")
_SHUFFLE: Final = "simple-shuffle"
_PRECISION: Final = 1000


def give_weights(draft: Draft, entries: list[Entry]) -> None:
    """Write the weights of deployments that are spread; of one strategy only LiteLLM has them."""
    strategy = draft.section("router_settings").get("routing_strategy", _SHUFFLE)
    if strategy != _SHUFFLE:
        return
    for metric in METRICS:
        numbers = [_number(entry.params.get(metric)) for entry in entries]
        if not any(numbers):
            continue
        whole = [round(number * _PRECISION) for number in numbers]
        common = reduce(gcd, whole)
        for entry, number in zip(entries, whole, strict=True):
            if entry.backend is not None and number // common != 1:
                entry.backend["weight"] = number // common
        if metric != "weight":
            draft.once(entries[0].path, f"{metric} is the weight of a deployment, and no limit")
        return


def _number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(value)
    return 0.0
