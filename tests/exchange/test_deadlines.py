"""Deadlines: rule wins over backend wins over proxy, each of the four by itself."""

import pytest
from lockgate.exchange.deadlines import resolve_deadlines
from lockgate.policy.spec.backends import Backend, InferenceServiceRef, Timeouts
from lockgate.policy.spec.model_router import Proxy
from lockgate.policy.spec.rules import RouteTo, Rule

REF = InferenceServiceRef(name="x")
ROUTE = RouteTo(backends=("b",))


def test_the_defaults() -> None:
    limits = resolve_deadlines(None, Backend(name="b", inference_service_ref=REF), Proxy())
    assert (limits.connect_s, limits.total_s, limits.heartbeat_s) == (3.0, None, 0.0)
    assert (limits.first_token_s, limits.alive_s, limits.whole_s) == (120.0, 600.0, 600.0)
    assert (limits.silence_s, limits.idle_s) == (60.0, 300.0)


def test_a_declared_first_token_has_five_times_as_long_while_signs_of_life_come() -> None:
    backend = Backend(name="b", inference_service_ref=REF, timeout=9.0)
    limits = resolve_deadlines(None, backend, Proxy())
    assert (limits.first_token_s, limits.alive_s, limits.whole_s) == (9.0, 45.0, 9.0)


@pytest.mark.parametrize(
    "name", ["connect", "first_token", "silence", "idle", "total", "heartbeat"]
)
def test_rule_over_backend_over_proxy(name: str) -> None:
    def at(seconds: float) -> Timeouts:
        return Timeouts(**{name: seconds})

    backend = Backend(name="b", inference_service_ref=REF, timeouts=at(2))
    bare = Backend(name="b", inference_service_ref=REF)
    rule, proxy = Rule(name="r", route=ROUTE, timeouts=at(1)), Proxy(timeouts=at(3))
    found = [
        getattr(resolve_deadlines(*held), f"{name}_s")
        for held in ((rule, backend, proxy), (None, backend, proxy), (None, bare, proxy))
    ]
    assert found == [1, 2, 3]


def test_timeout_is_short_for_first_token() -> None:
    backend = Backend(name="b", inference_service_ref=REF, timeout=9.0)
    limits = resolve_deadlines(Rule(name="r", route=ROUTE, timeout=4.0), backend, Proxy())
    assert (limits.first_token_s, limits.own_first_token_s) == (4.0, 9.0)
    assert resolve_deadlines(None, backend, Proxy()).first_token_s == 9.0


def test_the_proxys_own_default() -> None:
    bare = Backend(name="b", inference_service_ref=REF)
    assert resolve_deadlines(None, bare, Proxy(response_header_timeout=7.0)).first_token_s == 7.0
