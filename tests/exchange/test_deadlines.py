"""Deadlines: rule wins over backend wins over proxy, each of the four by itself."""

import pytest

from proxy.exchange.deadlines import resolve_deadlines
from proxy.policy.backends import Backend, InferenceServiceRef, Timeouts
from proxy.policy.rules import RouteTo, Rule
from proxy.policy.spec import Proxy

REF = InferenceServiceRef(name="x")
ROUTE = RouteTo(backends=("b",))


def test_the_defaults() -> None:
    limits = resolve_deadlines(None, Backend(name="b", inference_service_ref=REF), Proxy())
    found = (limits.connect_s, limits.first_token_s, limits.idle_s, limits.total_s)
    assert found == (3.0, 120.0, 60.0, None)


@pytest.mark.parametrize("name", ["connect", "first_token", "idle", "total"])
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
