"""How many may be connected: the one that waits longest makes room, and nobody takes it all."""

from typing import Any

import pytest
from lockgate.connections import limiter
from lockgate.connections.limiter import ConnectionLimiter, client_of


class Fake:
    """A client's connection that is idle since a time, or is not."""

    def __init__(self, idle_since: float | None = None) -> None:
        self.is_idle = idle_since is not None
        self.idle_since = idle_since or 0.0
        self.transport = self
        self.aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


def filled(*connections: Fake, limit: int, peer: str = "") -> ConnectionLimiter:
    found: Any = ConnectionLimiter(limit)
    for number, one in enumerate(connections):
        found.add(one, peer or f"192.0.2.{number}")
    limited: ConnectionLimiter = found
    return limited


pytestmark = pytest.mark.skipif(
    limiter.__file__.endswith(".so"), reason="a compiled limiter takes no connection but its own"
)


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("not:an:address", "not:an:address"),
    ],
)
def test_a_site_of_ipv6_is_one_client(address: str, client: str) -> None:
    assert client_of(address) == client


def test_below_the_limit_there_is_room() -> None:
    limited = filled(Fake(1.0), limit=2)
    assert limited.make_room("192.0.2.9")
    assert (limited.closed_idle, limited.turned_away, len(limited)) == (0, 0, 1)


def test_at_the_limit_the_one_that_waits_longest_goes() -> None:
    many = [Fake(3.0), Fake(1.0), Fake(2.0), Fake()]
    limited = filled(*many, limit=4)
    assert limited.make_room("192.0.2.9")
    assert [one.aborted for one in many] == [False, True, False, False]
    assert (limited.closed_idle, len(limited)) == (1, 3)


def test_where_nobody_is_idle_the_new_one_is_turned_away() -> None:
    limited = filled(Fake(), Fake(), limit=2)
    assert not limited.make_room("192.0.2.9")
    assert (limited.turned_away, len(limited)) == (1, 2)


def test_one_address_may_hold_three_quarters_and_makes_room_for_itself() -> None:
    mine, other = [Fake(1.0), Fake(2.0), Fake(3.0)], Fake(0.5)
    limited = filled(*mine, limit=4, peer="192.0.2.7")
    limited.add(other, "192.0.2.8")  # type: ignore[arg-type]
    assert limited.make_room("192.0.2.7")
    assert [one.aborted for one in (*mine, other)] == [True, False, False, False]
    busy = filled(Fake(), Fake(), Fake(), limit=4, peer="192.0.2.7")
    assert not busy.make_room("192.0.2.7")
    assert busy.make_room("192.0.2.8")


def test_one_that_was_found_idle_and_is_busy_since_does_not_go() -> None:
    many = [Fake(1.0), Fake(2.0), Fake(3.0)]
    limited = filled(*many, limit=3)
    assert limited.make_room("192.0.2.9")
    many[1].is_idle = False
    limited.add(Fake(9.0), "192.0.2.9")  # type: ignore[arg-type]
    assert limited.make_room("192.0.2.10")
    assert [one.aborted for one in many] == [True, False, True]


def test_who_is_gone_takes_no_room() -> None:
    one, other = Fake(1.0), Fake(2.0)
    limited = filled(one, other, limit=2, peer="192.0.2.7")
    limited.discard(one)  # type: ignore[arg-type]
    limited.discard(one)  # type: ignore[arg-type]
    assert list(limited) == [other]
    assert limited.make_room("192.0.2.7")
    assert not other.aborted
