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
from proxy.exchange.answer import caller_error, is_context_length, is_model_not_found
from proxy.exchange.answer_head import AnswerHead, ProtocolError, check_timely, check_usable
from proxy.exchange.answers import LAST_CHUNK, chunk, status_line, whole
from proxy.exchange.breaking import Breaking
from proxy.exchange.lexer import Lexer, NotJsonError
from proxy.exchange.outcome import Outcome
from proxy.exchange.ports import Settlement
from proxy.exchange.relay import StreamRelay
from proxy.exchange.resume import Spoken
from proxy.exchange.retry import Failure, Next
from proxy.exchange.sse import tokens_used
from proxy.exchange.state import ImpossibleEventError, State

HOLD_LIMIT_BYTES: Final = 1 << 20
"""A non-streamed answer up to this size is held until it is one whole JSON document."""
ERROR_LIMIT_BYTES: Final = 1 << 16
"""As much of a 4xx body as is read for its error object."""
_WITHOUT_BODY: Final = {
    401: "upstream_auth",
    411: "upstream_protocol",
    402: "upstream_auth",
    403: "upstream_auth",
    408: "upstream_error",
    429: "upstream_rate_limited",
}
_HOLDING_WITHOUT_EVENTS: Final = (State.HOLDING_BODY, State.HOLDING_ERROR)


class Exchange(Breaking):
    """See the module's text."""

    __slots__ = ()

    @property
    def malformed_events(self) -> int:
        """SSE events dropped because they were not JSON."""
        return self.malformed_before + (self._relay.malformed_events if self._relay else 0)

    def handle(self, event: on.Event) -> list[do.Command]:
        """Take one event; return what is to be done, in order."""
        react = TRANSITIONS.get((self.state, type(event)))
        if react is None:
            raise ImpossibleEventError(self.state, event)
        react(self, event)
        out, self._out = self._out, []
        return out

    # -- the answer's head

    def _at_once(self, event: on.AnswerWhole) -> None:
        """Take head, data and end of an answer that came in one read."""
        self._judge(event)
        if self.state is State.HOLDING_BODY and len(event.data) <= HOLD_LIMIT_BYTES:
            self._body_is(event.data)
            return
        self._go_on(event.data)

    def _resume_at_once(self, event: on.AnswerWhole) -> None:
        self._resume_head(on.AnswerStarted(event.head))
        if self.state is State.RELAYING_STREAM:
            self._go_on(event.data)

    def _go_on(self, data: bytes) -> None:
        """Take the data and the end that came with a head."""
        for step in (on.AnswerData(data), on.ENDED):
            react = TRANSITIONS.get((self.state, type(step)))
            if react is None:
                return  # the head or the data was the end of it
            react(self, step)

    def _head(self, event: on.AnswerStarted) -> None:
        self._judge(event)
        if self.state in _HOLDING_WITHOUT_EVENTS:
            self._out.append(do.Arm("idle", self._limits.idle_s))

    def _judge(self, event: on.AnswerStarted | on.AnswerWhole) -> None:
        answer = event.head
        self.attempts.current.status = answer.status
        try:
            check_usable(answer, streaming=self.request.scan.stream)
            check_timely(answer, whole=self.request.whole)
        except ProtocolError:
            self._fail(Failure("upstream_protocol", answer.status))
            return
        self.answer = answer
        if answer.status >= 400:
            self._error_head(answer.status, answer.retry_after_s)
        elif self.request.scan.stream:
            self.state = State.HOLDING_STREAM
            self._spoken = Spoken() if self._resumes else None
            self._relay = StreamRelay(
                show_usage=self.request.scan.include_usage, spoken=self._spoken
            )
        else:
            self.state = State.HOLDING_BODY
            self._saw_first_token()

    def _error_head(self, status: int, retry_after_s: float | None) -> None:
        if status == 411 and self._repeats_with_length():
            return
        code = _WITHOUT_BODY.get(status)
        if status >= 500:
            overloaded = status == 503 and retry_after_s is not None
            code = "upstream_overloaded" if overloaded else "upstream_error"
        if code is not None:
            self._fail(Failure(code, status, retry_after_s))
            return
        self.state = State.HOLDING_ERROR

    def _saw_first_token(self) -> None:
        self.attempts.saw_first_token()
        if self.first_token_s is None:
            self.first_token_s = self.ports.now() - self.started_s

    # -- an answer held before its commit point

    def _hold_stream(self, event: on.AnswerData) -> None:
        relay = cast("StreamRelay", self._relay)
        data = relay.feed(event.data)
        if relay.committed:
            self._saw_first_token()
            self._book(0)
            self._commit(b"transfer-encoding: chunked\r\n", data)
            self.state = State.RELAYING_STREAM
            self._out.append(do.Arm("idle", self._limits.idle_s))
            self._after_feed(relay)
        elif relay.broken:
            self._fail(Failure(relay.broken))
        else:
            self._book(relay.held_bytes)

    def _hold_body(self, event: on.AnswerData) -> None:
        self._hold(event.data)
        if self._held_bytes > HOLD_LIMIT_BYTES:
            data = b"".join(self._held)
            if cast("AnswerHead", self.answer).framing == "close":
                self._document = Lexer(constants=True)  # its end tells a whole answer from a cut
                if not self._reads_on(data):
                    self._fail(Failure("upstream_protocol"))
                    return
            self._commit(b"transfer-encoding: chunked\r\n", data)
            self._held = []
            self._book(0)
            self.state = State.RELAYING_BODY
        self._out.append(do.TOUCH)

    def _hold_error(self, event: on.AnswerData) -> None:
        if self._held_bytes < ERROR_LIMIT_BYTES:
            self._hold(event.data)

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)
        self._book(self._held_bytes)

    def _stream_ended_early(self, _: on.AnswerEnded) -> None:
        self._fail(Failure("upstream_truncated"))

    def _body_ended(self, _: on.AnswerEnded) -> None:
        self._body_is(b"".join(self._held))

    def _body_is(self, body: bytes) -> None:
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
        verdict = self.attempts.fail(Failure("upstream_context", status), self._limits)
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
        self.attempts.commit()
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
        if self._spoken is not None:
            self._book(self._spoken.size_bytes)
        self._after_feed(relay)

    def _reads_on(self, data: bytes) -> bool:
        """Whether `data` may go on the document of an answer that lasts until its connection."""
        try:
            cast("Lexer", self._document).feed(data)
        except NotJsonError:
            return False
        return True

    def _relay_body(self, event: on.AnswerData) -> None:
        if self._document is not None and not self._reads_on(event.data):
            self._lost("upstream_protocol")
            return
        self._pass_down(event.data)
        self._out.append(do.TOUCH)

    def _after_feed(self, relay: StreamRelay) -> None:
        self.usage = relay.usage
        if relay.broken:
            self._lost(relay.broken)
        elif relay.done:
            self._whole()

    def _stream_ended(self, _: on.AnswerEnded) -> None:
        relay = cast("StreamRelay", self._relay)
        data = relay.end()
        if data:
            self._pass_down(data)
        self._after_feed(relay)

    def _relayed(self, _: on.AnswerEnded) -> None:
        if self._document is not None:
            try:
                self._document.end()
            except NotJsonError:
                self._lost("upstream_truncated")
                return
        self._whole()

    def _whole(self) -> None:
        if self.request.chunks:
            self._out.append(do.SendDown(LAST_CHUNK))
        self._complete("complete", "Ud", close=not self.request.chunks)

    # -- endings

    def _complete(self, outcome: Outcome, terminal: str, *, close: bool = False) -> None:
        how: Settlement = "succeeded" if outcome == "complete" else "released"
        self.attempts.end("complete" if outcome == "complete" else "upstream_refused", how)
        self.terminal = terminal
        self._out.append(do.RELEASE)
        self._end(outcome, close=close or self.request.close)


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
    uploading = (
        State.PAUSING,
        State.GATHERING,
        State.CONNECTING,
        State.WAITING,
        State.HOLDING_ERROR,
    )
    return {
        (State.NEW, on.Start): x._start,
        (State.PAUSING, on.PauseOver): x._repeat,
        (State.PAUSING, on.DeadlinePassed): x._late,
        (State.GATHERING, on.DeadlinePassed): x._late,
        (State.CONNECTING, on.Connected): x._connected,
        **{(state, on.BodyMore): x._body_more for state in uploading},
        **{(state, on.BodyWhole): x._body_whole for state in uploading},
        **{(state, on.BodyRejected): x._body_rejected for state in uploading},
        (State.WAITING, on.AnswerStarted): x._head,
        (State.WAITING, on.AnswerWhole): x._at_once,
        (State.HOLDING_STREAM, on.AnswerData): x._hold_stream,
        (State.HOLDING_STREAM, on.AnswerEnded): x._stream_ended_early,
        (State.HOLDING_BODY, on.AnswerData): x._hold_body,
        (State.HOLDING_BODY, on.AnswerEnded): x._body_ended,
        (State.HOLDING_ERROR, on.AnswerData): x._hold_error,
        (State.HOLDING_ERROR, on.AnswerEnded): x._error_ended,
        (State.RELAYING_STREAM, on.AnswerData): x._relay_stream,
        (State.RELAYING_STREAM, on.AnswerEnded): x._stream_ended,
        (State.RELAYING_BODY, on.AnswerData): x._relay_body,
        (State.RELAYING_BODY, on.AnswerEnded): x._relayed,
        **{(state, on.UpstreamFailed): x._failed for state in before_commit},
        **{(state, on.DeadlinePassed): x._late for state in before_commit},
        **{(state, on.UpstreamFailed): x._cut_by_failure for state in relaying},
        **{(state, on.DeadlinePassed): x._cut_by_deadline for state in relaying},
        **{
            (state, on.ClientGone): x._client_gone
            for state in (*before_commit, *relaying, State.PAUSING, State.GATHERING)
        },
        **{
            (state, on.Interrupted): x._interrupted
            for state in (*before_commit, State.PAUSING, State.GATHERING)
        },
        **{(state, on.Interrupted): x._interrupted_late for state in (*relaying, State.RESUMING)},
        (State.RESUMING, on.Connected): x._resume_connected,
        (State.RESUMING, on.AnswerStarted): x._resume_head,
        (State.RESUMING, on.AnswerWhole): x._resume_at_once,
        (State.RESUMING, on.UpstreamFailed): x._resume_failed,
        (State.RESUMING, on.DeadlinePassed): x._resume_late,
        (State.RESUMING, on.ClientGone): x._client_gone,
    }


TRANSITIONS: Final = _table()
