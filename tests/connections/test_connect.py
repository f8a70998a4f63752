"""What is remembered of addresses that a backend may have."""

from typing import Any

from lockgate.connections.connect import MOST_ADDRESSES, Destination
from lockgate.connections.endpoint import endpoint_of
from lockgate.policy.spec.backends import Backend, External


def destination(*, private: bool) -> Destination:
    external = External(provider="openai", model="m", allow_private_address=private)
    backend = Backend(name="b", tier="cloud", external=external)
    anything: Any = None
    return Destination(
        anything, anything, backend, endpoint_of(backend), (), tls=anything, refused=anything
    )


def test_an_address_is_judged_for_the_backend_that_asks() -> None:
    lenient, strict = destination(private=True), destination(private=False)
    for _ in range(2):
        assert lenient.reason_against("10.0.0.1") is None
        assert strict.reason_against("10.0.0.1") is not None
        assert strict.reason_against("169.254.169.254") is not None
        assert lenient.reason_against("169.254.169.254") is not None


def test_few_verdicts_are_remembered() -> None:
    strict = destination(private=False)
    for number in range(2 * MOST_ADDRESSES):
        assert strict.reason_against(f"8.8.{number // 256}.{number % 256}") is None
    assert len(strict._reasons) <= MOST_ADDRESSES
    assert strict.reason_against("10.0.0.1") is not None
