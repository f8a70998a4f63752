"""One client's connection: requests in, responses out, one request at a time.

Decisions of this file:
- Pipelined requests wait in a short queue (`lockgate.connections.pipeline`); while it is full
  nothing is read.
- After an error that leaves the framing in doubt the connection is closed, lingering so that the
  client can read the response (closing with unread input would send a reset over it).
- A half-closed connection counts as gone: nobody reads responses that cost tokens.
- An exception anywhere ends what was under way as `internal` (`broke`).
"""

from typing import Final, Literal

from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from lockgate.bodies.upload import Upload
from lockgate.connections.downstream import CLOSING, LOST, READY, SERVING, Arrivals
from lockgate.connections.inbound import RequestInProgress
from lockgate.connections.intake import Intake
from lockgate.connections.limiter import client_of
from lockgate.connections.requests import RequestHandler
from lockgate.connections.slow_client import STALL_S, SlowClientWatch
from lockgate.connections.timer_wheel import Timer
from lockgate.errors.kinds import RejectedError
from lockgate.eventloop.broken import end_what_broke
from lockgate.exchange.render import whole_rejection

HEAD_S: Final = 10.0
LINGER_S: Final = 2.0
LINGER_MOST_S: Final = 30.0
"""So long a refused client may go on sending; nginx's lingering_time."""
LOOK_S: Final = 0.05
REST_BYTES: Final = 64 * 1024
"""While more than this is unsent to a client its next request waits: Twisted's high water."""


class ClientConnection(Arrivals):
    """One client's connection over TCP or TLS. `handler` takes its requests."""

    def __init__(self, handler: RequestHandler) -> None:
        super().__init__(handler.wheel)
        self.handler = handler
        self.intake = Intake(handler, self)
        self._serving = False
        self._said = False  # something of the response to the last request that was served
        self._paused = False
        self._goes_on = False  # in a later turn, with what is unread
        self._lingers_until = 0.0
        self._resets_by = 0.0
        self._timer = Timer(handler.wheel, self._late, self.broke)
        self.reader = SlowClientWatch(handler, self._caught_up, self._gave_up, self.broke)

    # -- the connection

    def connectionMade(self) -> None:
        """A client connected."""
        self.transport.setTcpNoDelay(True)
        self.peer = client_of(getattr(self.transport.getPeer(), "host", ""))
        self.intake.attend(self.transport, self.peer)
        self.reader.attend(self.transport, self.peer)
        self.handler.connections.add(self, self.peer)
        self.idle_since = self._timer.arm(HEAD_S) - HEAD_S

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """The client closed, reset, or was cut."""
        self.state = LOST
        self.handler.connections.discard(self)
        self._timer.cancel()
        self.reader.lost()
        self.phase_timer.cancel()
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.client_gone()
        self.intake.lost()

    def dataReceived(self, data: bytes) -> None:
        """Take what came; serve what is whole."""
        intake = self.intake
        if self.state == CLOSING or intake.rejection is not None:
            if self.handler.wheel.now() < self._lingers_until:
                self._timer.arm(LINGER_S)
            return
        intake.take(data)
        self._watch()
        self._serve()

    def _go_on(self) -> None:
        """Read on: others had their turn."""
        self._goes_on = False
        if self.state >= CLOSING:
            return
        try:
            self.intake.go_on()
            self._watch()
            self._serve()
        except Exception:  # noqa: BLE001 - the reactor would only log it
            end_what_broke(self)

    def _watch(self) -> None:
        """Arm the deadline of the part of a request that has not come yet."""
        intake = self.intake
        arriving = intake.arriving
        begun = arriving is not None and arriving.begun
        if (self.state == SERVING or intake.waiting) and not begun:
            return
        if arriving is not None:
            self._timer.arm(arriving.left_s(self.handler.wheel.now()))
        elif intake.reader.is_in_head and not intake.head_is_timed:
            intake.head_is_timed = True
            self._timer.arm(HEAD_S)

    def broke(self) -> None:
        """End what is under way here as `internal`: a fault of ours, which is logged."""
        if self.listener is not None:
            self.listener.broke()
            return
        if self.intake.arriving is not None:
            self.intake.arriving.begun = False  # it came to no exchange
        if self.state >= CLOSING or self._said:
            self._forget(RejectedError("internal"))
            self.transport.abortConnection()
        else:
            self._reject(RejectedError("internal"))

    # -- serving

    def _serve(self) -> None:
        if self._serving:
            return
        self._serving = True
        intake = self.intake
        waiting = intake.waiting
        while waiting and self.state == READY and not self._wait_for_reader(REST_BYTES):
            self.state, self._said = SERVING, False
            self._timer.disarm()
            received = self.in_hand = waiting.next()
            try:
                self.handler.serve(self, received)
            except Exception:  # noqa: BLE001 - one request fails, the proxy goes on (X6)
                end_what_broke(self)
        self._serving = False
        if intake.rejection is not None and self.state == READY:
            self._reject(intake.rejection)
            return
        if intake.expects and self.state == READY and not waiting:
            intake.expects = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._read_on()

    def _read_on(self) -> None:
        """Read no more than can wait; look at the rest of a read when others had their turn."""
        self.intake.book()
        full, unread = self.intake.waiting.is_full, self.intake.reader.has_more
        if unread and not full and not self._goes_on:
            self._goes_on = True
            self.handler.later.append(self._go_on)
        if (full or unread) != self._paused and self.state != LOST:
            self._paused = full or unread
            (self.transport.pauseProducing if self._paused else self.transport.resumeProducing)()

    def begin(self, arriving: RequestInProgress) -> None:
        """Begin with a request whose body still arrives, if it is its turn."""
        if self.state != READY or self._wait_for_reader(0):
            return
        self.state, arriving.begun = SERVING, True
        self._said = False
        begun = False
        try:
            begun = self.handler.begin(self, arriving.head, arriving.upload)
        finally:
            if not begun and self.listener is None:
                arriving.begun = False
                if self.state == SERVING:
                    self.state = READY

    def complete(self, upload: Upload) -> None:
        """The body of the request that was begun is whole."""
        self._timer.disarm()
        listener = self.listener
        if listener is None:
            return
        try:
            listener.body_whole(upload)
        except Exception:  # noqa: BLE001 - as in _serve
            end_what_broke(self)

    def _wait_for_reader(self, most: int) -> bool:
        """Return whether more than `most` bytes are unsent; the client must read on then.

        As long as it reads something it has time: no other deadline runs.
        """
        plain = self.plain
        if plain is not None and plain.unsent_bytes <= most:
            return False
        if not self.reader.flush(most):
            return False
        self._timer.disarm()
        self.reader.watch()
        return True

    def fellBehind(self) -> None:
        """Watch the client: it did not read the whole of a response that left with the turn."""
        if self.state == READY:
            self._wait_for_reader(0)

    def watch_stall(self) -> None:
        """Lose the client unless it reads on: its side is full."""
        self.reader.watch()

    def stall_over(self) -> None:
        """Wait no longer for the client to read."""
        self.reader.over()

    def send(self, data: bytes) -> None:
        """Write a part of the response."""
        self._said = True
        self._write(data)

    def finished(self, *, close: bool) -> None:
        """Go on with the next request, or close: the response is complete."""
        self.listener = None
        if self.state >= CLOSING:
            return
        self.state = READY
        arriving = self.intake.arriving
        if arriving is not None and arriving.begun:
            self.intake.arriving = None
            self._close_unread()
            return
        if close or self.handler.stopping:
            self._end(behind=self._wait_for_reader(0))
            return
        keep_alive_s = self.handler.keep_alive_s
        self.idle_since = self._timer.arm(keep_alive_s) - keep_alive_s
        if self.plain is None or self.plain.is_refused:  # else `fellBehind` follows, if it must
            self._wait_for_reader(0)
        self._watch()
        self._serve()

    # -- the end

    @property
    def _is_tls(self) -> bool:
        return bool(ISSLTransport.providedBy(self.transport))

    def _end(self, *, behind: bool = False) -> None:
        """Close; a client that is behind has as long as it reads on, any other a moment."""
        self.state = CLOSING
        self.transport.loseConnection()
        if not behind:
            self._timer.arm(LINGER_S)

    def break_off(self, *, http10: bool) -> None:
        """End the connection so that the client cannot take the response for a whole one."""
        self.listener = None
        if self.state == LOST:
            return
        self.state = CLOSING
        if self._is_tls:
            self.transport.cut()
            self._timer.arm(STALL_S)
        elif http10:  # a close would end its response, a reset at once take its last bytes back
            self._resets_by = self.handler.wheel.now() + LINGER_S
            self._late()
        else:
            self.transport.loseConnection()
            self._timer.arm(STALL_S)

    @property
    def is_idle(self) -> bool:
        """Whether no request of its waits for a response, and nothing is to be sent."""
        intake = self.intake
        if self.state != READY or intake.waiting or intake.reader.has_more:
            return False
        return intake.arriving is None

    def close_if_idle(self) -> None:
        """Close, unless a request is being served: the proxy drains."""
        if self.state == READY and self.intake.arriving is None:
            self._end(behind=self._wait_for_reader(0))

    # -- deadlines

    def _late(self) -> None:
        arriving = self.intake.arriving
        if self.state == CLOSING:
            if self.handler.wheel.now() < self._resets_by and not self.reader.flush_all():
                self._timer.arm(LOOK_S)
            else:
                self.transport.abortConnection()
        elif arriving is not None:
            left_s = arriving.left_s(self.handler.wheel.now())
            if left_s > 0:
                self._timer.arm(left_s)
            elif arriving.begun:
                self.intake.refuse(RejectedError("body_timeout"))
            else:
                self._reject(RejectedError("body_timeout"))
        elif self.intake.reader.is_in_head:
            self._reject(RejectedError("head_timeout"))
        else:
            self._end(behind=self._wait_for_reader(0))

    def _caught_up(self) -> None:
        """Go on: the client read all that was unsent."""
        if self.listener is None:
            is_closing = self.state == CLOSING
            self._timer.arm(LINGER_S if is_closing else self.handler.keep_alive_s)
            if not is_closing:
                self._watch()
            self._serve()

    def _gave_up(self, cause: Literal["stall", "slow"]) -> None:
        """Cut the client off: it read nothing for too long, or too little."""
        if self.listener is not None:
            self.listener.client_gone(cause)
        self.transport.abortConnection()

    # -- refusals before an exchange

    def _reject(self, rejection: RejectedError) -> None:
        """Answer with an error and close: the rest of what this client sends is not read."""
        request_id = self.handler.next_request_id()
        request = self.in_hand or self.intake.arriving
        if request is not None:
            rejection.headers = request.head.cors
        self._forget(rejection, request_id)
        bodiless = self.intake.reader.is_bodiless
        self._write(whole_rejection(rejection, request_id, bodiless=bodiless))
        self._close_unread()

    def _forget(self, why: RejectedError, request_id: str | None = None) -> None:
        """Give up the request in hand, else the one whose body is on its way: one record."""
        received, self.in_hand = self.in_hand, None
        if received is not None:
            self.intake.waiting.give_up(received, why, request_id)
        else:
            self.intake.forget(why, request_id)

    def _close_unread(self) -> None:
        """Close, but read on for a while: a reset for unread input would overtake the response."""
        self.state = CLOSING
        self.intake.drop()
        self._lingers_until = self.handler.wheel.now() + LINGER_MOST_S
        if self._is_tls:
            self.transport.loseConnection()  # TLS has no half-closed connections
        else:
            self.transport.loseWriteConnection()
        self._timer.arm(LINGER_S)
