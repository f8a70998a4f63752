"""A transport keeps Twisted's promises: order, back-pressure, half-close, reset."""

import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lockgate.eventloop.transport import HIGH_WATER_BYTES, Transport
from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Protocol
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.testing import MemoryReactor
from twisted.python.failure import Failure

LARGE = b"x" * (8 << 20)


def reactors() -> list[Any]:
    if sys.platform != "linux":
        return [SelectReactor]
    from lockgate.eventloop.reactor import DirectEPollReactor

    return [DirectEPollReactor, SelectReactor]


class Seen(Protocol):
    """What a protocol is told."""

    def __init__(self) -> None:
        self.came = b""
        self.lost: Exception | None = None

    def dataReceived(self, data: bytes) -> None:
        self.came += data

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        assert self.lost is None
        self.lost = reason.value


class Source:
    """A producer that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class Pair:
    """A transport under a reactor, and the socket of its peer."""

    def __init__(self, reactor: Any) -> None:
        self.reactor, self.seen = reactor, Seen()
        listener = socket.create_server(("127.0.0.1", 0))
        self.peer = socket.create_connection(listener.getsockname())
        self.peer.settimeout(10)
        ours, address = listener.accept()
        listener.close()
        self.transport = Transport(reactor, ours, self.seen, address, IPv4Address)
        self.transport.startReading()

    def until(self, true: Callable[[], object]) -> None:
        ends = time.monotonic() + 20
        while not true():
            assert time.monotonic() < ends
            self.reactor.iterate(0.01)

    def take(self, size: int) -> bytes:
        """Read so many bytes on the peer's side while the reactor turns."""
        self.peer.setblocking(False)
        data = bytearray()
        while len(data) < size:
            self.reactor.iterate(0)
            try:
                piece = self.peer.recv(1 << 20)
            except BlockingIOError:
                continue
            if not piece:
                break
            data += piece
        self.peer.settimeout(10)
        return bytes(data)


@pytest.fixture(params=reactors(), ids=lambda made: made.__name__)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    reactor = request.param()
    wakers = set(reactor.getReaders())
    held = Pair(reactor)
    yield held
    held.peer.close()
    held.until(lambda: held.seen.lost)
    assert (set(reactor.getReaders()), reactor.getWriters()) == (wakers, [])
    assert held.transport.fileno() == -1
    for waker in wakers:
        waker.connectionLost(None)


def test_bytes_come_and_go(pair: Pair) -> None:
    pair.peer.sendall(b"up")
    pair.until(lambda: pair.seen.came)
    for piece in (b"one ", b"two ", b"three"):
        pair.transport.write(piece)
    assert pair.take(13) == b"one two three"
    assert (pair.seen.came, pair.transport.unsent_bytes) == (b"up", 0)
    assert pair.transport.sent_bytes == 13


def test_what_is_written_while_the_kernel_is_full_follows_in_order(pair: Pair) -> None:
    pair.transport.write(LARGE)
    pair.transport.write(b"tail")
    pair.reactor.iterate(0)
    pair.transport.write(b" end")
    assert pair.transport.is_refused
    assert pair.take(len(LARGE) + 8) == LARGE + b"tail end"
    pair.until(lambda: not pair.transport.unsent_bytes)


def test_a_producer_is_paused_while_the_peer_takes_nothing(pair: Pair) -> None:
    source = Source()
    pair.transport.registerProducer(source, True)
    pair.transport.write(LARGE)
    pair.reactor.iterate(0)
    pair.transport.write(b"more")
    assert set(source.told) == {"pause"}
    assert pair.transport.unsent_bytes > HIGH_WATER_BYTES
    assert pair.take(len(LARGE) + 4)[-4:] == b"more"
    pair.until(lambda: source.told[-1] == "resume")
    assert source.told.count("resume") == 1
    pair.transport.unregisterProducer()


def test_a_pull_producer_is_asked_again_when_all_is_sent(pair: Pair) -> None:
    pieces = [b"a" * 300_000, b"b", b"c" * 1_000_000]

    class Pulled(Source):
        def resumeProducing(self) -> None:
            if pieces:
                pair.transport.write(pieces.pop(0))
            else:
                pair.transport.unregisterProducer()

    expected = b"".join(pieces)
    pair.transport.registerProducer(Pulled(), False)
    assert pair.take(len(expected)) == expected
    pair.until(lambda: pair.transport.producer is None)


def test_a_half_close_follows_what_was_written_and_reading_goes_on(pair: Pair) -> None:
    pair.transport.write(LARGE)
    pair.transport.loseWriteConnection()
    assert pair.take(len(LARGE) + 1) == LARGE  # and then the end
    pair.peer.sendall(b"late")
    pair.until(lambda: pair.seen.came == b"late")
    assert pair.seen.lost is None


def test_a_close_follows_what_was_written(pair: Pair) -> None:
    pair.transport.write(LARGE)
    pair.transport.loseConnection()
    assert pair.take(len(LARGE) + 1) == LARGE
    pair.until(lambda: pair.seen.lost)
    assert isinstance(pair.seen.lost, error.ConnectionDone)


def test_a_close_waits_for_the_producer(pair: Pair) -> None:
    source = Source()
    pair.transport.registerProducer(source, True)
    pair.transport.write(LARGE)
    pair.transport.loseConnection()
    pair.take(len(LARGE))
    pair.until(lambda: source.told[-1] == "resume")
    pair.transport.write(b"last")
    pair.transport.unregisterProducer()
    assert pair.take(5) == b"last"


def test_an_abort_is_a_reset_and_nothing_more_is_sent(pair: Pair) -> None:
    pair.transport.write(b"never")
    if getattr(pair.reactor, "outbox", None) is None:
        assert pair.take(5) == b"never"  # it left at once
    pair.transport.abortConnection()
    pair.transport.write(b"neither")
    pair.until(lambda: pair.seen.lost)
    assert isinstance(pair.seen.lost, error.ConnectionAborted)
    with pytest.raises(ConnectionResetError):
        pair.peer.recv(100)


def test_a_reset_of_the_peers_is_a_lost_connection(pair: Pair) -> None:
    pair.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    pair.peer.close()
    pair.until(lambda: pair.seen.lost)
    assert isinstance(pair.seen.lost, error.ConnectionLost)


def test_a_producer_is_stopped_with_its_connection(pair: Pair) -> None:
    source = Source()
    pair.transport.registerProducer(source, True)
    pair.peer.close()
    pair.until(lambda: pair.seen.lost)
    assert source.told == ["stop"]


def test_what_waits_in_the_kernel_is_not_taken() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    peer = socket.create_connection(listener.getsockname())
    ours, address = listener.accept()
    server = Transport(MemoryReactor(), ours, Protocol(), address, IPv4Address)
    sent = 0
    while True:
        try:
            sent += ours.send(b"x" * 65536)
        except BlockingIOError:
            break
    server.sent_bytes = sent
    before = server.taken_bytes
    assert before < sent
    deadline = time.monotonic() + 10
    while server.taken_bytes == before:
        peer.recv(1 << 16)
        assert time.monotonic() < deadline
    for one in (peer, listener, ours):
        one.close()
    assert server.taken_bytes == sent
