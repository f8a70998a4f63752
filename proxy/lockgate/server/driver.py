"""Runs one exchange: hands it events from both sides and carries out its commands."""

from collections.abc import Callable
from typing import Any, Final, Literal

from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import classImplements

from lockgate.bodies.upload import Upload
from lockgate.connections.body_producer import BodyProducer
from lockgate.connections.downstream import Downstream, DownstreamListener, LostBy
from lockgate.connections.pool import ConnectionPool
from lockgate.connections.timer_wheel import Timer, TimerWheel
from lockgate.connections.upstream import Upstream
from lockgate.errors.codes import Code
from lockgate.errors.kinds import RejectedError
from lockgate.exchange import commands as do
from lockgate.exchange import events as on
from lockgate.exchange.machine import Exchange
from lockgate.exchange.state import State
from lockgate.server.upstreams import Upstreams

_log = Logger("lockgate.exchange")


class ExchangeDriver(DownstreamListener):
    """Drives one exchange between `connection` and whichever upstream serves it.

    `on_end` is called once, with the driver, when the exchange is over and is to be recorded.

    The driver is also the producer of the client's transport after the commit point: a client that
    does not read pauses its upstream, and while it is paused the idle deadline does not run.
    """

    __slots__ = (
        "_armed_s",
        "_beat",
        "_cancel_dial",
        "_data_due",
        "_events",
        "_idle_s",
        "_on_end",
        "_phase",
        "_phase_name",
        "_phase_s",
        "_pool",
        "_producer",
        "_producing",
        "_running",
        "_silence_s",
        "_total",
        "_upstream",
        "_upstreams",
        "_watching",
        "_wheel",
        "connection",
        "exchange",
    )

    def __init__(
        self,
        wheel: TimerWheel,
        upstreams: Upstreams,
        connection: Downstream,
        exchange: Exchange,
        on_end: "Callable[[ExchangeDriver], None]",
    ) -> None:
        self._wheel = wheel
        self._upstreams = upstreams
        self.connection = connection
        self.exchange = exchange
        self._on_end: Callable[[ExchangeDriver], None] | None = on_end
        self._upstream: Upstream | None = None
        self._cancel_dial: Callable[[], None] | None = None
        self._pool: ConnectionPool | None = None
        self._producer: BodyProducer | None = None
        self._events: list[on.Event] = []  # rarely more than one
        self._running = False
        self._producing = False
        self._phase: Timer = connection.phase_timer
        self._phase_name: on.DeadlineName | Literal["pause"] = "connect"
        self._total: Timer | None = None
        self._beat: Timer | None = None
        self._phase_s = 0.0
        self._watching = False  # a stream's two clocks run, of which the phase is the next
        self._silence_s = self._idle_s = self._data_due = 0.0
        self._armed_s: float | None = None  # set by commands, armed once when they are all done

    def feed(self, event: on.Event) -> None:
        """Give the exchange one event and do what it says."""
        self.feed_all([event])

    def feed_all(self, events: list[on.Event]) -> None:
        """Give the exchange events in order; events met while doing what it says wait."""
        for event in events:
            self._events.append(event)
        if self._running:
            return
        self._running = True
        exchange, waiting = self.exchange, self._events
        try:
            while waiting and exchange.state is not State.DONE:
                event = waiting.pop(0)
                try:
                    for command in exchange.handle(event):
                        if isinstance(command, do.SendDown):  # the two there are most of
                            self.connection.send(command.data)
                        elif isinstance(command, do.Touch):
                            self._touch(command)
                        else:
                            _EXECUTE[type(command)](self, command)
                except Exception:  # noqa: BLE001 - one request fails, the proxy goes on (X6)
                    _log.failure("exchange failed on {event}", event=type(event).__name__)
                    self._fail(event)
        finally:
            self._running = False
        if exchange.state is State.DONE:
            self._events = []
        elif self._armed_s is not None:
            self._phase.arm(self._armed_s)
            self._armed_s = None

    def _fail(self, event: on.Event) -> None:
        """A fault of ours: this request ends as `internal`, all others go on."""
        if isinstance(event, on.Interrupted) or self.exchange.state is State.DONE:
            self._give_up()
        else:
            self._events.insert(0, on.Interrupted("internal"))

    def _give_up(self) -> None:
        """Give everything back and cut the client off: not even an error could be sent."""
        for step in (self._drop_all, self.exchange.abandon, self._record):
            try:
                step()
            except Exception:  # noqa: BLE001 - what is left is given back all the same
                _log.failure("a failed exchange could not be ended")
        self.connection.listener = None
        self.connection.transport.send_now()  # what was said is out, whatever came after it
        self.connection.transport.abortConnection()

    def _drop_all(self) -> None:
        self._drop(do.DROP)

    def _record(self) -> None:
        if self._on_end is not None:  # what was to be done did not come to its record
            self._ended(do.ENDED)

    # -- what the two sides report

    def body_more(self) -> None:
        """More of the request's body came."""
        self.feed(on.MORE)

    def body_whole(self, upload: Upload) -> None:
        """All of it came: hold it to what every body is held to."""
        try:
            scanned = upload.scan()
        except RejectedError as rejection:
            self.body_rejected(rejection)
            return
        if scanned.model == self.exchange.request.scan.model:
            self.feed(on.BodyWhole(scanned))
        else:  # two readings: believe neither
            self.body_rejected(RejectedError("duplicate_key", param="model"))

    def body_rejected(self, rejection: RejectedError) -> None:
        """It is refused."""
        self.feed(on.BodyRejected(rejection))

    def broke(self) -> None:
        """A callback raised, which is logged: a fault of ours."""
        if self.exchange.state is not State.DONE:
            self.feed(on.Interrupted("internal"))

    def client_gone(self, cause: LostBy = "") -> None:
        """The client is lost."""
        self.feed(on.ClientGone(cause))

    def phase_reached(self) -> None:
        """The phase timer came up."""
        name = self._phase_name
        self.feed(on.PauseOver() if name == "pause" else on.DeadlinePassed(name))

    def _total_reached(self) -> None:
        self.feed(on.DeadlinePassed("total"))

    def _beat_reached(self) -> None:
        self.feed(on.DeadlinePassed("heartbeat"))

    def _connected(self, upstream: Upstream, reused: bool) -> None:  # noqa: FBT001 - a callback
        self._cancel_dial = None
        if self.exchange.state is State.DONE:
            upstream.abort()
            return
        self._upstream = upstream
        self.feed(on.CONNECTED[reused])

    def _dial_failed(self, code: Code) -> None:
        self._cancel_dial = None
        self.feed(on.UpstreamFailed(code))

    # -- IPushProducer, for the client's transport

    def pauseProducing(self) -> None:
        """The client's side is full."""
        if self._upstream is not None:
            self._upstream.transport.pauseProducing()
            self._phase.disarm()
            self._armed_s = None
            self.connection.watch_stall()

    def resumeProducing(self) -> None:
        """The client's side is empty again."""
        self.connection.stall_over()
        if self._upstream is not None:
            self._restart_clocks()
            self._phase.arm(self._phase_s)
            self._upstream.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The client's transport is closing; `client_gone` follows."""

    # -- commands

    def _dial(self, command: do.Dial) -> None:
        pool = self._pool = self._upstreams.pools[command.backend.name]
        kept = pool.kept()
        if kept is not None:
            try:
                self._connected(kept, True)
            except Exception:
                kept.abort()
                raise
            return
        cancel = pool.dial(self._connected, self._dial_failed, self.broke)
        if self._upstream is None and not self._events:
            self._cancel_dial = cancel

    def _send_up(self, command: do.SendUp) -> None:
        upstream = self._upstream
        assert upstream is not None
        request = self.exchange.request
        head = self._upstreams.request_head(command.backend, command.length, request)
        upstream.send(b"".join([head, *command.pieces()]), self.feed_all)
        self._hold_back(upstream)

    def _begin_upload(self, command: do.BeginUpload) -> None:
        upstream = self._upstream
        assert upstream is not None
        length = command.outgoing.length
        head = self._upstreams.request_head(command.backend, length, self.exchange.request)
        upstream.send(head, self.feed_all)
        self._producer = BodyProducer(upstream, command.outgoing)
        self._producer.start()
        self._hold_back(upstream)

    def _hold_back(self, upstream: Upstream) -> None:
        """Read nothing from a new upstream while the client is still behind."""
        if self._producing and self.connection.transport.producerPaused:
            upstream.transport.pauseProducing()

    def _go_on_uploading(self, _: do.GoOnUploading) -> None:
        if self._producer is not None:
            self._producer.go_on()

    def _arm(self, command: do.Arm) -> None:
        if command.name == "total":
            if self._total is None:
                self._total = Timer(self._wheel, self._total_reached, self.broke)
            self._total.arm(command.seconds)
        elif command.name == "heartbeat":
            if self._beat is None:
                self._beat = Timer(self._wheel, self._beat_reached, self.broke)
            self._beat.arm(command.seconds)
        else:
            self._watching = False
            self._phase_name = command.name
            self._phase_s = self._armed_s = command.seconds

    def _disarm(self, _: do.Disarm) -> None:
        self._phase.disarm()
        self._armed_s = None

    def _watch(self, command: do.Watch) -> None:
        self._watching = True
        self._silence_s, self._idle_s = command.silence_s, command.idle_s
        self._restart_clocks()
        self._armed_s = self._phase_s

    def _restart_clocks(self) -> None:
        """Data came, or the client reads on: both clocks of a stream start anew."""
        if self._watching:
            self._data_due = self._wheel.now() + self._idle_s
            self._set_phase(self._idle_s)

    def _set_phase(self, left_s: float) -> None:
        """Let the phase be the clock that comes up first; `left_s` is what data still has."""
        quiet = self._silence_s <= left_s
        self._phase_name = "silence" if quiet else "idle"
        self._phase_s = self._silence_s if quiet else left_s

    def _touch(self, _: do.Touch) -> None:
        self._restart_clocks()
        if self._phase.at is not None:
            self._armed_s = self._phase_s

    def _stir(self, _: do.Stir) -> None:
        if self._watching and self._phase.at is not None:
            self._set_phase(max(self._data_due - self._wheel.now(), 0.0))
            self._armed_s = self._phase_s

    def _pause(self, command: do.Pause) -> None:
        self._watching = False
        self._phase_name = "pause"
        self._armed_s = command.seconds

    def _relay(self, _: do.Relay) -> None:
        self._producing = True
        self.connection.transport.registerProducer(self, True)

    def _release(self, _: do.ReleaseUpstream) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None and self._pool is not None:
            if self._producing and self.connection.transport.producerPaused:
                upstream.transport.resumeProducing()  # its last words had paused it
            self._pool.release(upstream)  # which a reload may have replaced

    def _drop(self, _: do.DropUpstream) -> None:
        while self._events and isinstance(self._events[0], _OF_UPSTREAM):
            del self._events[0]  # what else the dropped upstream said in the same read
        cancel, self._cancel_dial = self._cancel_dial, None
        if cancel is not None:
            cancel()
        upstream, self._upstream = self._upstream, None
        self._producer = None
        if upstream is not None:
            upstream.abort()

    def _finish(self, command: do.Finish) -> None:
        self.connection.finished(close=command.close)

    def _break(self, _: do.Break) -> None:
        self.connection.break_off(http10=not self.exchange.request.chunks)

    def _ended(self, _: do.Ended) -> None:
        self._stop()
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(self)

    def _stop(self) -> None:
        self._phase.disarm()
        if self._total is not None:
            self._total.cancel()
        if self._beat is not None:
            self._beat.cancel()
        self._total = self._beat = None  # each refers to its driver
        if self._producing:
            self._producing = False
            self.connection.stall_over()
            if not self.connection.is_lost:
                self.connection.transport.unregisterProducer()


classImplements(ExchangeDriver, IPushProducer)

_OF_UPSTREAM: Final = (
    on.ResponseWhole,
    on.ResponseStarted,
    on.ResponseData,
    on.ResponseEnded,
    on.UpstreamFailed,
)
_EXECUTE: Final[dict[type, Callable[[ExchangeDriver, Any], None]]] = {
    do.Dial: ExchangeDriver._dial,
    do.SendUp: ExchangeDriver._send_up,
    do.BeginUpload: ExchangeDriver._begin_upload,
    do.GoOnUploading: ExchangeDriver._go_on_uploading,
    do.Arm: ExchangeDriver._arm,
    do.Disarm: ExchangeDriver._disarm,
    do.Watch: ExchangeDriver._watch,
    do.Stir: ExchangeDriver._stir,
    do.Pause: ExchangeDriver._pause,
    do.Relay: ExchangeDriver._relay,
    do.ReleaseUpstream: ExchangeDriver._release,
    do.DropUpstream: ExchangeDriver._drop,
    do.Finish: ExchangeDriver._finish,
    do.Break: ExchangeDriver._break,
    do.Ended: ExchangeDriver._ended,
}
