"""One admitted request's life, from its decision to its record, as a state machine.

The core of the proxy. It takes events (`proxy.exchange.events`) and gives commands
(`proxy.exchange.commands`); it knows no socket, no clock and no Twisted: time, jitter, breakers
and the retry budget come in through `Ports`. What may happen in which state is the table
`TRANSITIONS` at the end; a pair that is not in it is an `ImpossibleEventError`.

What it rests on:
- before the commit point nothing of an answer has been sent, so another candidate can serve;
- after it there is no second attempt, and what is cut never ends cleanly;
- candidates come from the decision alone: there is no other way to a backend.
"""

from collections.abc import Callable
from typing import Any, Final, cast

import orjson

from proxy.exchange import commands as do
from proxy.exchange import events as on
from proxy.exchange.admitted import Admitted
from proxy.exchange.answer import (
    AnswerHead,
    ProtocolError,
    caller_error,
    is_context_length,
    is_model_not_found,
    judge_head,
)
from proxy.exchange.answers import LAST_CHUNK, chunk, status_line, whole, whole_error
from proxy.exchange.attempts import Attempts
from proxy.exchange.body import splice
from proxy.exchange.deadlines import NO_DEADLINES, Deadlines
from proxy.exchange.errors import KINDS, error_event
from proxy.exchange.outcome import (
    Outcome,
    outcome_after_commit,
    outcome_before_commit,
    terminal_code,
)
from proxy.exchange.ports import Ports, Settlement
from proxy.exchange.relay import StreamRelay
from proxy.exchange.retry import Again, Failure, Next
from proxy.exchange.sse import tokens_used
from proxy.exchange.state import PHASE, ImpossibleEventError, State
from proxy.policy.backends import Backend

HOLD_LIMIT_BYTES: Final = 1 << 20
"""A non-streamed answer up to this size is held until it is one whole JSON document."""
ERROR_LIMIT_BYTES: Final = 1 << 16
"""As much of a 4xx body as is read for its error object."""
_WITHOUT_BODY: Final = {
    401: "upstream_auth",
    402: "upstream_auth",
    403: "upstream_auth",
    408: "upstream_error",
    429: "upstream_rate_limited",
}


class Exchange:
    """See the module's text. After `Ended` its attributes are the record's facts."""

    __slots__ = (
        "_final_data",
        "_held",
        "_held_bytes",
        "_limits",
        "_out",
        "_relay",
        "_total_armed",
        "answer",
        "attempts",
        "bytes_out",
        "code",
        "deadlines",
        "first_token_s",
        "outcome",
        "ports",
        "request",
        "splices",
        "started_s",
        "state",
        "status",
        "terminal",
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
        self._limits = NO_DEADLINES
        self._total_armed: float | None = None
        self._relay: StreamRelay | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._out: list[do.Command] = []

    @property
    def malformed_events(self) -> int:
        """SSE events dropped because they were not JSON."""
        return self._relay.malformed_events if self._relay else 0

    def handle(self, event: on.Event) -> list[do.Command]:
        """Take one event; return what is to be done, in order."""
        react = TRANSITIONS.get((self.state, type(event)))
        if react is None:
            raise ImpossibleEventError(self.state, event)
        react(self, event)
        out, self._out = self._out, []
        return out

    # -- attempts

    def _start(self, _: on.Start) -> None:
        self._dial(self.attempts.next())

    def _repeat(self, _: on.PauseOver) -> None:
        self._dial(self.attempts.again() or self.attempts.next())

    def _dial(self, backend: Backend | None) -> None:
        if backend is None:
            self._give_up()
            return
        self.state = State.CONNECTING
        limits = self._limits = self.deadlines = self.ports.deadlines(self.request, backend)
        if limits.total_s != self._total_armed and limits.total_s is not None:
            self._total_armed = limits.total_s
            left = self.started_s + limits.total_s - self.ports.now()
            self._out.append(do.arm("total", max(left, 0.0)))
        self._out.append(do.arm("connect", limits.connect_s))
        self._out.append(do.Dial(backend))

    def _connected(self, event: on.Connected) -> None:
        attempt = self.attempts.current
        attempt.reused = event.reused
        attempt.bytes_written = True
        self.state = State.WAITING
        request = self.request
        body, self.splices = splice(
            request.body,
            request.scan,
            attempt.backend.upstream_model,
            include_usage=request.scan.stream,
        )
        self._out.append(do.arm("first_token", self._limits.first_token_s))
        self._out.append(do.SendUp(attempt.backend, body))

    def _failed(self, event: on.UpstreamFailed) -> None:
        self._fail(Failure(event.code))

    def _late(self, event: on.DeadlinePassed) -> None:
        code = "connect_timeout" if event.name == "connect" else f"{event.name}_timeout"
        self._fail(Failure(code))

    def _fail(self, failure: Failure) -> None:
        """End the attempt before the commit point and do what the retry law says."""
        limits = self._limits
        own = limits.first_token_s >= limits.own_first_token_s
        phase = self.state
        verdict = self.attempts.fail(failure, own_deadline=own)
        self._out.append(do.DROP)
        self._held, self._held_bytes, self._relay = [], 0, None
        if isinstance(verdict, Again):
            self.state = State.PAUSING
            self._out.append(do.Pause(verdict.pause_s))
        elif isinstance(verdict, Next):
            self._dial_from(phase)
        else:
            self._give_up(phase)

    def _dial_from(self, phase: State) -> None:
        backend = self.attempts.next()
        if backend is None:
            self._give_up(phase)
        else:
            self._dial(backend)

    def _give_up(self, phase: State | None = None) -> None:
        """Nothing is left to try: one whole error answer."""
        final = self.attempts.final()
        kind = KINDS[final.code]
        headers = self.request.answer_headers
        if final.retry_after_s is not None and kind.status in {429, 503}:
            headers += b"retry-after: %d\r\n" % max(1, -int(-final.retry_after_s // 1))
        self._say_error(final.code, headers)
        code = final.cause or final.code
        source = KINDS[code].source
        self.terminal = terminal_code(source, PHASE[phase or self.state], code)
        self._end(outcome_before_commit(code), close=self.request.close)

    def _say_error(self, code: str, headers: bytes, *, close: bool | None = None) -> None:
        kind = KINDS[code]
        self.code, self.status = code, kind.status
        shut = self.request.close if close is None else close
        data = whole_error(kind, self.request.request_id, headers=headers, close=shut)
        self.bytes_out += len(data)
        self._out.append(do.SendDown(data))

    # -- the answer's head

    def _head(self, event: on.AnswerStarted) -> None:
        self.attempts.current.status = event.status
        try:
            answer = judge_head(event.status, event.headers, streaming=self.request.scan.stream)
        except ProtocolError:
            self._fail(Failure("upstream_protocol", event.status))
            return
        self.answer = answer
        if event.status >= 400:
            self._error_head(event.status, answer.retry_after_s)
        elif self.request.scan.stream:
            self.state = State.HOLDING_STREAM
            self._relay = StreamRelay(show_usage=self.request.scan.include_usage)
        else:
            self.state = State.HOLDING_BODY
            self._saw_first_token()
            self._out.append(do.arm("idle", self._limits.idle_s))

    def _error_head(self, status: int, retry_after_s: float | None) -> None:
        code = _WITHOUT_BODY.get(status)
        if status >= 500:
            overloaded = status == 503 and retry_after_s is not None
            code = "upstream_overloaded" if overloaded else "upstream_error"
        if code is not None:
            self._fail(Failure(code, status, retry_after_s))
            return
        self.state = State.HOLDING_ERROR
        self._out.append(do.arm("idle", self._limits.idle_s))

    def _saw_first_token(self) -> None:
        if self.first_token_s is None:
            self.first_token_s = self.ports.now() - self.started_s

    # -- an answer held before its commit point

    def _hold_stream(self, event: on.AnswerData) -> None:
        relay = cast("StreamRelay", self._relay)
        data = relay.feed(event.data)
        if relay.committed:
            self._saw_first_token()
            self._commit(b"transfer-encoding: chunked\r\n", data)
            self.state = State.RELAYING_STREAM
            self._out.append(do.arm("idle", self._limits.idle_s))
            self._after_feed(relay)
        elif relay.broken:
            self._fail(Failure(relay.broken))

    def _hold_body(self, event: on.AnswerData) -> None:
        self._hold(event.data)
        if self._held_bytes > HOLD_LIMIT_BYTES:
            self._commit(b"transfer-encoding: chunked\r\n", b"".join(self._held))
            self._held = []
            self.state = State.RELAYING_BODY
        self._out.append(do.TOUCH)

    def _hold_error(self, event: on.AnswerData) -> None:
        if self._held_bytes < ERROR_LIMIT_BYTES:
            self._hold(event.data)

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)

    def _stream_ended_early(self, _: on.AnswerEnded) -> None:
        self._fail(Failure("upstream_truncated"))

    def _body_ended(self, _: on.AnswerEnded) -> None:
        body = b"".join(self._held)
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            self._fail(Failure("upstream_protocol"))
            return
        self.usage = tokens_used(document)
        self._send_head(b"content-length: %d\r\n" % len(body), body)
        self._complete("complete", "Ud")

    def _error_ended(self, _: on.AnswerEnded) -> None:
        body = b"".join(self._held)
        status = cast("AnswerHead", self.answer).status
        if status == 400 and is_context_length(body):
            self._context_exceeded(body, status)
        elif is_model_not_found(status, body):
            self._fail(Failure("upstream_model", status))
        else:
            self._pass_back(status, body)

    def _context_exceeded(self, body: bytes, status: int) -> None:
        verdict = self.attempts.fail(Failure("upstream_context", status))
        backend = self.attempts.next() if isinstance(verdict, Next) else None
        if backend is None:
            self._pass_back(status, body)
            return
        self._out.append(do.DROP)
        self._held, self._held_bytes = [], 0
        self._dial(backend)

    def _pass_back(self, status: int, body: bytes) -> None:
        """The caller's own error: its object, and nothing else of the upstream's text."""
        self.status = status
        self.code = "upstream_refused"
        said = caller_error(body, status, self.request.request_id)
        data = whole(status, self.request.answer_headers, said, close=self.request.close)
        self.bytes_out += len(data)
        self._out.append(do.SendDown(data))
        self._complete("upstream_refused", "Ud-refused")

    # -- the commit point and after

    def _commit(self, framing: bytes, data: bytes) -> None:
        if self.request.chunks:
            self._send_head(framing, chunk(data))
        else:
            self._send_head(b"connection: close\r\n", data)
        self._out.append(do.RELAY)

    def _send_head(self, framing: bytes, data: bytes) -> None:
        answer = cast("AnswerHead", self.answer)
        backend = self.attempts.current.backend
        self.status = answer.status
        head = b"%b%bx-lockgate-backend: %b\r\n%b%b%b\r\n" % (
            status_line(answer.status),
            answer.passed_on,
            backend.name.encode(),
            self.request.answer_headers,
            framing,
            b"connection: close\r\n" if self.request.close else b"",
        )
        self.bytes_out += len(data)
        self._out.append(do.SendDown(head + data))

    def _relay_stream(self, event: on.AnswerData) -> None:
        relay = cast("StreamRelay", self._relay)
        data = relay.feed(event.data)
        if data:
            self._pass_down(data)
        if relay.saw_data:
            self._out.append(do.TOUCH)
        self._after_feed(relay)

    def _relay_body(self, event: on.AnswerData) -> None:
        self._pass_down(event.data)
        self._out.append(do.TOUCH)

    def _pass_down(self, data: bytes) -> None:
        self.bytes_out += len(data)
        self._out.append(do.SendDown(chunk(data) if self.request.chunks else data))

    def _after_feed(self, relay: StreamRelay) -> None:
        self.usage = relay.usage
        if relay.broken:
            self._cut(relay.broken)
        elif relay.done:
            self._whole()

    def _stream_ended(self, _: on.AnswerEnded) -> None:
        relay = cast("StreamRelay", self._relay)
        data = relay.end()
        if data:
            self._pass_down(data)
        self._after_feed(relay)

    def _whole(self, _: on.AnswerEnded | None = None) -> None:
        if self.request.chunks:
            self._out.append(do.SendDown(LAST_CHUNK))
        self._complete("complete", "Ud", close=not self.request.chunks)

    def _cut_by_failure(self, event: on.UpstreamFailed) -> None:
        # a protocol error or a reset in the middle of an answer is the same loss to the caller
        self._cut("upstream_truncated" if event.code == "upstream_truncated" else "upstream_reset")

    def _cut_by_deadline(self, event: on.DeadlinePassed) -> None:
        self._cut(f"{event.name}_timeout")

    def _cut(self, code: str, how: Settlement = "failed") -> None:
        """Break off after the commit point: an error event where there are events, no clean end."""
        kind = KINDS[code]
        self.code = code
        self.terminal = terminal_code(kind.source, "s", code)
        self.attempts.end(code, "released" if code == "total_timeout" else how)
        self._out.append(do.DROP)
        if self.state is State.RELAYING_STREAM:
            self._pass_down(error_event(kind, self.request.request_id))
        self.outcome = outcome_after_commit(code)
        self._over()
        self._out.append(do.BREAK)

    # -- endings

    def _complete(self, outcome: Outcome, terminal: str, *, close: bool = False) -> None:
        how: Settlement = "succeeded" if outcome == "complete" else "released"
        self.attempts.end("complete" if outcome == "complete" else "upstream_refused", how)
        self.terminal = terminal
        self._out.append(do.RELEASE)
        self._end(outcome, close=close or self.request.close)

    def _end(self, outcome: Outcome, *, close: bool) -> None:
        self.outcome = outcome
        self._over()
        self._out.append(do.FINISH[close])

    def _over(self) -> None:
        self.state = State.DONE
        self._out.append(do.ENDED)

    def _client_gone(self, event: on.ClientGone) -> None:
        self.code = self.outcome = "client_gone"
        cause = f"-{event.cause}" if event.cause else ""
        self.terminal = f"C{PHASE[self.state]}{cause}"
        self._leave("client_gone")
        self._over()

    def _interrupted(self, event: on.Interrupted) -> None:
        self.terminal = terminal_code("proxy", PHASE[self.state], event.code)
        self._leave(event.code)
        self._say_error(event.code, self.request.answer_headers, close=True)
        self._end(outcome_before_commit(event.code), close=True)

    def _interrupted_late(self, event: on.Interrupted) -> None:
        self._cut(event.code, "released")

    def _leave(self, outcome: str) -> None:
        self.attempts.end(outcome, "released")
        self._out.append(do.DROP)


def _table() -> dict[tuple[State, type], Callable[[Exchange, Any], None]]:
    """What may happen in which state."""
    x = Exchange
    before_commit = (
        State.CONNECTING,
        State.WAITING,
        State.HOLDING_STREAM,
        State.HOLDING_BODY,
        State.HOLDING_ERROR,
    )
    relaying = (State.RELAYING_STREAM, State.RELAYING_BODY)
    return {
        (State.NEW, on.Start): x._start,
        (State.PAUSING, on.PauseOver): x._repeat,
        (State.PAUSING, on.DeadlinePassed): x._late,
        (State.CONNECTING, on.Connected): x._connected,
        (State.WAITING, on.AnswerStarted): x._head,
        (State.HOLDING_STREAM, on.AnswerData): x._hold_stream,
        (State.HOLDING_STREAM, on.AnswerEnded): x._stream_ended_early,
        (State.HOLDING_BODY, on.AnswerData): x._hold_body,
        (State.HOLDING_BODY, on.AnswerEnded): x._body_ended,
        (State.HOLDING_ERROR, on.AnswerData): x._hold_error,
        (State.HOLDING_ERROR, on.AnswerEnded): x._error_ended,
        (State.RELAYING_STREAM, on.AnswerData): x._relay_stream,
        (State.RELAYING_STREAM, on.AnswerEnded): x._stream_ended,
        (State.RELAYING_BODY, on.AnswerData): x._relay_body,
        (State.RELAYING_BODY, on.AnswerEnded): x._whole,
        **{(state, on.UpstreamFailed): x._failed for state in before_commit},
        **{(state, on.DeadlinePassed): x._late for state in before_commit},
        **{(state, on.UpstreamFailed): x._cut_by_failure for state in relaying},
        **{(state, on.DeadlinePassed): x._cut_by_deadline for state in relaying},
        **{
            (state, on.ClientGone): x._client_gone
            for state in (*before_commit, *relaying, State.PAUSING)
        },
        **{(state, on.Interrupted): x._interrupted for state in (*before_commit, State.PAUSING)},
        **{(state, on.Interrupted): x._interrupted_late for state in relaying},
    }


TRANSITIONS: Final = _table()
