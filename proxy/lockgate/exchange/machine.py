"""One admitted request's life, from its decision to its record, as a state machine.

The core of the proxy. It takes events (`lockgate.exchange.events`) and gives commands
(`lockgate.exchange.commands`); it knows no socket, no clock and no Twisted: time, jitter, breakers
and the retry budget come in through `Ports`. What may happen in which state is the table
`TRANSITIONS` at the end; a pair that is not in it is an `ImpossibleEventError`.

What it rests on:
- before the commit point nothing of an answer has been sent, so another candidate can serve;
- after it there is no second attempt, and what is cut never ends cleanly;
- candidates come from the decision alone: there is no other way to a backend.
"""

from collections.abc import Callable
from typing import Any, Final, cast

from lockgate.bodies.lenient import read_json
from lockgate.bodies.lexer import NotJsonError
from lockgate.errors.kinds import kind_of
from lockgate.exchange import commands as do
from lockgate.exchange import events as on
from lockgate.exchange.judging import Judging
from lockgate.exchange.large_response import LargeResponse
from lockgate.exchange.relay import StreamRelay
from lockgate.exchange.render import EVENTS, JSON, LAST_CHUNK, chunk, head_of
from lockgate.exchange.response_body import error_of, is_completion, tokens_used
from lockgate.exchange.retry import Failure
from lockgate.exchange.state import ImpossibleEventError, State
from lockgate.http1.response_head import ResponseHead

HOLD_LIMIT_BYTES: Final = 1 << 20
"""A non-streamed answer up to this size is held until it is one whole JSON document."""
_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"


class Exchange(Judging):
    """See the module's text."""

    __slots__ = ()

    @property
    def malformed_events(self) -> int:
        """SSE events dropped because they were not JSON."""
        return self.malformed_before + (self._relay.malformed_events if self._relay else 0)

    def handle(self, event: on.Event) -> list[do.Command]:
        """Take one event; return what is to be done, in order."""
        react = _REACTIONS[self.state].get(type(event))
        if react is None:
            raise ImpossibleEventError(self.state, event)
        react(self, event)
        out, self._out = self._out, []
        return out

    # -- the answer's head

    def _at_once(self, event: on.ResponseWhole) -> None:
        """Take head, data and end of an answer that came in one read."""
        self._judge(event)
        if self.state is State.HOLDING_BODY and len(event.data) <= HOLD_LIMIT_BYTES:
            self._body_is(event.data)
            return
        self._go_on(event.data)

    def _resume_at_once(self, event: on.ResponseWhole) -> None:
        self._resume_head(on.ResponseStarted(event.head))
        if self.state is State.RELAYING_STREAM:
            self._go_on(event.data)

    def _go_on(self, data: bytes) -> None:
        """Take the data and the end that came with a head."""
        for step in (on.ResponseData(data), on.ENDED):
            react = _REACTIONS[self.state].get(type(step))
            if react is None:
                return  # the head or the data was the end of it
            react(self, step)

    def _head(self, event: on.ResponseStarted) -> None:
        self._judge(event)

    def _saw_first_token(self) -> None:
        now = self.ports.now()
        self.attempts.saw_first_token(now)
        if self.first_token_s is None:
            self.first_token_s = now - self.started_s

    # -- an answer held before its commit point

    def _hold_stream(self, event: on.ResponseData) -> None:
        relay = cast("StreamRelay", self._relay)
        if cast("ResponseHead", self.response).kind != "events" and not self._are_events(
            event.data
        ):
            return
        data = relay.feed(event.data)
        if relay.committed:
            self._saw_first_token()
            self._book(0)
            self._commit(EVENTS, data)
            self.state = State.RELAYING_STREAM
            self._out.append(do.Watch(self._limits.silence_s, self._limits.idle_s))
            self._after_feed(relay)
        elif relay.error is not None:
            self._judge_in_band(relay.error)
        elif relay.broken:
            self._fail(Failure(relay.broken, deterministic=relay.broken == "upstream_protocol"))
        else:
            self._book(relay.held_bytes)
            if relay.held_bytes > HOLD_LIMIT_BYTES and self.ports.memory.is_over:
                self._fail(Failure("memory_full", deterministic=True))
                return
            self._saw_life()

    def _are_events(self, data: bytes) -> bool:
        """Whether what has another type begins like events; what does not is held for its words.

        A stream begins with a field or a comment; JSON is an error that came without its status.
        """
        if self._held_bytes or cast("StreamRelay", self._relay).held_bytes:
            return True  # it was looked at
        begin = data.removeprefix(_BOM).lstrip(_BLANK)[:1]
        if begin in {b"{", b"["}:
            self._await_words()
            self._hold(data)
            return False
        if begin == b"<":
            self._fail(Failure("upstream_protocol", deterministic=True))
            return False
        return True

    def _hold_body(self, event: on.ResponseData) -> None:
        data = event.data
        if not self._begun and not data.strip(_BLANK):
            self._saw_life()  # blank lines, while the request waits for its turn
            return
        if not self._begun:
            self._begun = True
            self._saw_first_token()
            self.attempts.commit()
            self._out.append(do.Watch(self._limits.silence_s, self._limits.idle_s))
        self._hold(data)
        if self._held_bytes > HOLD_LIMIT_BYTES:
            self._commit_body()
        self._out.append(do.TOUCH)

    def _commit_body(self) -> None:
        """A large answer goes down before it is whole; what is no JSON object never does."""
        begun = b"".join(self._held)
        self._document = LargeResponse()
        is_object = begun.removeprefix(_BOM).lstrip(_BLANK)[:1] == b"{"
        if not is_object or not self._reads_on(begun.removeprefix(_BOM)):
            self._fail(Failure("upstream_protocol", deterministic=True))
            return
        self._commit(JSON, begun)
        self._held = []
        self._book(0)
        self.state = State.RELAYING_BODY

    def _stream_ended_early(self, _: on.ResponseEnded) -> None:
        self._fail(Failure("upstream_truncated"))

    def _body_ended(self, _: on.ResponseEnded) -> None:
        self._body_is(b"".join(self._held))

    def _body_is(self, body: bytes) -> None:
        """The body is whole: an answer, an error behind a status of 200, or neither."""
        if not self._begun:
            self._saw_first_token()
        try:
            document = read_json(body)
        except ValueError:
            cut = cast("ResponseHead", self.response).framing == "close"
            self._fail(Failure("upstream_protocol", deterministic=not cut), whole=not cut)
            return
        if is_completion(document):
            self.usage = tokens_used(document)
            self._send_whole(body)
            self._complete("Ud")
            return
        error = error_of(document)
        if error is not None:
            self._judge_in_band(error, whole=True)
        else:
            self._fail(Failure("upstream_protocol", deterministic=True), whole=True)

    def _send_whole(self, body: bytes) -> None:
        if self._head_out:
            self._pass_down(body)
            self._end_chunks()
        else:
            self._send_head(JSON, b"content-length: %d\r\n" % len(body), body)

    # -- the commit point and after

    def _commit(self, kind: bytes, data: bytes) -> None:
        self.attempts.commit()
        if self._head_out:
            self._pass_down(data)
        else:
            self._send_head(kind, None, chunk(data) if self.request.chunks else data)
        self._out.append(do.RELAY)

    def _send_head(self, kind: bytes, framing: bytes | None, data: bytes) -> None:
        response = cast("ResponseHead", self.response)
        self.status, self._head_out = response.status, True
        lines = kind + response.passed_on + response.hints + self._asked_headers()
        if self.attempts.current.backend.downward_headers:
            lines += self._listed(response)
        head = head_of(self.request, response.status, lines, framing)
        self.bytes_out += len(data)
        self._out.append(do.SendDown(head + data))

    def _relay_stream(self, event: on.ResponseData) -> None:
        relay = cast("StreamRelay", self._relay)
        data = relay.feed(event.data)
        if data:
            self._pass_down(data)
        if not self._grace_s:
            self._out.append(do.TOUCH if relay.saw_data else do.STIR)
        kept = relay.held_bytes
        if self._spoken is not None:
            kept += self._spoken.size_bytes
        self._book(kept)
        if kept > HOLD_LIMIT_BYTES and self.ports.memory.is_over:
            relay.broken = relay.broken or "memory_full"
        self._after_feed(relay)

    def _reads_on(self, data: bytes) -> bool:
        """Whether `data` may go on the answer's document."""
        try:
            cast("LargeResponse", self._document).feed(data)
        except NotJsonError:
            return False
        return True

    def _relay_body(self, event: on.ResponseData) -> None:
        if not self._reads_on(event.data):
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
        elif relay.grace_s != self._grace_s:
            self._grace_s = relay.grace_s
            if self._grace_s:
                self._out.append(do.Arm("grace", self._grace_s))
            else:  # more came of a text that was finished
                self._out.append(do.Watch(self._limits.silence_s, self._limits.idle_s))

    def _stream_ended(self, _: on.ResponseEnded) -> None:
        relay = cast("StreamRelay", self._relay)
        data = relay.end()
        if data:
            self._pass_down(data)
        self._after_feed(relay)

    def _relayed(self, _: on.ResponseEnded) -> None:
        """HTTP says that all came; the document says whether it is an answer."""
        document = cast("LargeResponse", self._document)
        try:
            document.end()
        except NotJsonError:
            self._lost("upstream_truncated")
            return
        if document.is_response:
            self._whole()
        else:
            self._lost("upstream_protocol")

    def _whole(self) -> None:
        self._end_chunks()
        self._complete("Ud", close=not self.request.chunks)

    def _end_chunks(self) -> None:
        if self.request.chunks:
            self._out.append(do.SendDown(LAST_CHUNK))

    def _finish_for(self, cause: str = "") -> None:
        """The text is whole, and the upstream does not end it well: it is ended here."""
        self._pass_down(cast("StreamRelay", self._relay).finish())
        self._end_chunks()
        terminal = f"Ud-{cause}" if cause else "Ud"
        self._complete(terminal, close=not self.request.chunks, reuse=False)

    def _cut_by_failure(self, event: on.UpstreamFailed) -> None:
        relay = self._relay
        if relay is not None and relay.finished and relay.usage is not None:
            kind = kind_of(event.code)
            self._finish_for(kind.cause if kind is not None else "")
        else:
            super()._cut_by_failure(event)

    def _cut_by_deadline(self, event: on.DeadlinePassed) -> None:
        if event.name == "heartbeat":
            return  # the answer itself is the sign of life
        relay = self._relay
        if relay is not None and relay.finished:
            self._finish_for()
        else:
            super()._cut_by_deadline(event)

    def _interrupted_late(self, event: on.Interrupted) -> None:
        relay = self._relay
        if relay is not None and relay.finished and event.code == "draining":
            self._finish_for()
        else:
            super()._interrupted_late(event)

    # -- endings

    def _complete(self, terminal: str, *, close: bool = False, reuse: bool = True) -> None:
        self.attempts.end("complete", "succeeded")
        self.terminal = terminal
        self._out.append(do.RELEASE if reuse else do.DROP)
        self._end("complete", close=close or self.request.close)


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
    waiting = (State.PAUSING, State.GATHERING)
    relaying = (State.RELAYING_STREAM, State.RELAYING_BODY)
    uploading = (*waiting, State.CONNECTING, State.WAITING, State.HOLDING_ERROR)
    return {
        (State.NEW, on.Start): x._start,
        (State.PAUSING, on.PauseOver): x._repeat,
        (State.CONNECTING, on.Connected): x._connected,
        **{(state, on.BodyMore): x._body_more for state in uploading},
        **{(state, on.BodyWhole): x._body_whole for state in uploading},
        **{(state, on.BodyRejected): x._body_rejected for state in uploading},
        (State.WAITING, on.ResponseStarted): x._head,
        (State.WAITING, on.ResponseWhole): x._at_once,
        (State.HOLDING_STREAM, on.ResponseData): x._hold_stream,
        (State.HOLDING_STREAM, on.ResponseEnded): x._stream_ended_early,
        (State.HOLDING_BODY, on.ResponseData): x._hold_body,
        (State.HOLDING_BODY, on.ResponseEnded): x._body_ended,
        (State.HOLDING_ERROR, on.ResponseData): x._hold_error,
        (State.HOLDING_ERROR, on.ResponseEnded): x._error_ended,
        (State.RELAYING_STREAM, on.ResponseData): x._relay_stream,
        (State.RELAYING_STREAM, on.ResponseEnded): x._stream_ended,
        (State.RELAYING_BODY, on.ResponseData): x._relay_body,
        (State.RELAYING_BODY, on.ResponseEnded): x._relayed,
        **{(state, on.UpstreamFailed): x._failed for state in before_commit},
        **{(state, on.DeadlinePassed): x._late for state in (*before_commit, *waiting)},
        (State.HOLDING_ERROR, on.UpstreamFailed): x._error_broke_off,
        (State.HOLDING_ERROR, on.DeadlinePassed): x._error_broke_off,
        **{(state, on.UpstreamFailed): x._cut_by_failure for state in relaying},
        **{(state, on.DeadlinePassed): x._cut_by_deadline for state in relaying},
        **{
            (state, on.ClientGone): x._client_gone
            for state in (*before_commit, *waiting, *relaying, State.RESUMING)
        },
        **{(state, on.Interrupted): x._interrupted for state in (*before_commit, *waiting)},
        **{(state, on.Interrupted): x._interrupted_late for state in (*relaying, State.RESUMING)},
        (State.RESUMING, on.Connected): x._resume_connected,
        (State.RESUMING, on.ResponseStarted): x._resume_head,
        (State.RESUMING, on.ResponseWhole): x._resume_at_once,
        (State.RESUMING, on.UpstreamFailed): x._resume_failed,
        (State.RESUMING, on.DeadlinePassed): x._resume_late,
    }


TRANSITIONS: Final = _table()
_Reactions = dict[type, Callable[[Exchange, Any], None]]
_REACTIONS: Final[dict[State, _Reactions]] = {
    state: {kind: react for (held, kind), react in TRANSITIONS.items() if held is state}
    for state in State
}
"""The same table by state: an event is looked up in it without a key being made."""
