"""The response that a client gets, and how its exchange ended.

What goes down goes through here: signs of life, a response from an upstream, whole or piece by
piece, errors, and the end. A status line may go down as a sign of life, long before anybody
answers; an error behind one is said as the last event of a stream, or as a JSON text, and the
response then has no clean end.
"""

from typing import Final, Literal, final

from lockgate.bodies.lenient import write_json
from lockgate.errors.body import error_event, error_object
from lockgate.errors.codes import Code
from lockgate.errors.kinds import ErrorKind
from lockgate.errors.outcome import Outcome
from lockgate.exchange import commands as do
from lockgate.exchange.memory import MemoryBudget
from lockgate.exchange.render import (
    EVENTS,
    JSON,
    LAST_CHUNK,
    SIGN_OF_LIFE,
    chunk,
    head_of,
    whole,
    whole_error,
)
from lockgate.exchange.request import RoutedRequest


@final
class ClientResponse:
    """What one client was sent, and the record's facts about it.

    `has_begun`: a status line went down. `code` is the error that the client read, `outcome`
    and `terminal` are how the exchange ended, `bytes_out` counts the response's body. `usage` are
    the tokens (prompt, completion) that the upstream reported.
    """

    def __init__(self, request: RoutedRequest, memory: MemoryBudget, out: list[do.Command]) -> None:
        self._request: Final = request
        self._memory: Final = memory
        self._out: Final = out
        self._held_bytes = 0
        self.has_begun = False
        self.status: int | None = None
        self.code: Code | Literal["upstream_refused"] | None = None
        self.outcome: Outcome = "internal"
        self.terminal = ""
        self.bytes_out = 0
        self.usage: tuple[int, int] | None = None

    def hold(self, size: int) -> None:
        """Charge the memory budget for `size` bytes in all, held back from the client."""
        if size != self._held_bytes:
            self._memory.charge(size - self._held_bytes, self._request.client)
            self._held_bytes = size

    # -- what an upstream answers

    def show_life(self) -> None:
        """Send a sign of life: nothing of a response is committed by it but the status line."""
        request = self._request
        streams = request.scan.stream
        data = SIGN_OF_LIFE[streams]
        data = chunk(data) if request.chunks else data
        if not self.has_begun:
            self.has_begun, self.status = True, 200
            data = head_of(request, 200, EVENTS if streams else JSON) + data
        self._out.append(do.SendDown(data))

    def begin(self, status: int, lines: bytes, data: bytes) -> None:
        """Send the head, with these rendered `lines`, and the first bytes of an unknown length."""
        if self.has_begun:
            self.send(data)
        else:
            self._begin(status, lines, None, chunk(data) if self._request.chunks else data)

    def send(self, data: bytes) -> None:
        """Send more of the body."""
        self.bytes_out += len(data)
        self._out.append(do.SendDown(chunk(data) if self._request.chunks else data))

    def end_body(self) -> None:
        """Send the end of a body whose length was not known."""
        if self._request.chunks:
            self._out.append(do.SendDown(LAST_CHUNK))

    def send_whole(self, status: int, lines: bytes, body: bytes) -> None:
        """Send head and body of a response that is not streamed."""
        if self.has_begun:
            self.send(body)
            self.end_body()
        else:
            self._begin(status, lines, b"content-length: %d\r\n" % len(body), body)

    def _begin(self, status: int, lines: bytes, framing: bytes | None, data: bytes) -> None:
        self.status, self.has_begun = status, True
        self.bytes_out += len(data)
        self._out.append(do.SendDown(head_of(self._request, status, lines, framing) + data))

    # -- endings

    def complete(self, terminal: str, *, close: bool) -> None:
        """End a response that is whole."""
        self.outcome, self.terminal = "complete", terminal
        self._over()
        self._out.append(do.FINISH[close or self._request.close])

    def fail(  # noqa: PLR0913 - an error has this many words
        self,
        kind: ErrorKind,
        terminal: str,
        outcome: Outcome,
        *,
        lines: bytes,
        detail: str = "",
        param: str | None = None,
        close: bool = False,
    ) -> None:
        """End with an error of ours, as a whole response or behind the status line."""
        request = self._request
        close = close or request.close
        self.code, self.terminal, self.outcome = kind.code, terminal, outcome
        if self.has_begun:
            document = error_object(kind, request.request_id, detail=detail, param=param)
            self._send_late(document["error"])
        else:
            headers = request.response_headers + lines
            data = whole_error(
                kind, request.request_id, headers=headers, detail=detail, param=param, close=close
            )
            self._send_error(kind.status, data)
        self._end_failed(close=close)

    def refuse(self, status: int, lines: bytes, error: dict[str, object]) -> None:
        """End with an upstream's refusal of what is the client's own error."""
        request = self._request
        self.code, self.terminal, self.outcome = (
            "upstream_refused",
            "Ud-refused",
            "upstream_refused",
        )
        if self.has_begun:
            self._send_late(error)
        else:
            headers = request.response_headers + lines
            data = whole(status, headers, write_json({"error": error}), close=request.close)
            self._send_error(status, data)
        self._end_failed(close=request.close)

    def _send_error(self, status: int, data: bytes) -> None:
        self.status = status
        self.bytes_out += len(data)
        self._out.append(do.SendDown(data))

    def _send_late(self, error: dict[str, object]) -> None:
        """Say an error behind a status line, as an event where there are some; no end follows."""
        if self._request.scan.stream:
            self.send(error_event(error, (self.outcome, self.terminal)))
        else:
            self.send(write_json({"error": error}))

    def _end_failed(self, *, close: bool) -> None:
        self._over()
        self._out.append(do.BREAK if self.has_begun else do.FINISH[close])

    def cut(self, kind: ErrorKind, *, in_events: bool) -> None:
        """Break off after the commit point: an error event where there are events, no clean end."""
        self.code, self.terminal, self.outcome = kind.code, kind.terminal("s"), kind.cut
        if in_events:
            error = error_object(kind, self._request.request_id)["error"]
            self.send(error_event(error, (self.outcome, self.terminal)))
        self._over()
        self._out.append(do.BREAK)

    def abandon(self, terminal: str) -> None:
        """End where nobody is there to read anything, and commands are no longer carried out."""
        self.code = self.outcome = "internal"
        self.terminal = terminal
        self.hold(0)

    def client_gone(self, terminal: str) -> None:
        """End without a word: nobody is there to read it."""
        self.code = self.outcome = "client_gone"
        self.terminal = terminal
        self._over()

    def _over(self) -> None:
        self.hold(0)
        self._out.append(do.ENDED)
