"""One memory budget over all bodies and buffers of a process, and a share of it for each client.

Room for a request's body is reserved as it comes, and a client for whom there is none is asked to
come back: 503 with Retry-After. What an exchange must hold on the way (a response before its commit
point, the text kept for resuming, what a slow reader did not take) is charged without asking, since
it is bounded for each exchange, and leaves less room for the next body.

While somebody else waits for room (was refused in the last ten seconds, and has had none since) a
client gets none beyond its share. Otherwise all that is free is anybody's.
"""

import ipaddress
from collections.abc import Callable
from typing import Final

from lockgate.policy.spec.model_router import CallerMemory

RETRY_AFTER_S: Final = 1
"""Bodies are held for the length of an exchange: seconds."""
WAITS_S: Final = 10.0
"""So long after a refusal a client counts as waiting: an SDK comes back after 0.5 to 8 s."""
MOST_WAITING: Final = 64
"""Clients that are remembered as waiting; to know of one other is enough."""


def _never() -> float:
    return 0.0


class MemoryBudget:
    """Counts the bytes in use of `limit_bytes`, by client.

    `refused` counts the requests for which there was no room. Clients are told apart by address,
    `now` is monotonic.
    """

    def __init__(self, limit_bytes: int, now: Callable[[], float] = _never) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self.refused = 0
        self._now = now
        self._shares = CallerMemory()
        self._excepted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
        self._by_client: dict[str, int] = {}
        self._waiting: dict[str, float] = {}  # since when

    def share_by(self, shares: CallerMemory) -> None:
        """Hold clients to these shares from now on."""
        self._shares = shares
        self._excepted = tuple(ipaddress.ip_network(text) for text in shares.excepted)

    @property
    def is_over(self) -> bool:
        """Whether more is in use than there is room for."""
        return self.held_bytes > self.limit_bytes

    def held_by(self, client: str) -> int:
        """Return what is in use for one client."""
        return self._by_client.get(client, 0)

    def has_room(self, size: int, client: str = "") -> bool:
        """Whether `size` bytes are free for `client`; if not, it counts as waiting for room."""
        if self.held_bytes + size > self.limit_bytes:
            self._remember_waiting(client)
        elif not self._waiting or self._is_within(size, client):
            return True
        self.refused += 1
        return False

    def try_reserve(self, size: int, client: str = "") -> bool:
        """Take `size` bytes if there is room; return whether there was."""
        total = self.held_bytes + size
        if total > self.limit_bytes or self._waiting:
            if not self.has_room(size, client):
                return False
            self._waiting.pop(client, None)
        self.held_bytes = total
        self._by_client[client] = self._by_client.get(client, 0) + size
        return True

    def charge(self, size: int, client: str = "") -> None:
        """Take `size` bytes whether there is room or not."""
        self.held_bytes += size
        in_use = self._by_client.get(client, 0) + size
        if in_use:
            self._by_client[client] = in_use
        else:
            self._by_client.pop(client, None)

    def release(self, size: int, client: str = "") -> None:
        """Give `size` bytes back."""
        self.charge(-size, client)

    def _remember_waiting(self, client: str) -> None:
        self._waiting.pop(client, None)
        if len(self._waiting) >= MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[client] = self._now()

    def _is_within(self, size: int, client: str) -> bool:
        """Whether `client` may hold so much more, although somebody waits."""
        if self.held_by(client) + size <= self._shares.share * self.limit_bytes:
            return True
        since = self._now() - WAITS_S
        self._waiting = {name: at for name, at in self._waiting.items() if at > since}
        return not any(name != client for name in self._waiting) or self._is_excepted(client)

    def _is_excepted(self, client: str) -> bool:
        if not self._excepted:
            return False
        try:
            network = ipaddress.ip_network(client)
        except ValueError:
            return False  # not known by its address
        return any(n.version == network.version and n.overlaps(network) for n in self._excepted)
