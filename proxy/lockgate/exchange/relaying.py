"""The phase behind the commit point: the client has the beginning, and there is no second attempt.

What breaks off here is cut, never ended cleanly: an error event where there are events, and the
connection ends without the last chunk. A stream whose rule says `recovery: resume` may go on
elsewhere instead (`exchange.resuming`). A stream whose text is whole is ended here where its
upstream does not end it well.
"""

from abc import ABC, abstractmethod
from typing import Final, final

from lockgate.bodies.lexer import NotJsonError
from lockgate.errors.codes import Code
from lockgate.errors.kinds import kind_of, of_deadline
from lockgate.exchange import commands as do
from lockgate.exchange.attempting import Attempting
from lockgate.exchange.events import DeadlineName, FailureCode
from lockgate.exchange.holding import HOLD_LIMIT_BYTES
from lockgate.exchange.large_response import LargeResponse
from lockgate.exchange.refusal import is_clients
from lockgate.exchange.relay import StreamRelay
from lockgate.exchange.resuming import Resuming
from lockgate.exchange.state import State


class Relaying(ABC):
    """A response behind its commit point. Each step returns the state that follows."""

    @abstractmethod
    def data(self, data: bytes) -> State:
        """Pass on what may go down of the data."""

    @abstractmethod
    def ended(self) -> State:
        """HTTP says that all came; what came says whether it is a whole response."""

    @abstractmethod
    def failed(self, code: FailureCode) -> State:
        """The connection broke: any way of breaking is the same loss to the client."""

    @abstractmethod
    def late(self, name: DeadlineName) -> State:
        """A deadline passed. A heartbeat is not needed: the response is the sign of life."""

    @abstractmethod
    def interrupted(self, code: Code) -> State:
        """The proxy itself ends the exchange."""


@final
class RelayingBody(Relaying):
    """A large response that goes down before it is whole; its end says whether it is one."""

    def __init__(self, document: LargeResponse, attempting: Attempting) -> None:
        self._document: Final = document
        self._attempting: Final = attempting

    def data(self, data: bytes) -> State:
        """Pass the data on, as long as it may go on the document."""
        try:
            self._document.feed(data)
        except NotJsonError:
            return self._lost("upstream_protocol")
        self._attempting.response.send(data)
        self._attempting.out.append(do.TOUCH)
        return State.RELAYING_BODY

    def ended(self) -> State:
        """The document says whether it is a response."""
        try:
            self._document.end()
        except NotJsonError:
            return self._lost("upstream_truncated")
        if not self._document.is_response:
            return self._lost("upstream_protocol")
        return _end_whole(self._attempting)

    def failed(self, code: FailureCode) -> State:
        """Cut it."""
        return self._lost(_lost_by(code))

    def late(self, name: DeadlineName) -> State:
        """Cut it, unless it is the heartbeat's."""
        return State.RELAYING_BODY if name == "heartbeat" else self._lost(of_deadline(name))

    def _lost(self, code: Code) -> State:
        return self._attempting.cut(code, in_events=False)

    def interrupted(self, code: Code) -> State:
        """Cut it."""
        return self._attempting.cut(code, in_events=False, blamed=False)


@final
class RelayingStream(Relaying):
    """A stream of events behind its commit point. `resuming` goes on where it breaks off."""

    def __init__(
        self, relay: StreamRelay, attempting: Attempting, resuming: Resuming | None
    ) -> None:
        self.relay: Final = relay
        self._attempting: Final = attempting
        self._resuming: Final = resuming
        self._grace_s = 0.0  # its text is whole, its end is waited for so long

    def data(self, data: bytes) -> State:
        """Pass on what is whole of the data."""
        relay, attempting = self.relay, self._attempting
        content = relay.feed(data)
        if content:
            attempting.response.send(content)
        if not self._grace_s:
            attempting.out.append(do.TOUCH if relay.saw_data else do.STIR)
        kept = relay.held_bytes
        if self._resuming is not None:
            kept += self._resuming.delivered.size_bytes
        attempting.response.hold(kept)
        if kept > HOLD_LIMIT_BYTES and attempting.ports.memory.is_over:
            relay.broken = relay.broken or "memory_full"
        return self.look()

    def look(self) -> State:
        """Say how it stands after what came last."""
        relay = self.relay
        if relay.broken:
            return self._lost(relay.broken)
        if relay.done:
            return _end_whole(self._attempting)
        if relay.grace_s != self._grace_s:
            self._grace_s = relay.grace_s
            if self._grace_s:
                self._attempting.out.append(do.Arm("grace", self._grace_s))
            else:  # more came of a text that was finished
                self._attempting.watch()
        return State.RELAYING_STREAM

    def ended(self) -> State:
        """The events say whether they are whole."""
        content = self.relay.end()
        if content:
            self._attempting.response.send(content)
        return self.look()

    def failed(self, code: FailureCode) -> State:
        """End it here if its text is whole, else it is lost."""
        relay = self.relay
        if relay.finished and relay.usage is not None:
            kind = kind_of(code)
            return self._finish("" if kind is None else kind.cause)
        return self._lost(_lost_by(code))

    def late(self, name: DeadlineName) -> State:
        """End it here if its text is whole, else it is lost."""
        if name == "heartbeat":
            return State.RELAYING_STREAM
        return self._finish() if self.relay.finished else self._lost(of_deadline(name))

    def interrupted(self, code: Code) -> State:
        """End it here if its text is whole, else cut it."""
        if self.relay.finished and code == "draining":
            return self._finish()
        return self._attempting.cut(code, in_events=True, blamed=False)

    def _finish(self, cause: str = "") -> State:
        """The text is whole, and the upstream does not end it well: end it here."""
        attempting = self._attempting
        attempting.response.send(self.relay.finish())
        attempting.response.end_body()
        terminal = f"Ud-{cause}" if cause else "Ud"
        return attempting.complete(terminal, close=not attempting.request.chunks, reuse=False)

    def _lost(self, code: Code) -> State:
        """It broke off: go on elsewhere where the rule says so and it can be, else cut it."""
        blamed = not is_clients(self.relay.error)
        if blamed and self._resuming is not None and self._resuming.may_take(self.relay, code):
            return self._resuming.resume(self.relay, code)
        return self._attempting.cut(code, in_events=True, blamed=blamed)


def _lost_by(code: FailureCode) -> Code:
    """Return how a client loses a response whose connection broke: it was cut short, or reset."""
    return "upstream_truncated" if code == "upstream_truncated" else "upstream_reset"


def _end_whole(attempting: Attempting) -> State:
    """End a response of unknown length that is whole."""
    attempting.response.end_body()
    return attempting.complete(close=not attempting.request.chunks)
