"""The backends of the policy in force as servers: a connection pool each, and what they are sent.

A reload keeps the pool of a backend that stays the same in every field, with its connections.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, final

from twisted.logger import Logger

from lockgate.connections.connect import Destination
from lockgate.connections.credentials import Credentials
from lockgate.connections.endpoint import endpoint_of
from lockgate.connections.pool import ConnectionPool
from lockgate.connections.resolver import Resolver
from lockgate.connections.tls import StrictClient, upstream_tls
from lockgate.exchange.request import RoutedRequest
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.spec.backends import Backend
from lockgate.providers.dialect import head_prefix, probe_bytes, request_head

_log = Logger("lockgate.upstreams")


@final
class Upstreams:
    """`pools` holds a connection pool for each backend by its name.

    `addresses` are the URLs that ``--address`` gives instead of the backends' own.
    """

    def __init__(
        self,
        reactor: Any,
        resolver: Resolver,
        credentials: Credentials,
        addresses: Mapping[str, str],
    ) -> None:
        self.pools: dict[str, ConnectionPool] = {}
        self._reactor = reactor
        self._resolver = resolver
        self._credentials = credentials
        self._addresses = addresses
        self._prefixes: dict[tuple[str, str | None], bytes] = {}

    def adopt(self, policy: LoadedPolicy) -> None:
        """Have a pool for each backend of `policy`, and close those that are not its any more."""
        old = self.pools
        self.pools = {b.name: self._pool(b, policy) for b in policy.spec.backends}
        for name, pool in old.items():
            if self.pools.get(name) is not pool:
                pool.close()
        self._prefixes = {}

    def sweep(self) -> None:
        """Close connections that were idle for too long."""
        for pool in self.pools.values():
            pool.sweep()

    def close(self) -> None:
        """Close every idle connection."""
        for pool in self.pools.values():
            pool.close()

    @property
    def idle(self) -> int:
        """How many connections are kept and carry no request."""
        return sum(pool.idle for pool in self.pools.values())

    def request_head(self, backend: Backend, length: int | None, request: RoutedRequest) -> bytes:
        """Return the head of a request for `backend`; `length` of its body, None for chunked."""
        key = self._credentials.key_for(backend)
        prefix = self._prefixes.get((backend.name, key))
        if prefix is None:
            prefix = self._prefix(backend, key)
        return request_head(prefix, backend, length, request.request_id, request.client_headers)

    def probe(self, backend: Backend, path: str) -> bytes:
        """Return a health check's request for `backend`."""
        host = self.pools[backend.name].endpoint.host_header
        return probe_bytes(path, host, self._credentials.key_for(backend))

    def _prefix(self, backend: Backend, key: str | None) -> bytes:
        """Return the head's part that stays the same until the backend's key changes."""
        endpoint = self.pools[backend.name].endpoint
        prefix = head_prefix(backend, endpoint.base_path, endpoint.host_header, key)
        self._prefixes = {k: v for k, v in self._prefixes.items() if k[0] != backend.name}
        self._prefixes[backend.name, key] = prefix
        return prefix

    def _pool(self, backend: Backend, policy: LoadedPolicy) -> ConnectionPool:
        ranges = policy.spec.proxy.private_cidrs
        pool = self.pools.get(backend.name)
        if (
            pool is not None
            and pool.backend == backend
            and pool.destination.private_ranges == ranges
        ):
            return pool
        destination = Destination(
            self._reactor,
            self._resolver,
            backend,
            endpoint_of(backend, self._addresses.get(backend.name)),
            ranges,
            tls=partial(self._tls, backend),
            refused=partial(_log_refused, backend.name),
        )
        return ConnectionPool(destination)

    def _tls(self, backend: Backend, host: str) -> StrictClient:
        files = self._credentials.tls_for(backend)
        assert files is not None  # a backend whose files are missing is no candidate
        return upstream_tls(host, files)


def _log_refused(backend: str, address: str, reason: str) -> None:
    _log.error(
        "backend {backend}: address {address} refused: {reason}",
        backend=backend,
        address=address,
        reason=reason,
    )
