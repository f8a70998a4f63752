"""A rule's match: every stated dimension must hold, and a restriction holds when in doubt."""

from typing import Any

import pytest
from attrs import evolve
from lockgate.policy.deciding.decision import Labels, Request
from lockgate.policy.deciding.labels import read_labels
from lockgate.policy.deciding.match import complexity_of, matcher_of
from lockgate.policy.spec.model_router import Classification
from lockgate.policy.spec.rules import Match, RouteTo, Rule

PLAIN: dict[str, tuple[str, ...]] = {}
COMPLEX = {"x-llmkube-task-complexity": ("complex",)}


def labels(*fields: str) -> Labels:
    return read_labels(fields, Classification())


def rule(*, fail_closed: bool = False, **match: Any) -> Rule:
    route = RouteTo(backends=("b",))
    return Rule(name="r", match=Match(**match), route=route, fail_closed=fail_closed)


@pytest.mark.parametrize(
    ("match", "model", "headers", "said", "holds"),
    [
        ({}, "m", PLAIN, (), True),
        ({"data_classification": ("pii", "phi")}, "m", PLAIN, ("phi",), True),
        ({"data_classification": ("pii",)}, "m", PLAIN, ("public",), False),
        ({"data_classification": ("pii",)}, "m", PLAIN, (), False),
        ({"task_complexity": "complex"}, "m", COMPLEX, (), True),
        ({"task_complexity": "simple"}, "m", COMPLEX, (), False),
        ({"task_complexity": "complex"}, "m", PLAIN, (), False),
        ({"models": ("gpt-*", "o3")}, "gpt-5", PLAIN, (), True),
        ({"models": ("gpt-*", "o3")}, "o3", PLAIN, (), True),
        ({"models": ("gpt-*",)}, "claude", PLAIN, (), False),
        ({"headers": {"X-Team": "blue"}}, "m", {"x-team": ("red", "blue")}, (), True),
        ({"headers": {"X-Team": "blue"}}, "m", {"x-team": ("BLUE",)}, (), False),
        ({"headers": {"X-Team": "blue"}}, "m", PLAIN, (), False),
        ({"models": ("m",), "task_complexity": "simple"}, "m", COMPLEX, (), False),
    ],
)
def test_every_stated_dimension_must_hold(
    match: dict[str, Any],
    model: str,
    headers: dict[str, tuple[str, ...]],
    said: tuple[str, ...],
    holds: bool,
) -> None:
    matcher = matcher_of(rule(**match), only_local=False)
    assert matcher.holds(Request(model, headers), labels(*said)) is holds


@pytest.mark.parametrize(
    ("values", "complexity"),
    [((), None), (("complex",), "complex"), ((" complex ",), "complex"), (("a", "a"), None)],
)
def test_two_complexities_match_no_rule(values: tuple[str, ...], complexity: str | None) -> None:
    assert complexity_of({"x-llmkube-task-complexity": values}) == complexity


@pytest.mark.parametrize(
    ("fail_closed", "only_local", "holds"),
    [(True, False, True), (False, True, True), (False, False, False)],
)
def test_where_matching_fails_a_restriction_holds_and_nothing_else_does(
    fail_closed: bool, only_local: bool, holds: bool
) -> None:
    def broken(model: str) -> object:
        raise RuntimeError(model)

    sound = matcher_of(rule(fail_closed=fail_closed, models=("x",)), only_local=only_local)
    matcher = evolve(sound, models=(broken,))
    assert matcher.holds(Request("m", {}), labels()) is holds
