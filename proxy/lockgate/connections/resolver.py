"""Names of backends into addresses: asynchronous, cached for their TTL, each on its own.

c-ares (through pycares) asks: it reads /etc/resolv.conf with its search list and /etc/hosts, as
pods need, sorts addresses by RFC 6724, and gives the TTL that ``getaddrinfo`` of the C library
hides. A slow name takes no thread and delays no other; who waits ends its wait by its deadline.

A name is asked once however many wait for it. An answer is kept for its TTL, at least a second and
at most an hour; one with a TTL of 0 (or from /etc/hosts) and a failure for a second. What cannot be
asked at all (no descriptor is left) is not kept, and not the name's fault.
"""

from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any, Final

import pycares
from attrs import frozen
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import DNSLookupError

from lockgate.eventloop.failure import failure_of

TRY_S: Final = 2.0
TRIES: Final = 3
"""What one server may take and how often it is asked: six seconds bound what nobody waits for."""
LEAST_S: Final = 1.0
MOST_S: Final = 3600.0
FAILED_S: Final = 1.0

Found = tuple[list[str], float]
"""Addresses in the order to try them, and their TTL in seconds (0 where there is none)."""
Ask = Callable[[str, Callable[[Found | None], None]], None]
"""Asks for a name; the callback gets None when there is no address, in any thread."""


@frozen
class _Known:
    addresses: tuple[str, ...]
    until: float


class Resolver:
    """The resolver of one proxy. `reactor` gives seconds and the way back to its thread."""

    def __init__(self, reactor: Any, ask: Ask) -> None:
        self._reactor = reactor
        self._ask = ask
        self._known: dict[str, _Known] = {}
        self._waiting: dict[str, list[Deferred[list[str]]]] = {}

    def known(self, host: str) -> list[str] | None:
        """Return the addresses of `host` if they are known at this moment."""
        known = self._known.get(host)
        if known is None or not known.addresses or self._reactor.seconds() >= known.until:
            return None
        return list(known.addresses)

    def resolve(self, host: str) -> "Deferred[list[str]]":
        """Return the addresses of `host`; errback with DNSLookupError when it has none.

        Any other failure: it could not be asked.
        """
        if isIPAddress(host) or isIPv6Address(host):
            self._known[host] = _Known((host,), inf)
            return succeed([host])
        known = self._known.get(host)
        done: Deferred[list[str]] = Deferred()
        if known is not None and self._reactor.seconds() < known.until:
            self._give(done, host, known)
            return done
        waiting = self._waiting.setdefault(host, [])
        waiting.append(done)
        if len(waiting) == 1:
            try:
                self._ask(host, partial(self._reactor.callFromThread, self._answered, host))
            except Exception as problem:  # noqa: BLE001 - the next one must be able to ask
                self._not_asked(host, problem)
        return done

    def _not_asked(self, host: str, problem: Exception) -> None:
        failure = failure_of(problem)
        for done in self._waiting.pop(host, []):
            done.errback(failure)

    def _answered(self, host: str, found: Found | None) -> None:
        addresses, ttl_s = found or ([], FAILED_S)
        keep_s = min(max(ttl_s, LEAST_S), MOST_S)
        known = _Known(tuple(addresses), self._reactor.seconds() + keep_s)
        self._known[host] = known
        for done in self._waiting.pop(host, []):
            self._give(done, host, known)

    @staticmethod
    def _give(done: "Deferred[list[str]]", host: str, known: _Known) -> None:
        if known.addresses:
            done.callback(list(known.addresses))
        else:
            done.errback(failure_of(DNSLookupError(host)))


class CAres:
    """Asks through c-ares. `server` (address, port) stands in for those of /etc/resolv.conf."""

    def __init__(self, server: tuple[str, int] | None = None) -> None:
        self._server = server
        self._channel: Any = None

    def ask(self, host: str, done: Callable[[Found | None], None]) -> None:
        """Ask for the IPv4 and IPv6 addresses of `host`."""
        if self._channel is None:  # its thread starts with the first name
            self._channel = self._open()

        def answered(result: Any, error: int | None) -> None:
            done(None if error is not None else _read(result))

        self._channel.getaddrinfo(host, None, callback=answered)

    def _open(self) -> Any:
        if self._server is None:
            return pycares.Channel(timeout=TRY_S, tries=TRIES)
        address, port = self._server
        return pycares.Channel(
            timeout=TRY_S, tries=TRIES, servers=[address], udp_port=port, tcp_port=port
        )


def _read(result: Any) -> Found | None:
    addresses: list[str] = []
    for node in result.nodes:
        address = node.addr[0].decode("ascii")
        if address not in addresses:
            addresses.append(address)
    if not addresses:
        return None
    return addresses, float(min(node.ttl for node in result.nodes))
