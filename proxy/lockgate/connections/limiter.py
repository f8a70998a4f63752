"""The clients that are connected now, and how many there may be.

At the limit the one that has waited longest makes room for a new one: nothing of a request of its
own is whole, and nothing is to be sent to it. Where there is none the new one is closed at once.
One address may hold at most three quarters of the limit, so that a flood from one place leaves room
for the others.
"""

import ipaddress
from collections.abc import Iterator
from heapq import nsmallest
from typing import Final

from lockgate.connections.downstream import Downstream

PEER_SHARE: Final = 0.75
FOUND_AT_ONCE: Final = 64
"""A look at all clients finds so many that may go, for as many new ones."""


def client_of(address: str) -> str:
    """Return what tells clients apart: the address; of IPv6 the /64, which is one site's at least.

    RFC 4291, section 2.5.4, and RFC 6177: the last 64 bits are the site's to choose.
    """
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))


class ConnectionLimiter:
    """`limit` connections in all. `turned_away` counts those for which there was no room."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.turned_away = 0
        self.closed_idle = 0
        self._connections: dict[Downstream, str] = {}
        self._by_peer: dict[str, int] = {}
        self._found: list[tuple[float, Downstream]] = []  # that may go, longest waiting last
        self._found_of: str | None = None  # the peer whose they are, None for anybody's

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[Downstream]:
        return iter(list(self._connections))

    def add(self, connection: Downstream, peer: str) -> None:
        """Count a connection from `peer`."""
        self._connections[connection] = peer
        self._by_peer[peer] = self._by_peer.get(peer, 0) + 1

    def discard(self, connection: Downstream) -> None:
        """Count a connection no more: it is gone."""
        peer = self._connections.pop(connection, None)
        if peer is None:
            return
        left = self._by_peer[peer] - 1
        if left:
            self._by_peer[peer] = left
        else:
            del self._by_peer[peer]

    def make_room(self, peer: str) -> bool:
        """Return whether one more from `peer` may connect; closes an idle one for it."""
        greedy = self._by_peer.get(peer, 0) >= self.limit * PEER_SHARE
        if not greedy and len(self) < self.limit:
            return True
        longest = self._longest(peer if greedy else None)
        if longest is None:
            self.turned_away += 1
            return False
        self.closed_idle += 1
        self.discard(longest)
        longest.transport.abortConnection()
        return True

    def _longest(self, peer: str | None) -> Downstream | None:
        """Return the idle connection, of `peer` if one is named, that has waited longest."""
        looked = peer != self._found_of
        if looked:
            self._look(peer)
        while True:
            while self._found:
                since, connection = self._found.pop()
                if (
                    connection in self._connections
                    and connection.is_idle
                    and connection.idle_since == since
                ):
                    return connection
            if looked:
                return None
            looked = True
            self._look(peer)

    def _look(self, peer: str | None) -> None:
        self._found_of = peer
        idle = (
            (connection.idle_since, connection)
            for connection, owner in self._connections.items()
            if (peer is None or owner == peer) and connection.is_idle
        )
        self._found = nsmallest(FOUND_AT_ONCE, idle, key=lambda one: one[0])[::-1]
