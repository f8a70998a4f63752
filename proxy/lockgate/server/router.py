"""Where whole requests are taken: scanned, decided, answered or given to an exchange.

Everything that requests share hangs here: the policy in force, its dialers, the audit sink, the
metrics. A reload swaps policy, decider and dialers in one step between two requests.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.logger import Logger

from lockgate.bodies.scan import Scan
from lockgate.bodies.upload import Upload
from lockgate.connections.credentials import Credentials
from lockgate.connections.downstream import Downstream
from lockgate.connections.endpoint import Endpoint, endpoint_of
from lockgate.connections.inbound import InboundRequest
from lockgate.connections.limiter import ConnectionLimiter
from lockgate.connections.pool import ConnectionPool
from lockgate.connections.requests import RequestHandler
from lockgate.connections.resolver import Resolver
from lockgate.connections.timer_wheel import TimerWheel
from lockgate.connections.tls import StrictClient, upstream_tls
from lockgate.errors.kinds import KINDS, RejectedError
from lockgate.eventloop.later import Later
from lockgate.exchange.events import START, Interrupted
from lockgate.exchange.machine import Exchange
from lockgate.exchange.models import model_documents, models_document, no_such_model
from lockgate.exchange.render import (
    DO_NOT_RETRY,
    head_alone,
    identified,
    no_content,
    whole,
    whole_error,
)
from lockgate.exchange.request import RoutedRequest
from lockgate.http1.head_rules import HeadRules
from lockgate.http1.request_head import Head
from lockgate.policy.deciding.decision import Decision, Refuse
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.spec.backends import Backend
from lockgate.providers.dialect import head_prefix, probe_bytes, request_head
from lockgate.server.driver import ExchangeDriver
from lockgate.server.health import Health
from lockgate.server.recorder import Recorder
from lockgate.server.shadow import Shadows
from lockgate.server.upstream_state import UpstreamState

_log = Logger("lockgate.desk")


class RequestRouter(RequestHandler):
    """See the module's text. `addresses` are the ``--address`` overrides by backend name."""

    def __init__(  # noqa: PLR0913 - the house is put together here
        self,
        reactor: Any,
        wheel: TimerWheel,
        upstream_state: UpstreamState,
        credentials: Credentials,
        recorder: Recorder,
        *,
        names: Resolver,
        next_request_id: Callable[[], str],
        addresses: Mapping[str, str],
        max_connections: int,
        listens_on: str = "",
    ) -> None:
        super().__init__(
            wheel,
            Later(reactor),
            upstream_state.memory,
            ConnectionLimiter(max_connections),
            next_request_id,
        )
        self.reactor = reactor
        self.names = names
        self.upstream_state = upstream_state
        self.credentials = credentials
        self.recorder = recorder
        self.addresses = addresses
        self._listens_on = listens_on
        self.runs: set[ExchangeDriver] = set()
        self.draining = False  # answers say that their connection closes
        self.pools: dict[str, ConnectionPool] = {}
        self.shadows = Shadows(self)
        self.health = Health(wheel, upstream_state.unhealthy, self._probe_bytes)
        self._models = b""
        self._policy_header = b""
        self._rule_headers: dict[str | None, bytes] = {}
        self._prefixes: dict[tuple[str, str | None], bytes] = {}
        self._install(self.upstream_state.policy)

    def adopt(self, policy: LoadedPolicy) -> None:
        """Put `policy` in force, whole, between two requests."""
        self.upstream_state.adopt(policy)
        self._install(policy)

    def _install(self, policy: LoadedPolicy) -> None:
        old = self.pools
        # a backend that is the same in every field keeps its connections
        self.pools = {b.name: self._pool(b, policy, old) for b in policy.spec.backends}
        for name, pool in old.items():
            if self.pools.get(name) is not pool:
                pool.close()
        self.upstream_state.peers = {name: pool.peer for name, pool in self.pools.items()}
        self.health.adopt(self.pools)
        self.keep_alive_s = policy.spec.endpoint.keep_alive
        self.min_read_rate = policy.spec.proxy.min_read_rate
        self.memory.share_by(policy.spec.proxy.caller_memory)
        self._prefixes = {}
        self._rule_headers = {}
        self._models = models_document(policy.spec)
        self._model = model_documents(policy.spec)
        names = self.upstream_state.decider.header_names
        self.heads.adopt(HeadRules(names, policy.spec.endpoint.cors.origins, self._listens_on))
        self._policy_header = b"x-lockgate-policy: %b\r\n" % policy.digest.encode()

    def _pool(
        self, backend: Backend, policy: LoadedPolicy, old: Mapping[str, ConnectionPool]
    ) -> ConnectionPool:
        ranges = policy.spec.proxy.private_ranges
        held = old.get(backend.name)
        if held is not None and held.backend == backend and held.private_ranges == ranges:
            return held
        endpoint = endpoint_of(backend, self.addresses.get(backend.name))
        return ConnectionPool(
            self.reactor,
            self.names,
            backend,
            endpoint,
            ranges,
            tls=partial(self._tls, backend),
            refused=partial(self._refused, backend.name),
        )

    def _tls(self, backend: Backend, host: str) -> StrictClient:
        files = self.credentials.tls_for(backend)
        assert files is not None  # a backend whose files are missing is no candidate
        return upstream_tls(host, files)

    def _refused(self, backend: str, address: str, reason: str) -> None:
        _log.error(
            "backend {backend}: address {address} refused: {reason}",
            backend=backend,
            address=address,
            reason=reason,
        )

    # -- one request

    def serve(self, connection: Downstream, received: InboundRequest) -> None:
        """Answer one whole request, now or when its exchange is over."""
        request_id = self.next_request_id()
        head = received.head
        if head.door != "chat":
            self._serve_plain(connection, received, request_id)
            return
        try:
            if head.dropped:
                self.heads.rules.check_underscored(head.dropped)  # a reload may have made new ones
            scanned = received.scan()
        except RejectedError as rejection:
            self._reject(connection, received, rejection, request_id)
            return
        decision = self.upstream_state.decider.decide(scanned.model, head.headers)
        if isinstance(decision, Refuse):
            self._refuse(connection, received, decision, request_id)
            return
        request = RoutedRequest(
            request_id=request_id,
            body=received.body,
            upload=received.upload,
            scan=scanned,
            route=decision,
            client_headers=head.headers,
            response_headers=self._response_headers(decision, request_id, head),
            chunks=not head.http10,
            close=self._closes(head),
            client_request_id=head.client_request_id,
            client=connection.peer,
        )
        self._run(connection, request)

    def begin(self, connection: Downstream, head: Head, upload: Upload) -> bool:
        """Begin with a request whose body still arrives, where its model is known and routed.

        False: not yet, or not at all; it is served when it is whole, which also says why not.
        """
        try:
            if head.dropped:
                self.heads.rules.check_underscored(head.dropped)
            found = upload.look()
        except RejectedError:
            return False
        if found is None:
            return False
        model, span = found
        decision = self.upstream_state.decider.decide(model, head.headers)
        if isinstance(decision, Refuse) or not self.upstream_state.may_begin(decision):
            return False
        request_id = self.next_request_id()
        request = RoutedRequest(
            request_id=request_id,
            body=b"",
            scan=Scan(model, span, stream=False, include_usage=False, usage_edit=None),
            route=decision,
            client_headers=head.headers,
            response_headers=self._response_headers(decision, request_id, head),
            chunks=not head.http10,
            close=self._closes(head),
            client_request_id=head.client_request_id,
            upload=upload,
            whole=False,
            client=connection.peer,
        )
        self._run(connection, request)
        return True

    def _run(self, connection: Downstream, request: RoutedRequest) -> None:
        exchange = Exchange(request, self.upstream_state)
        self.upstream_state.budget.saw_request(exchange.started_s)
        run = connection.listener = ExchangeDriver(self, connection, exchange)
        connection.in_hand = None
        self.runs.add(run)
        run.feed(START)

    def ended(self, run: ExchangeDriver) -> None:
        """An exchange is over: its one record."""
        self.runs.discard(run)
        request = run.exchange.request
        self.memory.give(request.charged_bytes, request.client)
        self.recorder.exchange(run.exchange)
        if request.route.is_shadowed:
            self.shadows.after(run.exchange)

    def record_unserved(
        self,
        head: Head,
        rejection: RejectedError,
        request_id: str | None = None,
        *,
        bytes_in: int,
        answered: bool = False,
    ) -> None:
        """Record a request whose head was admitted and whose body never became a request."""
        self.recorder.unserved(
            request_id or self.next_request_id(),
            head,
            rejection,
            answered=answered,
            bytes_in=bytes_in,
        )

    def request_head(self, backend: Backend, length: int | None, request: RoutedRequest) -> bytes:
        """Render the head of a request for `backend`; `length` of its body, None for chunked."""
        key = self.credentials.key_for(backend)
        held = (backend.name, key)
        prefix = self._prefixes.get(held)
        if prefix is None:
            endpoint: Endpoint = self.pools[backend.name].endpoint
            prefix = head_prefix(backend, endpoint.base_path, endpoint.host_header, key)
            self._prefixes = {k: v for k, v in self._prefixes.items() if k[0] != backend.name}
            self._prefixes[held] = prefix
        return request_head(prefix, backend, length, request.request_id, request.client_headers)

    def _probe_bytes(self, backend: Backend, path: str) -> bytes:
        """Render a health check for `backend`."""
        endpoint: Endpoint = self.pools[backend.name].endpoint
        return probe_bytes(path, endpoint.host_header, self.credentials.key_for(backend))

    def _response_headers(self, decision: Decision, request_id: str, head: Head) -> bytes:
        rule = decision.reading.rule_name
        named = self._rule_headers.get(rule)
        if named is None:
            shown = b"x-lockgate-rule: %b\r\n" % rule.encode() if rule else b""
            named = self._rule_headers[rule] = shown + self._policy_header
        return b"x-request-id: %b\r\n%b%b" % (request_id.encode(), named, head.cors)

    def _closes(self, head: Head) -> bool:
        return self.draining or not head.keep_alive

    def _answered(self, connection: Downstream, received: InboundRequest, *, close: bool) -> None:
        """A request that never became an exchange is over."""
        connection.in_hand = None
        self.memory.give(received.size, connection.peer)
        connection.finished(close=close)

    def _serve_plain(
        self, connection: Downstream, received: InboundRequest, request_id: str
    ) -> None:
        """Answer OPTIONS, and what is asked of the models there are."""
        head = received.head
        close = self._closes(head)
        headers = identified(request_id) + self._policy_header + head.cors
        if head.door == "options":
            connection.send(no_content(headers + head.options, close=close))
            self.recorder.plain(request_id, head, 204, 0)
            self._answered(connection, received, close=close)
            return
        document = self._models if head.model is None else self._model.get(head.model)
        if document is None:
            unknown = no_such_model(head.model or "")
            rejection = RejectedError("model_not_found", unknown, "model")
            self._reject(connection, received, rejection, request_id)
            return
        response = whole(200, headers, document, close=close)
        connection.send(head_alone(response) if head.bodiless else response)
        self.recorder.plain(request_id, head, 200, 0 if head.bodiless else len(document))
        self._answered(connection, received, close=close)

    def _reject(
        self,
        connection: Downstream,
        received: InboundRequest,
        rejection: RejectedError,
        request_id: str,
    ) -> None:
        head = received.head
        close = self._closes(head)
        response = whole_error(
            rejection.kind,
            request_id,
            headers=identified(request_id) + self._policy_header + head.cors,
            detail=rejection.detail,
            param=rejection.param,
            close=close,
        )
        connection.send(head_alone(response) if head.bodiless else response)
        self.recorder.unserved(
            request_id, received.head, rejection, answered=True, bytes_in=received.size
        )
        self._answered(connection, received, close=close)

    def _refuse(
        self,
        connection: Downstream,
        received: InboundRequest,
        decision: Refuse,
        request_id: str,
    ) -> None:
        close = self._closes(received.head)
        kind = KINDS[decision.code]
        headers = self._response_headers(decision, request_id, received.head)
        if not kind.retryable:
            headers += DO_NOT_RETRY
        unknown = kind.status == 404
        detail = no_such_model(decision.reading.model) if unknown else ""
        connection.send(
            whole_error(
                kind,
                request_id,
                headers=headers,
                detail=detail,
                param="model" if unknown else None,
                close=close,
            )
        )
        self.recorder.refused(request_id, received.head, received.size, decision)
        self._answered(connection, received, close=close)

    # -- the end

    def interrupt(self) -> None:
        """The grace is over: end what still runs."""
        for run in list(self.runs):
            run.feed(Interrupted("draining"))

    def close(self) -> None:
        """Stop what runs on its own, and close every idle upstream connection."""
        self.health.stop()
        self.shadows.stop()
        for pool in self.pools.values():
            pool.close()
