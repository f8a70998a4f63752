"""The engine against its second, naive reading, and the promise that must not slip."""

from hypothesis import given
from lockgate.policy.deciding.decide import Decider, decide
from lockgate.policy.deciding.decision import Request, Route
from lockgate.policy.reading.load import compiled
from lockgate.policy.spec.model_router import RouterSpec

from tests.properties.policies import requests, specs
from tests.spec import naive


@given(specs(), requests)
def test_the_engine_and_the_naive_reading_agree(spec: RouterSpec, request: Request) -> None:
    decision = decide(compiled(spec), request)
    found = [b.name for b in decision.candidates] if isinstance(decision, Route) else []
    assert found == naive.candidates(spec, request)


@given(specs(), requests)
def test_a_sensitive_request_never_has_a_cloud_candidate_whatever_the_policy_says(
    spec: RouterSpec, request: Request
) -> None:
    decision = decide(compiled(spec), request)
    if decision.reading.labels.sensitive and isinstance(decision, Route):
        assert {backend.tier for backend in decision.candidates} == {"local"}


@given(specs(), requests, requests)
def test_a_memo_never_answers_for_another_request(
    spec: RouterSpec, first: Request, second: Request
) -> None:
    policy = compiled(spec)
    decider = Decider(policy, bound=1)
    decider.decide(first.model, first.headers)
    remembered = decider.decide(second.model, second.headers)
    assert remembered == decide(policy, second)
