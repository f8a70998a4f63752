"""Routes requests: each is scanned, decided, and answered here or handed to an exchange.

Everything that requests share can be reached from the router: the policy in force, the upstreams,
the metrics, the audit sink. A reload swaps policy, decider and upstreams in one step, between two
requests.
"""

from collections.abc import Callable
from typing import Any

from lockgate.bodies.scan import Scan
from lockgate.bodies.upload import Upload
from lockgate.connections.downstream import Downstream
from lockgate.connections.inbound import InboundRequest
from lockgate.connections.limiter import ConnectionLimiter
from lockgate.connections.requests import RequestHandler
from lockgate.connections.timer_wheel import TimerWheel
from lockgate.doors import DOORS
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
from lockgate.server.driver import ExchangeDriver
from lockgate.server.health import Health
from lockgate.server.recorder import Recorder
from lockgate.server.shadow import Shadows
from lockgate.server.upstream_state import UpstreamState
from lockgate.server.upstreams import Upstreams


class RequestRouter(RequestHandler):
    """Takes the requests of every client's connection. `drivers` are the exchanges under way.

    `draining`: every response says that its connection closes.
    """

    def __init__(  # noqa: PLR0913 - requests share this much
        self,
        reactor: Any,
        wheel: TimerWheel,
        upstream_state: UpstreamState,
        upstreams: Upstreams,
        recorder: Recorder,
        *,
        next_request_id: Callable[[], str],
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
        self.upstream_state = upstream_state
        self.upstreams = upstreams
        self.recorder = recorder
        self._listens_on = listens_on
        self.drivers: set[ExchangeDriver] = set()
        self.draining = False
        self.shadows = Shadows(wheel, upstream_state, upstreams, recorder.metrics)
        self.health = Health(wheel, upstream_state.unhealthy, upstreams.probe)
        self._models = b""
        self._policy_header = b""
        self._rule_headers: dict[str | None, bytes] = {}
        self._install(self.upstream_state.policy)

    def adopt(self, policy: LoadedPolicy) -> None:
        """Put `policy` in force, whole, between two requests."""
        self.upstream_state.adopt(policy)
        self._install(policy)

    def _install(self, policy: LoadedPolicy) -> None:
        self.upstreams.adopt(policy)
        pools = self.upstreams.pools
        self.upstream_state.peers = {name: pool.peer for name, pool in pools.items()}
        self.health.adopt(pools)
        self.keep_alive_s = policy.spec.endpoint.keep_alive
        self.min_read_rate = policy.spec.proxy.min_read_rate
        self.memory.share_by(policy.spec.proxy.caller_memory)
        self._rule_headers = {}
        self._models = models_document(policy.spec)
        self._model = model_documents(policy.spec)
        names = self.upstream_state.decider.header_names
        self.heads.adopt(
            HeadRules(DOORS, names, policy.spec.endpoint.cors.origins, self._listens_on)
        )
        self._policy_header = b"x-lockgate-policy: %b\r\n" % policy.digest.encode()

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
        self._drive(connection, request)

    def begin(self, connection: Downstream, head: Head, upload: Upload) -> bool:
        """Begin with a request whose body still arrives, where its model is known and routed.

        False: not yet, or not at all; it is served when it is whole, which also says why not.
        """
        try:
            if head.dropped:
                self.heads.rules.check_underscored(head.dropped)
            routed_by = upload.look()
        except RejectedError:
            return False
        if routed_by is None:
            return False
        model, span = routed_by
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
        self._drive(connection, request)
        return True

    def _drive(self, connection: Downstream, request: RoutedRequest) -> None:
        exchange = Exchange(request, self.upstream_state)
        self.upstream_state.budget.saw_request(exchange.started_s)
        driver = connection.listener = ExchangeDriver(
            self.wheel, self.upstreams, connection, exchange, self._ended
        )
        connection.in_hand = None
        self.drivers.add(driver)
        driver.feed(START)

    def _ended(self, driver: ExchangeDriver) -> None:
        """Record an exchange that is over, and give back what it held."""
        self.drivers.discard(driver)
        request = driver.exchange.request
        self.memory.release(request.charged_bytes, request.client)
        self.recorder.exchange(driver.exchange)
        if request.route.is_shadowed:
            self.shadows.after(driver.exchange)

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

    def _response_headers(self, decision: Decision, request_id: str, head: Head) -> bytes:
        rule = decision.reading.rule_name
        headers = self._rule_headers.get(rule)
        if headers is None:
            rule_header = b"x-lockgate-rule: %b\r\n" % rule.encode() if rule else b""
            headers = self._rule_headers[rule] = rule_header + self._policy_header
        return b"x-request-id: %b\r\n%b%b" % (request_id.encode(), headers, head.cors)

    def _closes(self, head: Head) -> bool:
        return self.draining or not head.keep_alive

    def _answered(self, connection: Downstream, received: InboundRequest, *, close: bool) -> None:
        """Go on after a request that never became an exchange."""
        connection.in_hand = None
        self.memory.release(received.size, connection.peer)
        connection.finished(close=close)

    def _serve_plain(
        self, connection: Downstream, received: InboundRequest, request_id: str
    ) -> None:
        """Answer OPTIONS, and questions about models."""
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
        """End every exchange that still runs: the grace of a drain is over."""
        for driver in list(self.drivers):
            driver.feed(Interrupted("draining"))

    def close(self) -> None:
        """Stop health checks and shadow copies, and close every idle upstream connection."""
        self.health.stop()
        self.shadows.stop()
        self.upstreams.close()
