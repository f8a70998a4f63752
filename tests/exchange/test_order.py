"""In which order candidates are tried."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.connections.credentials import Credentials
from lockgate.exchange.latency import ENOUGH, WINDOW_S, Latency
from lockgate.exchange.memory import MemoryBudget
from lockgate.exchange.order import Orders
from lockgate.policy.deciding.decide import decide
from lockgate.policy.deciding.decision import Request, Route
from lockgate.policy.reading.load import compiled
from lockgate.policy.spec.backends import Backend
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.rules import Match, RouteTo, Rule
from lockgate.server.upstream_state import UpstreamState

from tests.exchange.playbook import cloud, local


def routed(
    *backends: Backend,
    strategy: str = "primary-fallback",
    default: str | None = None,
    label: str | None = None,
    slo_ms: int | None = None,
    names: tuple[str, ...] = (),
) -> Route:
    route = RouteTo(backends=names or tuple(b.name for b in backends), strategy=strategy)  # type: ignore[arg-type]
    rule = Rule(name="r", match=Match(latency_slo_ms=slo_ms), route=route)
    spec = RouterSpec(backends=backends, rules=(rule,), default_route=default)
    headers = {"x-llmkube-classification": (label,)} if label else {}
    decision = decide(compiled(spec), Request("m", headers))
    assert isinstance(decision, Route)
    return decision


def orders(*backends: Backend, start: float = 0.0) -> Orders:
    return Orders(lambda: start, {b.name: Latency() for b in backends})


def names(found: tuple[Backend, ...]) -> str:
    return " ".join(backend.name for backend in found)


FIVE = (local("a", weight=5), local("b", weight=1), local("c", weight=1))


def test_weights_are_kept_smoothly_and_the_rest_follows_by_weight() -> None:
    held, route = orders(*FIVE), routed(*FIVE, strategy="weighted")
    found = [names(held.of(route, 0.0)) for _ in range(7)]
    assert [order[0] for order in found] == list("aabacaa")
    assert set(found) == {"a b c", "b a c", "c a b"}


def test_replicas_start_at_places_of_their_own() -> None:
    route = routed(*FIVE, strategy="weighted")
    firsts = {
        "".join(names(held.of(route, 0.0))[0] for _ in range(7))
        for held in (orders(*FIVE, start=share / 10) for share in range(10))
    }
    assert len(firsts) > 3


def test_a_weight_of_0_is_only_a_fallback() -> None:
    backends = (local("a", weight=0), local("b", weight=2))
    held, route = orders(*backends), routed(*backends, strategy="weighted")
    assert {names(held.of(route, 0.0)) for _ in range(20)} == {"b a"}


def test_the_default_route_is_always_last_and_never_picked() -> None:
    backends = (local("a"), local("b"), local("z", weight=100))
    route = routed(*backends, strategy="weighted", default="z", names=("a", "b"))
    held = orders(*backends)
    assert {names(held.of(route, 0.0)) for _ in range(10)} == {"a b z", "b a z"}


def test_only_the_first_answers_under_shadow_and_then_the_default_route() -> None:
    backends = (local("a"), local("b"), local("z"))
    route = routed(*backends, strategy="shadow", default="z", names=("a", "b"))
    assert names(orders(*backends).of(route, 0.0)) == "a z"


def test_where_the_first_may_not_answer_under_shadow_no_other_of_the_rule_does() -> None:
    backends = (cloud("a"), local("b"), local("z"))
    route = routed(*backends, strategy="shadow", default="z", names=("a", "b"), label="pii")
    assert names(orders(*backends).of(route, 0.0)) == "z"


def slow(seconds: float, now: float = 0.0, samples: int = ENOUGH) -> Latency:
    latency = Latency()
    for _ in range(samples):
        latency.saw(now, seconds)
    return latency


@pytest.mark.parametrize(
    ("first", "order"),
    [
        (slow(0.9), "b c a z"),
        (slow(0.7), "a b c z"),
        (slow(0.9, samples=ENOUGH - 1), "a b c z"),
        (slow(0.9, now=-WINDOW_S - 1), "a b c z"),
    ],
    ids=["over", "under", "too few", "too old"],
)
def test_a_first_that_is_slower_than_the_slo_is_tried_after_the_rules_others(
    first: Latency, order: str
) -> None:
    backends = (local("a"), local("b"), local("c"), local("z"))
    route = routed(*backends, default="z", names=("a", "b", "c"), slo_ms=800)
    held = Orders(lambda: 0.0, {b.name: Latency() for b in backends} | {"a": first})
    assert names(held.of(route, 0.0)) == order


def test_the_estimate_is_the_95th_percentile_of_the_window() -> None:
    latency = Latency()
    for number in range(100):
        latency.saw(0.0, number / 100)
    assert latency.p95(0.0) == pytest.approx(0.95)
    assert latency.median(0.0) == pytest.approx(0.5)


@given(
    weights=st.lists(st.integers(0, 4), min_size=2, max_size=4),
    tiers=st.lists(st.booleans(), min_size=4, max_size=4),
    strategy=st.sampled_from(["primary-fallback", "weighted", "shadow"]),
    label=st.sampled_from([None, "public", "pii"]),
    start=st.floats(0, 0.999),
    slo_ms=st.sampled_from([None, 1]),
)
def test_no_strategy_ever_reaches_what_the_decision_left_out(
    weights: list[int],
    tiers: list[bool],
    strategy: str,
    label: str | None,
    start: float,
    slo_ms: int | None,
) -> None:
    backends = [local("z")] + [
        (local if is_local else cloud)(name, weight=weight)
        for name, weight, is_local in zip("abcd", weights, tiers, strict=False)
    ]
    rule_names = tuple(b.name for b in backends[1:])
    route = routed(
        *backends, strategy=strategy, default="z", label=label, names=rule_names, slo_ms=slo_ms
    )
    latencies = {b.name: slow(1.0) for b in backends}
    for _ in range(5):
        found = Orders(lambda: start, latencies).of(route, 0.0)
        assert max(Counter(names(found).split()).values()) == 1
        assert set(found) <= set(route.candidates)
        assert strategy == "shadow" or set(found) == set(route.candidates)
        assert found[-1].name == "z"
        assert label != "pii" or {b.tier for b in found} == {"local"}


def test_a_backend_far_slower_than_its_tier_is_marked(tmp_path: Path) -> None:
    spec = RouterSpec(backends=(local("a"), local("b"), cloud("c")))
    gate = UpstreamState(
        lambda: 1.0, compiled(spec), Credentials(tmp_path, lambda: 1.0), MemoryBudget(1)
    )
    gate.latencies.update({"a": slow(0.4), "b": slow(0.1), "c": slow(9.0)})
    assert gate.outliers(1.0) == {"a": 1.0, "b": 0.0, "c": 0.0}
    gate.latencies["a"] = slow(0.2)
    assert gate.outliers(1.0)["a"] == 0.0
