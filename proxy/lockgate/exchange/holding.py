"""The phase before the commit point: a response is held until it is known what it is.

Nothing of it has been sent to the client, so another candidate can still serve. A stream is held up
to its first content; a response that is not streamed until it is one whole JSON document, or too
large to be kept; an error for its words, which say whose it is.
"""

from typing import Final, Literal, final

from attrs import evolve

from lockgate.bodies.lenient import read_json, write_json
from lockgate.bodies.lexer import NotJsonError
from lockgate.errors.kinds import KINDS
from lockgate.exchange import commands as do
from lockgate.exchange.attempting import Attempting
from lockgate.exchange.large_response import LargeResponse
from lockgate.exchange.refusal import Refused, judge, status_of
from lockgate.exchange.relay import StreamRelay
from lockgate.exchange.render import EVENTS, JSON
from lockgate.exchange.response_body import (
    Said,
    error_of,
    is_completion,
    said_by,
    said_in,
    tokens_used,
)
from lockgate.exchange.resume import DeliveredText
from lockgate.exchange.retry import Failure
from lockgate.exchange.state import State
from lockgate.http1.response_head import ProtocolError, ResponseHead, check_usable, is_early

HOLD_LIMIT_BYTES: Final = 1 << 20
"""A response that is not streamed is held up to this size, until it is one whole JSON document."""
ERROR_LIMIT_BYTES: Final = 1 << 16
"""As much of an error's body as is read for its words."""
ERROR_BODY_S: Final = 10.0
"""So long the words of an error are waited for; then its status speaks alone."""
_SAYS_ENOUGH: Final = frozenset({401, 402, 407, 408, 411, 502, 503, 504, 522, 524})
"""Statuses whose words change nothing."""
_REFUSES_OPTIONS: Final = frozenset({400, 422})
_UNUSABLE: Final = Failure("upstream_protocol", deterministic=True)
"""A whole response that is not what was asked for: asked again, it would come again."""
_TRUNCATED: Final = Failure("upstream_truncated")
_NO_ROOM: Final = Failure("memory_full", deterministic=True)
_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"


@final
class Holding:
    """One response before its commit point: that with this `head`, of the attempt under way.

    `relay` is that of a stream, and `document` that of a large response, once it is committed. Each
    step returns the state in which it leaves the exchange.
    """

    relay: StreamRelay
    document: LargeResponse

    def __init__(self, head: ResponseHead, attempting: Attempting) -> None:
        self._head: Final = head
        self._attempting: Final = attempting
        self._response: Final = attempting.response
        self._out: Final = attempting.out
        self._pieces: list[bytes] = []
        self._size = 0
        self._has_begun = False  # something of a body came besides blank lines

    def begin(self, delivered: DeliveredText | None) -> State:
        """Say what the head begins. `delivered` keeps the text of a stream that may be resumed."""
        head, request = self._head, self._attempting.request
        streams = request.scan.stream
        self._attempting.answered(head)
        try:
            check_usable(head, streaming=streams)
        except ProtocolError:
            return self._fail(Failure("upstream_protocol", head.status, deterministic=True))
        if is_early(head, whole=request.whole):
            return self._fail(Failure("upstream_protocol", head.status))
        if head.status >= 400:
            return self._judge_status()
        if not streams:
            return State.HOLDING_BODY
        self.relay = StreamRelay(
            show_usage=request.scan.include_usage,
            max_event_bytes=self._attempting.ports.max_event_bytes,
            choices=request.scan.choices,
            delivered=delivered,
        )
        return State.HOLDING_STREAM

    def _fail(self, failure: Failure, *, whole: bool = False) -> State:
        return self._attempting.fail(failure, "w", whole=whole)

    def _add(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        self._response.hold(self._size)

    # -- a stream, up to its first content

    def stream_data(self, data: bytes) -> State:
        """Take data of a stream; RELAYING_STREAM where it is committed."""
        relay = self.relay
        if self._head.kind != "events" and not relay.held_bytes:
            begins = _beginning(data)
            if begins == "json":  # an error that came without its status
                self._add(data)
                return self._await_words()
            if begins == "markup":
                return self._fail(_UNUSABLE)
        content = relay.feed(data)
        if relay.committed:
            self._attempting.saw_first_token()
            self._commit(EVENTS, content)
            self._attempting.watch()
            return State.RELAYING_STREAM
        if relay.error is not None:
            return self._judge_in_band(relay.error, whole=False)
        if relay.broken:
            return self._fail(
                Failure(relay.broken, deterministic=relay.broken == "upstream_protocol")
            )
        self._response.hold(relay.held_bytes)
        if relay.held_bytes > HOLD_LIMIT_BYTES and self._attempting.ports.memory.is_over:
            return self._fail(_NO_ROOM)
        self._attempting.saw_life()
        return State.HOLDING_STREAM

    def stream_ended(self) -> State:
        """The stream ended before any content."""
        return self._fail(_TRUNCATED)

    # -- a response that is not streamed

    def body_data(self, data: bytes) -> State:
        """Take data of a body; RELAYING_BODY where it is too large to be held."""
        if not self._has_begun:
            if not data.strip(_BLANK):
                self._attempting.saw_life()  # blank lines, while the request waits for its turn
                return State.HOLDING_BODY
            self._has_begun = True
            self._attempting.saw_first_token()
            self._attempting.candidates.commit()
            self._attempting.watch()
        self._add(data)
        state = State.HOLDING_BODY if self._size <= HOLD_LIMIT_BYTES else self._commit_body()
        self._out.append(do.TOUCH)
        return state

    def _commit_body(self) -> State:
        """A large response goes down before it is whole; what is no JSON object never does."""
        begun = b"".join(self._pieces)
        text = begun.removeprefix(_BOM)
        if text.lstrip(_BLANK)[:1] != b"{":
            return self._fail(_UNUSABLE)
        self.document = LargeResponse()
        try:
            self.document.feed(text)
        except NotJsonError:
            return self._fail(_UNUSABLE)
        self._commit(JSON, begun)
        self._pieces = []
        return State.RELAYING_BODY

    def body_ended(self) -> State:
        """The body is whole."""
        return self.whole_body(b"".join(self._pieces))

    def whole_body(self, body: bytes) -> State:
        """Judge a whole body: a response, an error behind a status of 200, or neither."""
        if not self._has_begun:
            self._attempting.saw_first_token()
        try:
            document = read_json(body)
        except ValueError:
            cut = self._head.framing == "close"
            return self._fail(Failure("upstream_protocol", deterministic=not cut), whole=not cut)
        if is_completion(document):
            self._response.usage = tokens_used(document)
            lines = self._attempting.lines(JSON, self._head)
            self._response.send_whole(self._head.status, lines, body)
            return self._attempting.complete()
        error = error_of(document)
        if error is None:
            return self._fail(_UNUSABLE, whole=True)
        return self._judge_in_band(error, whole=True)

    def _commit(self, kind: bytes, data: bytes) -> None:
        """The commit point: from here on the client has what came."""
        self._response.hold(0)
        self._attempting.candidates.commit()
        self._response.begin(self._head.status, self._attempting.lines(kind, self._head), data)
        self._out.append(do.RELAY)

    # -- an error

    def _judge_status(self) -> State:
        """Judge a status of an error by itself where that is enough, else wait for its words."""
        head = self._head
        if head.status == 411:
            state = self._attempting.ask_with_length()
            if state is not None:
                return state
        if head.coded or head.status in _SAYS_ENOUGH:
            return self._judge(head.status, Said(), whole=False)  # no words through a coding
        return self._await_words()

    def _await_words(self) -> State:
        """Wait for the words of an error."""
        self._out.append(do.Arm("error_body", ERROR_BODY_S))
        return State.HOLDING_ERROR

    def error_data(self, data: bytes) -> State:
        """Take data of an error's words."""
        if self._size < ERROR_LIMIT_BYTES:
            self._add(data)
        return State.HOLDING_ERROR

    def error_ended(self, *, whole: bool) -> State:
        """The words are all there, or as far as they come: then the status speaks alone."""
        body = b"".join(self._pieces)
        status = self._head.status
        if status >= 400:
            if self._refuses_usage(status, body):
                state = self._attempting.ask_without_usage(whole=whole)
                if state is not None:
                    return state
            return self._judge(status, said_in(body), whole=whole)
        try:
            error = error_of(read_json(body))
        except ValueError:
            error = None
        if error is None:
            return self._fail(_UNUSABLE, whole=whole)
        return self._judge_in_band(error, whole=whole)

    def _judge_in_band(self, error: object, *, whole: bool) -> State:
        """Judge an error that came behind a status of 200."""
        said = said_by(error)
        status = status_of(said)
        if self._refuses_usage(status, write_json(error)):
            state = self._attempting.ask_without_usage(whole=whole)
            if state is not None:
                return state
        return self._judge(status, said, whole=whole)

    def _judge(self, status: int | None, said: Said, *, whole: bool) -> State:
        verdict = judge(status, said, retry_after_s=self._head.retry_after_s)
        if isinstance(verdict, Refused):
            return self._attempting.refuse(verdict, whole=whole)
        if verdict.code == "upstream_context":
            self._attempting.own_error = Refused(400, said, "context_length_exceeded")
        elif verdict.code == "upstream_model":
            named = evolve(said, param="model")
            self._attempting.own_error = Refused(404, named, "model_not_found")
        elif KINDS[verdict.code].retry == "wait" or status == 503:
            verdict = evolve(verdict, hints=self._head.hints)
        return self._fail(verdict, whole=whole)

    def _refuses_usage(self, status: int | None, body: bytes) -> bool:
        """Whether the backend refused `stream_options`, which only we had asked for."""
        attempt = self._attempting.candidates.current
        return (
            status in _REFUSES_OPTIONS
            and "stream_options.include_usage" in self._attempting.splices
            and attempt.backend.stream_usage == "auto"
            and b"stream_options" in body
        )


def _beginning(data: bytes) -> Literal["json", "markup", "events"]:
    """Return what data begins like: a stream begins with a field or a comment."""
    begin = data.removeprefix(_BOM).lstrip(_BLANK)[:1]
    if begin in {b"{", b"["}:
        return "json"
    return "markup" if begin == b"<" else "events"
