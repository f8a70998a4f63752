"""One admitted request's life, from its decision to its record, as a state machine.

The core of the proxy. It takes events (`lockgate.exchange.events`) and gives commands
(`lockgate.exchange.commands`); it knows no socket, no clock and no Twisted: time, jitter, breakers
and the retry budget come in through `Ports`.

`TRANSITIONS` at the end says what may happen in which state, and where that may lead; what is not
in it is an `ImpossibleEventError`. docs/exchange.md is drawn from it. Each phase is an object with
fields of its own, whose steps return the next state; the machine alone puts that in force.

What it rests on:
- before the commit point nothing of a response has been sent, so another candidate can serve;
- after it there is no second attempt, and what is cut never ends cleanly;
- candidates come from the decision alone: there is no other way to a backend.
"""

from collections.abc import Callable
from typing import Any, Final, Literal, final

from lockgate.errors.codes import Code
from lockgate.errors.kinds import KINDS
from lockgate.errors.outcome import Outcome, Phase
from lockgate.exchange import commands as do
from lockgate.exchange import events as on
from lockgate.exchange.attempting import Attempting
from lockgate.exchange.candidates import Candidates
from lockgate.exchange.client_response import ClientResponse
from lockgate.exchange.deadlines import NO_DEADLINES, Deadlines
from lockgate.exchange.holding import HOLD_LIMIT_BYTES, Holding
from lockgate.exchange.ports import Ports
from lockgate.exchange.relay import StreamRelay
from lockgate.exchange.relaying import Relaying, RelayingBody, RelayingStream
from lockgate.exchange.request import RoutedRequest
from lockgate.exchange.resuming import Resuming
from lockgate.exchange.state import PHASE, ImpossibleEventError, ImpossibleStateError, State
from lockgate.exchange.tokens import Tokens, of_bytes, summed, used


@final
class Exchange:
    """One request's exchange. After `Ended` its attributes are the record's facts.

    `response` is what the client got, `candidates` who was asked, `attempting` how.
    """

    _holding: Holding
    _relaying: Relaying

    def __init__(self, request: RoutedRequest, ports: Ports) -> None:
        self.request: Final = request
        self.state = State.NEW
        self.started_s: Final = ports.now()
        self._out: Final[list[do.Command]] = []
        self.candidates: Final = Candidates(request, ports, self.started_s)
        self.response: Final = ClientResponse(request, ports.memory, self._out)
        self.attempting: Final = Attempting(
            request, ports, self.candidates, self.response, self._out
        )
        self._resuming: Resuming | None = None
        self._relay: StreamRelay | None = None  # of the stream that goes down

    def handle(self, event: on.Event) -> list[do.Command]:
        """Take one event; return what is to be done, in order, a list that the next one empties."""
        self._out.clear()
        self._step(event)
        return self._out

    def abandon(self) -> None:
        """A fault of ours in a step: end as `internal` where it stands, and hold nothing."""
        self.response.abandon(KINDS["internal"].terminal(self._phase))
        self.state = State.DONE
        self._out.clear()
        self.candidates.end("internal", "released")

    def _step(self, event: on.Event) -> None:
        known = _STEPS[self.state].get(type(event))
        if known is None:
            raise ImpossibleEventError(self.state, event)
        step, following = known
        state = step(self, event)
        if state is not self.state:
            if state not in following:
                raise ImpossibleStateError(self.state, event, state)
            self.state = state

    # -- attempting

    def _start(self, _: on.Start) -> State:
        return self.attempting.start()

    def _repeat(self, _: on.PauseOver) -> State:
        return self.attempting.repeat()

    def _connected(self, event: on.Connected) -> State:
        return self.attempting.connected(reused=event.reused)

    def _failed(self, event: on.UpstreamFailed) -> State:
        return self.attempting.failed(event.code, PHASE[self.state])

    def _late(self, event: on.DeadlinePassed) -> State:
        return self.attempting.late(event.name, PHASE[self.state]) or self.state

    def _body_more(self, _: on.BodyMore) -> State:
        return self.attempting.body_more()

    def _body_kept(self, _: on.BodyMore) -> State:
        return self.state  # the next attempt begins with what came

    def _body_whole(self, event: on.BodyWhole) -> State:
        return self.attempting.body_whole(event.scan)

    def _body_gathered(self, event: on.BodyWhole) -> State:
        return self.attempting.body_gathered(event.scan)

    def _body_kept_whole(self, event: on.BodyWhole) -> State:
        self.request.complete(event.scan)
        return self.state

    def _body_rejected(self, event: on.BodyRejected) -> State:
        return self.attempting.body_rejected(event.rejection)

    # -- holding

    def _head(self, event: on.ResponseStarted | on.ResponseWhole) -> State:
        rule = self.request.route.reading.rule
        delivered = None
        if rule is not None and rule.recovery == "resume" and self.request.scan.stream:
            self._resuming = Resuming(self.attempting)
            delivered = self._resuming.delivered
        self._holding = Holding(event.head, self.attempting)
        return self._holding.begin(delivered)

    def _response_whole(self, event: on.ResponseWhole) -> State:
        state = self._head(event)
        if state is State.HOLDING_BODY and len(event.data) <= HOLD_LIMIT_BYTES:
            return self._holding.whole_body(event.data)
        self.state = state
        return self._data_and_end(event.data)

    def _data_and_end(self, data: bytes) -> State:
        """Take the data and the end that came with a head."""
        for event in (on.ResponseData(data), on.ENDED):
            if type(event) not in _STEPS[self.state]:
                break  # the head or the data was the end of it
            self._step(event)
        return self.state

    def _held_stream_data(self, event: on.ResponseData) -> State:
        state = self._holding.stream_data(event.data)
        if state is not State.RELAYING_STREAM:
            return state
        return self._relay_stream(self._holding.relay)

    def _relay_stream(self, relay: StreamRelay) -> State:
        self._relay = relay
        stream = self._relaying = RelayingStream(relay, self.attempting, self._resuming)
        return self._relayed(stream.look())

    def _held_stream_ended(self, _: on.ResponseEnded) -> State:
        return self._holding.stream_ended()

    def _held_body_data(self, event: on.ResponseData) -> State:
        state = self._holding.body_data(event.data)
        if state is State.RELAYING_BODY:
            self._relaying = RelayingBody(self._holding.document, self.attempting)
        return state

    def _held_body_ended(self, _: on.ResponseEnded) -> State:
        return self._holding.body_ended()

    def _error_data(self, event: on.ResponseData) -> State:
        return self._holding.error_data(event.data)

    def _error_ended(self, _: on.ResponseEnded) -> State:
        return self._holding.error_ended(whole=True)

    def _error_broke_off(self, _: on.UpstreamFailed) -> State:
        return self._holding.error_ended(whole=False)

    def _error_late(self, event: on.DeadlinePassed) -> State:
        if event.name in {"total", "heartbeat"}:
            return self._late(event)
        return self._holding.error_ended(whole=False)

    # -- relaying

    def _relayed(self, state: State) -> State:
        if state is State.RESUMING:
            self._relay = None  # nothing goes down meanwhile
        return state

    def _relayed_data(self, event: on.ResponseData) -> State:
        return self._relayed(self._relaying.data(event.data))

    def _relayed_end(self, _: on.ResponseEnded) -> State:
        return self._relayed(self._relaying.ended())

    def _broke_off(self, event: on.UpstreamFailed) -> State:
        return self._relayed(self._relaying.failed(event.code))

    def _relayed_late(self, event: on.DeadlinePassed) -> State:
        return self._relayed(self._relaying.late(event.name))

    def _cut(self, event: on.Interrupted) -> State:
        return self._relaying.interrupted(event.code)

    # -- resuming

    def _resumed(self, event: on.Connected) -> State:
        return self._resuming_phase.connected(reused=event.reused)

    def _resumed_head(self, event: on.ResponseStarted | on.ResponseWhole) -> State:
        resuming = self._resuming_phase
        state = resuming.answered(event.head)
        return self._relay_stream(resuming.relay) if state is State.RELAYING_STREAM else state

    def _resumed_whole(self, event: on.ResponseWhole) -> State:
        self.state = self._resumed_head(event)
        return self._data_and_end(event.data) if self.state is State.RELAYING_STREAM else self.state

    def _resuming_failed(self, event: on.UpstreamFailed) -> State:
        return self._resuming_phase.failed(event.code)

    def _resuming_late(self, event: on.DeadlinePassed) -> State:
        return self._resuming_phase.late(event.name)

    def _resuming_interrupted(self, event: on.Interrupted) -> State:
        return self._resuming_phase.interrupted(event.code)

    @property
    def _resuming_phase(self) -> Resuming:
        assert self._resuming is not None, "only it leads there"
        return self._resuming

    # -- endings

    def _client_gone(self, event: on.ClientGone) -> State:
        cause = f"-{event.cause}" if event.cause else ""
        terminal = f"C{self._phase}{cause}"
        self.attempting.leave("client_gone")
        self.response.client_gone(terminal)
        return State.DONE

    def _interrupted(self, event: on.Interrupted) -> State:
        kind = KINDS[event.code]
        terminal = kind.terminal(self._phase)
        self.attempting.leave(event.code)
        self.response.fail(kind, terminal, kind.outcome, lines=b"", close=True)
        return State.DONE

    @property
    def _phase(self) -> Phase:
        return PHASE[self.state] if self.request.whole else "b"

    # -- what the record says of it

    @property
    def outcome(self) -> Outcome:
        """How it ended, in one word."""
        return self.response.outcome

    @property
    def terminal(self) -> str:
        """Who ended it, in which phase, and why."""
        return self.response.terminal

    @property
    def status(self) -> int | None:
        """The status that the client got; None where it got none."""
        return self.response.status

    @property
    def code(self) -> Code | Literal["upstream_refused"] | None:
        """The error that the client read; None where there was none."""
        return self.response.code

    @property
    def first_token_s(self) -> float | None:
        """Seconds to the first content of a response; None where none came."""
        return self.attempting.first_token_s

    @property
    def splices(self) -> tuple[str, ...]:
        """What was changed in the body that went up last."""
        return self.attempting.splices

    @property
    def deadlines(self) -> Deadlines | None:
        """The deadlines in force last; None where nobody was dialled."""
        limits = self.attempting.limits
        return None if limits is NO_DEADLINES else limits

    @property
    def malformed_events(self) -> int:
        """SSE events dropped because they were not JSON."""
        before = self._resuming.malformed_before if self._resuming is not None else 0
        return before + (self._relay.malformed_events if self._relay is not None else 0)

    @property
    def tokens(self) -> Tokens | None:
        """What the response used: as reported, summed over a resumed one, or estimated.

        None where no response began.
        """
        if self.attempting.first_token_s is None:
            return None
        response, relay, received = self.response, self._relay, self.request.received_bytes
        before = (0, 0) if self._resuming is None else self._resuming.tokens_before
        if relay is None:
            if before != (0, 0):  # nobody went on
                return Tokens(before[0], before[1], "estimated")
            return used(response.usage, 0, received, response.bytes_out)
        if before != (0, 0):
            return summed(relay.usage or (of_bytes(received), relay.content_events), before)
        return used(relay.usage, relay.content_events, received, response.bytes_out)


_Step = Callable[[Exchange, Any], State]
_States = frozenset[State]
_S: Final = State

_DONE: Final = frozenset({_S.DONE})
_CONNECTING: Final = frozenset({_S.CONNECTING})
DIALLED: Final = frozenset({_S.CONNECTING, _S.GATHERING, _S.DONE})
"""Where dialling a candidate may lead, if one is left."""
FAILED: Final = DIALLED | {_S.PAUSING}
"""Where a failed attempt may lead."""
_LOST: Final = _DONE | {_S.RESUMING}
_CONTENT: Final = FAILED | _LOST | {_S.RELAYING_STREAM, _S.HOLDING_ERROR}
_BEGUN: Final = FAILED | {_S.HOLDING_STREAM, _S.HOLDING_BODY, _S.HOLDING_ERROR}
_CONTINUED: Final = _DONE | {_S.RELAYING_STREAM}
_STAYS: Final[_States] = frozenset()

_ATTEMPTING: Final = (_S.PAUSING, _S.GATHERING, _S.CONNECTING, _S.WAITING)
_UPLOADING: Final = (*_ATTEMPTING, _S.HOLDING_ERROR)
_HOLDING: Final = (_S.HOLDING_STREAM, _S.HOLDING_BODY)
_UNCOMMITTED: Final = (*_UPLOADING, *_HOLDING)
_COMMITTED: Final = (_S.RELAYING_STREAM, _S.RELAYING_BODY, _S.RESUMING)

# fmt: off
_ROWS: Final[tuple[tuple[tuple[State, ...], type, _Step, _States], ...]] = (
    # in these states, upon this event, take this step, and stay or enter one of those
    ((_S.NEW,), on.Start, Exchange._start, DIALLED),
    ((_S.PAUSING,), on.PauseOver, Exchange._repeat, DIALLED),
    ((_S.CONNECTING,), on.Connected, Exchange._connected, DIALLED | {_S.WAITING}),
    (_UPLOADING, on.BodyMore, Exchange._body_kept, _STAYS),
    ((_S.WAITING,), on.BodyMore, Exchange._body_more, _STAYS),
    (_UPLOADING, on.BodyWhole, Exchange._body_kept_whole, _STAYS),
    ((_S.WAITING,), on.BodyWhole, Exchange._body_whole, _STAYS),
    ((_S.GATHERING,), on.BodyWhole, Exchange._body_gathered, _CONNECTING),
    (_UPLOADING, on.BodyRejected, Exchange._body_rejected, _DONE),
    ((_S.WAITING,), on.ResponseStarted, Exchange._head, _BEGUN),
    ((_S.WAITING,), on.ResponseWhole, Exchange._response_whole, FAILED),
    ((_S.CONNECTING, _S.WAITING), on.UpstreamFailed, Exchange._failed, FAILED),
    (_ATTEMPTING, on.DeadlinePassed, Exchange._late, FAILED),

    ((_S.HOLDING_STREAM,), on.ResponseData, Exchange._held_stream_data, _CONTENT),
    ((_S.HOLDING_STREAM,), on.ResponseEnded, Exchange._held_stream_ended, FAILED),
    ((_S.HOLDING_BODY,), on.ResponseData, Exchange._held_body_data, FAILED | {_S.RELAYING_BODY}),
    ((_S.HOLDING_BODY,), on.ResponseEnded, Exchange._held_body_ended, FAILED),
    (_HOLDING, on.UpstreamFailed, Exchange._failed, FAILED),
    (_HOLDING, on.DeadlinePassed, Exchange._late, FAILED),
    ((_S.HOLDING_ERROR,), on.ResponseData, Exchange._error_data, _STAYS),
    ((_S.HOLDING_ERROR,), on.ResponseEnded, Exchange._error_ended, FAILED),
    ((_S.HOLDING_ERROR,), on.UpstreamFailed, Exchange._error_broke_off, FAILED),
    ((_S.HOLDING_ERROR,), on.DeadlinePassed, Exchange._error_late, FAILED),

    ((_S.RELAYING_STREAM,), on.ResponseData, Exchange._relayed_data, _LOST),
    ((_S.RELAYING_STREAM,), on.ResponseEnded, Exchange._relayed_end, _LOST),
    ((_S.RELAYING_STREAM,), on.UpstreamFailed, Exchange._broke_off, _LOST),
    ((_S.RELAYING_STREAM,), on.DeadlinePassed, Exchange._relayed_late, _LOST),
    ((_S.RELAYING_STREAM,), on.Interrupted, Exchange._cut, _DONE),
    ((_S.RELAYING_BODY,), on.ResponseData, Exchange._relayed_data, _DONE),
    ((_S.RELAYING_BODY,), on.ResponseEnded, Exchange._relayed_end, _DONE),
    ((_S.RELAYING_BODY,), on.UpstreamFailed, Exchange._broke_off, _DONE),
    ((_S.RELAYING_BODY,), on.DeadlinePassed, Exchange._relayed_late, _DONE),
    ((_S.RELAYING_BODY,), on.Interrupted, Exchange._cut, _DONE),

    ((_S.RESUMING,), on.Connected, Exchange._resumed, _DONE),
    ((_S.RESUMING,), on.ResponseStarted, Exchange._resumed_head, _CONTINUED),
    ((_S.RESUMING,), on.ResponseWhole, Exchange._resumed_whole, _CONTINUED),
    ((_S.RESUMING,), on.UpstreamFailed, Exchange._resuming_failed, _DONE),
    ((_S.RESUMING,), on.DeadlinePassed, Exchange._resuming_late, _DONE),
    ((_S.RESUMING,), on.Interrupted, Exchange._resuming_interrupted, _DONE),

    ((*_UNCOMMITTED, *_COMMITTED), on.ClientGone, Exchange._client_gone, _DONE),
    (_UNCOMMITTED, on.Interrupted, Exchange._interrupted, _DONE),
)
# fmt: on
_Row = tuple[_Step, _States]
TRANSITIONS: Final[dict[tuple[State, type], _Row]] = {
    (state, event): (step, following) for at, event, step, following in _ROWS for state in at
}
"""What may happen in which state, and where it may lead. A later row replaces an earlier one."""
_STEPS: Final[dict[State, dict[type, _Row]]] = {
    state: {event: row for (at, event), row in TRANSITIONS.items() if at is state}
    for state in State
}
"""The same table by state: an event is looked up in it without a key being made."""
