"""Names: asked once, kept for their TTL, none in the way of another."""

from collections.abc import Callable
from typing import Any

import pytest
from lockgate.connections.resolver import Found, Resolver
from twisted.internet.error import DNSLookupError
from twisted.internet.task import Clock


class Reactor(Clock):
    def callFromThread(self, call: Callable[..., Any], *args: Any) -> None:
        call(*args)


class Asked:
    """A resolver that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Callable[[Found | None], None]] = {}
        self.fault: Exception | None = None

    def __call__(self, host: str, done: Callable[[Found | None], None]) -> None:
        if self.fault is not None:
            raise self.fault
        self.asked.append(host)
        self.answers[host] = done


def start() -> tuple[Reactor, Asked, Resolver]:
    reactor, asked = Reactor(), Asked()
    return reactor, asked, Resolver(reactor, asked)


def result(deferred: Any) -> list[Any]:
    found: list[Any] = []
    deferred.addBoth(found.append)
    return found


@pytest.mark.parametrize(
    ("ttl_s", "kept_s"), [(30.0, 30.0), (1.0, 1.0), (0.0, 1.0), (0.2, 1.0), (90_000.0, 3600.0)]
)
def test_an_answer_is_kept_for_its_ttl(ttl_s: float, kept_s: float) -> None:
    reactor, asked, names = start()
    found = result(names.resolve("h"))
    asked.answers["h"]((["192.0.2.1"], ttl_s))
    assert found == [["192.0.2.1"]]
    reactor.advance(kept_s - 0.01)
    assert result(names.resolve("h")) == [["192.0.2.1"]]
    assert asked.asked == ["h"]
    reactor.advance(0.02)
    names.resolve("h")
    assert asked.asked == ["h", "h"]


def test_a_slow_name_is_asked_once_and_delays_no_other() -> None:
    _, asked, names = start()
    slow = [result(names.resolve("slow")) for _ in range(50)]
    quick = result(names.resolve("quick"))
    asked.answers["quick"]((["192.0.2.2"], 1.0))
    assert quick == [["192.0.2.2"]]
    assert slow == [[]] * 50
    asked.answers["slow"]((["192.0.2.1"], 1.0))
    assert slow == [[["192.0.2.1"]]] * 50
    assert asked.asked == ["slow", "quick"]


def test_a_name_that_does_not_exist_is_asked_again_after_a_second() -> None:
    reactor, asked, names = start()
    found = result(names.resolve("h"))
    asked.answers["h"](None)
    assert found[0].check(DNSLookupError)
    assert result(names.resolve("h"))[0].check(DNSLookupError)
    reactor.advance(1.01)
    names.resolve("h")
    assert asked.asked == ["h", "h"]


def test_what_could_not_be_asked_is_asked_the_next_time() -> None:
    _, asked, names = start()
    asked.fault = OSError("too many open files")
    for _ in range(2):
        (failed,) = result(names.resolve("h"))
        assert failed.check(OSError)
        assert not failed.check(DNSLookupError)
    asked.fault = None
    found = result(names.resolve("h"))
    asked.answers["h"]((["192.0.2.1"], 1.0))
    assert found == [["192.0.2.1"]]


@pytest.mark.parametrize("address", ["192.0.2.1", "::1"])
def test_an_address_is_its_own_answer(address: str) -> None:
    reactor, asked, names = start()
    assert result(names.resolve(address)) == [[address]]
    assert asked.asked == []
    reactor.advance(1e9)
    assert names.known(address) == [address]


def test_a_name_is_known_for_its_ttl_and_no_longer() -> None:
    reactor, asked, names = start()
    assert names.known("h") is None
    names.resolve("h")
    assert names.known("h") is None
    asked.answers["h"]((["192.0.2.1", "192.0.2.2"], 30.0))
    reactor.advance(29.9)
    assert names.known("h") == ["192.0.2.1", "192.0.2.2"]
    reactor.advance(0.1)
    assert names.known("h") is None


def test_a_name_without_addresses_is_not_known() -> None:
    _, asked, names = start()
    result(names.resolve("h"))
    asked.answers["h"](None)
    assert names.known("h") is None


def test_what_is_known_is_the_askers_own() -> None:
    _, asked, names = start()
    names.resolve("h")
    asked.answers["h"]((["192.0.2.1"], 30.0))
    known = names.known("h")
    assert known is not None
    known.pop()
    assert names.known("h") == ["192.0.2.1"]
