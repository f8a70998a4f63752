"""Why a rule holds or does not agrees with what the data path decides."""

from hypothesis import given
from lockgate.policy.deciding.decide import Decider
from lockgate.policy.deciding.decision import Request
from lockgate.policy.deciding.explain import Explanation
from lockgate.policy.deciding.why import Unmet, rule_readings
from lockgate.policy.reading.load import compiled
from lockgate.policy.spec.backends import Backend, InferenceServiceRef
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.rules import Match, RouteTo, Rule

from tests.properties.policies import requests, specs


@given(specs(), requests)
def test_a_rule_holds_where_nothing_is_unmet_and_the_first_that_holds_decides(
    spec: RouterSpec, request: Request
) -> None:
    decider = Decider(compiled(spec))
    decision = decider.decide(request.model, request.headers)
    rules = rule_readings(decider, request, decision)
    assert [rule.name for rule in rules] == [rule.name for rule in spec.rules]
    assert all(rule.holds == (not rule.unmet) for rule in rules)
    holding = [rule.name for rule in rules if rule.holds]
    assert [rule.name for rule in rules if rule.decides] == holding[:1]
    assert decision.reading.rule_name == (holding[0] if holding else None)


def test_every_dimension_that_fails_is_told_with_what_was_wanted_and_what_came() -> None:
    match = Match(
        data_classification=("pii",),
        task_complexity="complex",
        models=("gpt-*", "o?"),
        headers={"X-Org": "one"},
    )
    rule = Rule(name="r", match=match, route=RouteTo(backends=("a",)))
    spec = RouterSpec(
        backends=(Backend(name="a", inference_service_ref=InferenceServiceRef(name="a")),),
        rules=(rule,),
    )
    request = Request("qwen", {"x-org": ("two", "three"), "x-llmkube-task-complexity": ("odd",)})
    decider = Decider(compiled(spec))
    decision = decider.decide(request.model, request.headers)
    (reading,) = rule_readings(decider, request, decision)
    assert reading.unmet == (
        Unmet("dataClassification", ("pii",), ()),
        Unmet("taskComplexity", ("complex",), ("odd",)),
        Unmet("models", ("gpt-*", "o?"), ("qwen",)),
        Unmet("headers.x-org", ("one",), ("two", "three")),
    )
    lines: list[str] = []
    Explanation(decision, (reading,)).render(lines.append)
    text = "\n".join(lines)
    assert "models wants gpt-* or o?, got qwen" in text
    assert "headers.x-org wants one, got two, three" in text
    assert "dataClassification wants pii, got none" in text
