"""The half of an exchange before an answer: attempts, failures, giving up, and every ending.

`proxy.exchange.machine` adds what happens once an upstream answers, and the table of transitions.
"""

from proxy.exchange import commands as do
from proxy.exchange import events as on
from proxy.exchange.admitted import Admitted
from proxy.exchange.answer_head import AnswerHead
from proxy.exchange.answers import DO_NOT_RETRY, rejection_headers, whole_error
from proxy.exchange.attempts import Attempts
from proxy.exchange.body import splices
from proxy.exchange.deadlines import NO_DEADLINES, Deadlines
from proxy.exchange.errors import KINDS, Kind
from proxy.exchange.lexer import Lexer
from proxy.exchange.outcome import Outcome, Phase
from proxy.exchange.ports import Ports
from proxy.exchange.relay import StreamRelay
from proxy.exchange.resume import Continuation, Spoken
from proxy.exchange.retry import Again, Failure, Next
from proxy.exchange.scan import Edit
from proxy.exchange.state import PHASE, State
from proxy.exchange.tokens import Tokens, estimated, of_bytes
from proxy.exchange.upload import Outgoing
from proxy.policy.backends import Backend


class Trying:
    """Tries the candidates of a decision. After `Ended` its attributes are the record's facts."""

    __slots__ = (
        "_booked",
        "_continuation",
        "_document",
        "_failed_in",
        "_held",
        "_held_bytes",
        "_limits",
        "_out",
        "_outgoing",
        "_relay",
        "_resumes",
        "_spoken",
        "_total_armed",
        "_waits",
        "answer",
        "attempts",
        "bytes_out",
        "code",
        "deadlines",
        "first_token_s",
        "malformed_before",
        "outcome",
        "ports",
        "request",
        "splices",
        "started_s",
        "state",
        "status",
        "terminal",
        "tokens_before",
        "usage",
    )

    def __init__(self, request: Admitted, ports: Ports) -> None:
        self.request = request
        self.ports = ports
        self.state = State.NEW
        self.started_s = ports.now()
        self.attempts = Attempts(request, ports, self.started_s)
        self.deadlines: Deadlines | None = None
        self.splices: tuple[str, ...] = ()
        self.status: int | None = None
        self.code: str | None = None
        self.outcome: Outcome = "internal"
        self.terminal = ""
        self.bytes_out = 0
        self.first_token_s: float | None = None
        self.usage: tuple[int, int] | None = None
        self.answer: AnswerHead | None = None
        self.malformed_before = 0
        self.tokens_before = (0, 0)
        rule = request.route.reading.rule
        self._resumes = rule is not None and rule.recovery == "resume"
        self._spoken: Spoken | None = None
        self._continuation: Continuation | None = None
        self._document: Lexer | None = None  # of an answer that lasts until its connection
        self._limits = NO_DEADLINES
        self._failed_in: Phase = "r"  # the phase of the last failure
        self._total_armed: float | None = None
        self._relay: StreamRelay | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._booked = 0  # of the memory budget
        self._out: list[do.Command] = []
        self._waits: Backend | None = None  # for the rest of the body, before it is dialled
        self._outgoing: Outgoing | None = None  # of the attempt under way, while a body arrives

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
            include_usage=request.scan.stream,
        )
        self._send(attempt.backend, edits)

    def _send(self, backend: Backend, edits: tuple[Edit, ...]) -> None:
        """Send the body with `edits`: all of it, or what came of it so far."""
        request = self.request
        if request.whole:
            self._out.append(do.Arm("first_token", self._limits.first_token_s))
        else:
            self._out.append(do.DISARM)
        if request.upload is None:
            self._out.append(do.SendUp(backend, request.body, edits))
            return
        self._outgoing = Outgoing(request.upload, edits, whole=request.whole)
        self._out.append(do.BeginUpload(backend, self._outgoing))

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
        if outgoing.end(event.scan.usage_edit, event.scan.end):
            self.splices += ("stream_options.include_usage",)
        self._out.append(do.Arm("first_token", self._limits.first_token_s))
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
        self.terminal = kind.terminal("b")
        self._leave(kind.code)
        headers = self.request.answer_headers + rejection_headers(rejection)
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
        code = "connect_timeout" if event.name == "connect" else f"{event.name}_timeout"
        self._fail(Failure(code))

    def _fail(self, failure: Failure) -> None:
        """End the attempt before the commit point and do what the retry law says."""
        self._failed_in = PHASE[self.state]
        verdict = self.attempts.fail(failure, self._limits)
        self._out.append(do.DROP)
        self._held, self._held_bytes, self._relay = [], 0, None
        self._book(0)
        if isinstance(verdict, Again):
            self.state = State.PAUSING
            self._out.append(do.Pause(verdict.pause_s))
        elif isinstance(verdict, Next):
            self._dial(self.attempts.next())
        else:
            self._give_up()

    def _give_up(self) -> None:
        """Nothing is left to try: one whole error answer."""
        final = self.attempts.final()
        kind, cause = KINDS[final.code], KINDS[final.cause]
        headers = self.request.answer_headers
        if final.retry_after_s is not None and kind.status in {429, 503}:
            headers += b"retry-after: %d\r\n" % max(1, -int(-final.retry_after_s // 1))
        if not final.retryable:
            headers += DO_NOT_RETRY
        self._say(kind, headers)
        self.terminal = cause.terminal(self._failed_in)
        self._end(cause.outcome, close=self.request.close)

    def _say(
        self,
        kind: Kind,
        headers: bytes,
        detail: str = "",
        param: str | None = None,
        *,
        close: bool = False,
    ) -> None:
        self.code, self.status = kind.code, kind.status
        data = whole_error(
            kind,
            self.request.request_id,
            headers=headers,
            detail=detail,
            param=param,
            close=close or self.request.close,
        )
        self.bytes_out += len(data)
        self._out.append(do.SendDown(data))

    # -- endings

    def _end(self, outcome: Outcome, *, close: bool) -> None:
        self.outcome = outcome
        self._over()
        self._out.append(do.FINISH[close])

    def _book(self, size: int) -> None:
        """Hold `size` bytes in all from now on, in the eyes of the memory budget."""
        if size != self._booked:
            self.ports.memory.book(size - self._booked, self.request.caller)
            self._booked = size

    def _over(self) -> None:
        self._book(0)
        self.state = State.DONE
        self._out.append(do.ENDED)

    @property
    def tokens(self) -> Tokens | None:
        """What the answer used: as reported, summed over a resumed answer, or estimated.

        None where no answer began.
        """
        if self.first_token_s is None:
            return None
        before, usage = self.tokens_before, self.usage
        relay = self._relay
        events = relay.content_events if relay is not None else 0
        if before == (0, 0):
            if usage is not None:
                return Tokens(*usage, "reported")
            return estimated(self.request.received_bytes, events, self.bytes_out)
        if relay is None:  # nobody went on
            return Tokens(*before, "estimated")
        prompt, completion = usage or (of_bytes(self.request.received_bytes), events)
        return Tokens(prompt + before[0], completion + before[1], "summed")

    @property
    def _phase(self) -> Phase:
        return PHASE[self.state] if self.request.whole else "b"

    def _client_gone(self, event: on.ClientGone) -> None:
        self.code = self.outcome = "client_gone"
        cause = f"-{event.cause}" if event.cause else ""
        self.terminal = f"C{self._phase}{cause}"
        self._leave("client_gone")
        self._over()

    def _interrupted(self, event: on.Interrupted) -> None:
        kind = KINDS[event.code]
        self.terminal = kind.terminal(self._phase)
        self._leave(event.code)
        self._say(kind, self.request.answer_headers, close=True)
        self._end(kind.outcome, close=True)

    def abandon(self) -> None:
        """A fault of ours in a step: end as `internal` where it stands, and hold nothing."""
        self.code = self.outcome = "internal"
        self.terminal = KINDS["internal"].terminal(self._phase)
        self.state = State.DONE
        self._out = []
        self._book(0)
        self.attempts.end("internal", "released")

    def _leave(self, outcome: str) -> None:
        self.attempts.end(outcome, "released")
        self._out.append(do.DROP)
