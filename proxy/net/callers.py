"""The callers connected now, oldest first, and how many there may be.

At the limit the oldest idle connection makes room for a new one; where none is idle the new one is
closed at once. One address may hold at most three quarters of the limit, so that a flood from one
place leaves room for the others.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.net.front import Front

PEER_SHARE: Final = 0.75


class Callers:
    """`limit` connections in all. `turned_away` counts those for which there was no room."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.turned_away = 0
        self.closed_idle = 0
        self._fronts: dict[Front, str] = {}
        self._by_peer: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._fronts)

    def __iter__(self) -> Iterator["Front"]:
        return iter(list(self._fronts))

    def add(self, front: "Front", peer: str) -> None:
        """A caller from `peer` connected."""
        self._fronts[front] = peer
        self._by_peer[peer] = self._by_peer.get(peer, 0) + 1

    def discard(self, front: "Front") -> None:
        """A caller is gone."""
        peer = self._fronts.pop(front, None)
        if peer is None:
            return
        left = self._by_peer[peer] - 1
        if left:
            self._by_peer[peer] = left
        else:
            del self._by_peer[peer]

    def make_room(self, peer: str) -> bool:
        """Return whether one more from `peer` may connect; closes the oldest idle one for it."""
        greedy = self._by_peer.get(peer, 0) >= self.limit * PEER_SHARE
        if not greedy and len(self) < self.limit:
            return True
        for front, owner in self._fronts.items():
            if front.idle and (not greedy or owner == peer):
                self.closed_idle += 1
                self.discard(front)
                front.transport.abortConnection()
                return True
        self.turned_away += 1
        return False
