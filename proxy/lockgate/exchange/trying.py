"""The half of an exchange before an answer: dialling, sending up, failures.

`exchange.machine` adds what happens once an upstream answers, and the table of transitions.
"""

from lockgate.bodies.scan import Edit
from lockgate.bodies.splices import splices
from lockgate.bodies.upload import Outgoing
from lockgate.errors.kinds import of_deadline
from lockgate.exchange import commands as do
from lockgate.exchange import events as on
from lockgate.exchange.render import rejection_headers
from lockgate.exchange.retry import Again, Failure, Next
from lockgate.exchange.state import PHASE, State
from lockgate.exchange.telling import Telling
from lockgate.policy.spec.backends import Backend


class Trying(Telling):
    """Tries the candidates of a decision. After `Ended` its attributes are the record's facts."""

    __slots__ = ()

    def _start(self, _: on.Start) -> None:
        self._dial(self.attempts.next())

    def _repeat(self, _: on.PauseOver) -> None:
        self._dial(self.attempts.again() or self.attempts.next())

    def _dial(self, backend: Backend | None) -> None:
        if backend is None:
            self._give_up()
            return
        self.state = State.CONNECTING
        self._outgoing = None
        limits = self._limits = self.deadlines = self.ports.deadlines(self.request, backend)
        if limits.total_s != self._total_armed and limits.total_s is not None:
            self._total_armed = limits.total_s
            left = self.started_s + limits.total_s - self.ports.now()
            self._out.append(do.Arm("total", max(left, 0.0)))
        if limits.heartbeat_s and not self._heartbeat_armed:
            self._heartbeat_armed = True
            left = self.started_s + limits.heartbeat_s - self.ports.now()
            self._out.append(do.Arm("heartbeat", max(left, 0.0)))
        if self.request.is_chunked and self._waits_for_end(backend):
            self._waits = backend
            self.state = State.GATHERING
            self._out.append(do.DISARM)
            return
        self._out.append(do.Arm("connect", limits.connect_s))
        self._out.append(do.Dial(backend))

    def _waits_for_end(self, backend: Backend) -> bool:
        """Whether a body without a length is read whole first.

        A server that reads no chunks may just as well reset: a second attempt does not try it.
        """
        return len(self.attempts.log) > 1 or not self.ports.takes_chunked(backend)

    def _connected(self, event: on.Connected) -> None:
        attempt = self.attempts.current
        if not self.ports.allows(attempt.backend, self.request):
            self._withdraw()
            return
        attempt.reused = event.reused
        attempt.bytes_written = True
        self.state = State.WAITING
        request = self.request
        edits, self.splices = splices(
            request.scan,
            attempt.backend.upstream_model,
            include_usage=request.scan.stream and self.ports.asks_usage(attempt.backend),
        )
        self._send(attempt.backend, edits)

    def _send(self, backend: Backend, edits: tuple[Edit, ...]) -> None:
        """Send the body with `edits`: all of it, or what came of it so far."""
        request = self.request
        if request.whole:
            self._await_response()
        else:
            self._out.append(do.DISARM)
        if request.upload is None:
            self._out.append(do.SendUp(backend, request.body, edits))
            return
        self._outgoing = Outgoing(request.upload, edits, whole=request.whole)
        self._out.append(do.BeginUpload(backend, self._outgoing))

    def _await_response(self) -> None:
        """The request is up: from now on an answer is due."""
        limits = self._limits
        self._waiting_since_s = self.ports.now()
        streams = self.request.scan.stream
        due_s = limits.first_token_s if streams else limits.whole_s
        self._out.append(do.Arm("first_token", due_s))

    def _saw_life(self) -> None:
        """Something came that is no answer yet: as long as the backend lives it has more time."""
        waited_s = self.ports.now() - self._waiting_since_s
        self._out.append(do.Arm("first_token", max(self._limits.alive_s - waited_s, 0.0)))

    def _withdraw(self) -> None:
        """The policy changed while the connection was made: no byte of the request goes there."""
        self.attempts.withdraw()
        self._out.append(do.DROP)
        self._dial(self.attempts.next())

    # -- a body that goes up while it arrives

    def _body_more(self, _: on.BodyMore) -> None:
        if self.state is State.WAITING:
            self._out.append(do.GO_ON)

    def _body_whole(self, event: on.BodyWhole) -> None:
        self.request.complete(event.scan)
        outgoing = self._outgoing
        if self.state is State.GATHERING:
            self._dial(self._waits)
            return
        if outgoing is None or self.state is not State.WAITING:
            return
        asks = self.ports.asks_usage(self.attempts.current.backend)
        edit = event.scan.usage_edit if asks else None
        if outgoing.end(edit, event.scan.end):
            self.splices += ("stream_options.include_usage",)
        self._await_response()
        self._out.append(do.GO_ON)

    def _repeats_with_length(self) -> bool:
        """Whether a 411 was about the chunked coding: then the body goes up again, with a length.

        Nothing of it was acted on (RFC 9110, section 15.5.12), so that this is not a repeat.
        """
        attempt, outgoing = self.attempts.current, self._outgoing
        rule = self.request.route.reading.rule
        once = rule is not None and rule.retry == "connect-only"
        if once or outgoing is None or outgoing.length is not None:
            return False
        self.ports.wants_length(attempt.backend)
        attempt.bytes_written = False
        self._out.append(do.DROP)
        self._dial(attempt.backend)
        return True

    def _body_rejected(self, event: on.BodyRejected) -> None:
        """The caller's own error, or no room: what went up is taken back."""
        rejection = event.rejection
        kind = rejection.kind
        self.terminal, self.outcome = kind.terminal("b"), kind.outcome
        self._leave(kind.code)
        headers = self.request.response_headers + rejection_headers(rejection)
        self._say(kind, headers, rejection.detail, rejection.param)
        self._end(kind.outcome, close=True)

    def _failed(self, event: on.UpstreamFailed) -> None:
        if event.code == "upstream_stale":
            self._redial()
        else:
            self._fail(Failure(event.code))

    def _redial(self) -> None:
        """A kept connection was dead and took no byte: a fresh one, which is not a repeat."""
        attempt = self.attempts.current
        if not self.ports.allows(attempt.backend, self.request):
            self._withdraw()
            return
        attempt.bytes_written = False
        self._out.append(do.DROP)
        self._out.append(do.Arm("connect", self._limits.connect_s))
        self._out.append(do.Dial(attempt.backend))
        self.state = State.CONNECTING

    def _late(self, event: on.DeadlinePassed) -> None:
        if event.name == "heartbeat":
            self._beat()
        else:
            self._fail(Failure(of_deadline(event.name)))

    def _fail(self, failure: Failure, *, whole: bool = False) -> None:
        """End the attempt before the commit point and do what the retry law says.

        `whole`: the answer was read to its end, and its connection is as good as any.
        """
        self._failed_in = PHASE[self.state]
        verdict = self.attempts.fail(failure, self._limits)
        self._out.append(do.RELEASE if whole else do.DROP)
        self._forget_held()
        if isinstance(verdict, Again):
            self.state = State.PAUSING
            self._out.append(do.Pause(verdict.pause_s))
        elif isinstance(verdict, Next):
            self._dial(self.attempts.next())
        else:
            self._give_up()
