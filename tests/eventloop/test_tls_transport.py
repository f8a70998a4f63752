"""The TLS transport under an event loop of its own, against Python's ssl module."""

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from lockgate.connections.credentials import TlsFiles
from lockgate.connections.failures import connect_failure_code
from lockgate.connections.tls import StrictClient, upstream_tls
from lockgate.eventloop.tls_transport import TlsTransport
from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.selectreactor import SelectReactor
from twisted.python.failure import Failure

REQUEST = b"POST / HTTP/1.1\r\n\r\n"
Serve = Callable[[socket.socket], None]


def reactors() -> list[Callable[[], Any]]:
    """Return the one with an outbox, where there is epoll, and one without."""
    if sys.platform != "linux":
        return [SelectReactor]
    from lockgate.eventloop.reactor import DirectEPollReactor

    return [DirectEPollReactor, SelectReactor]


class Seen:
    """What an upstream is told; it stands in for one."""

    def __init__(self) -> None:
        self.data = b""
        self.lost: Exception | None = None
        self.opened = 0
        self.on_open: Callable[[], None] = lambda: None
        self.on_data: Callable[[], None] = lambda: None

    def dataReceived(self, data: bytes) -> None:
        assert self.lost is None
        self.data = self.data + data if self.data else data
        self.on_data()

    def connectionLost(self, reason: Failure) -> None:
        assert self.lost is None
        self.lost = reason.value

    def ready(self) -> None:
        assert self.lost is None
        self.opened += 1
        self.on_open()


class Wire:
    """A reactor, an authority, and a server that is one function."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        authority = trustme.CA()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.leaf = authority.issue_cert("localhost")
        self.leaf.configure_cert(self.context)
        self.client: StrictClient = upstream_tls(
            "localhost", TlsFiles(authorities=authority.cert_pem.bytes())
        )
        self.seen = Seen()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
        self.port: int = self.listener.getsockname()[1]
        self.problems: list[BaseException] = []
        self.serving: threading.Thread | None = None

    def serve(self, serve: Serve) -> None:
        def run() -> None:
            try:
                raw, _ = self.listener.accept()
                raw.settimeout(20)
                with raw:
                    serve(raw)
            except Exception as problem:  # noqa: BLE001 - told to the test
                self.problems.append(problem)

        self.serving = threading.Thread(target=run, daemon=True)
        self.serving.start()

    def serve_tls(self, serve: Callable[[ssl.SSLSocket], None]) -> None:
        self.serve(lambda raw: serve(self.context.wrap_socket(raw, server_side=True)))

    def dial(self) -> TlsTransport:
        connection, checked_at = self.client.connection(0.0)
        made = TlsTransport(self.reactor, self.seen, connection, checked_at, self.seen.ready)
        made.connect("127.0.0.1", self.port)
        return made

    def until(self, true: Callable[[], object]) -> None:
        """Run the reactor until something holds; a server that failed is a failure."""
        ends = time.monotonic() + 20
        while not true():
            assert not self.problems, self.problems
            assert time.monotonic() < ends, vars(self.seen)
            self.reactor.iterate(0.01)

    def over(self) -> None:
        """The server's function has returned."""
        assert self.serving is not None
        serving = self.serving
        self.until(lambda: not serving.is_alive())
        assert not self.problems, self.problems


@pytest.fixture(params=reactors(), ids=lambda made: made.__name__)
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    reactor = request.param()
    waker = set(reactor.getReaders())
    held = Wire(reactor)
    yield held
    reactor.iterate(0)
    assert set(reactor.getReaders()) == waker
    assert reactor.getWriters() == []
    assert not reactor.getDelayedCalls()
    held.listener.close()
    for one in waker:
        one.connectionLost(None)


def still(wire: Wire, value: Callable[[], int]) -> bool:
    """Whether a value stays the same over some turns."""
    before = value()
    for _ in range(20):
        wire.reactor.iterate(0.01)
    return value() == before


def is_reset(raw: socket.socket) -> bool:
    """Whether a connection ends with a reset."""
    try:
        while raw.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return False


def take(secure: ssl.SSLSocket, count: int) -> bytes:
    taken = bytearray()
    while len(taken) < count:
        piece = secure.recv(65536)
        assert piece
        taken += piece
    return bytes(taken)


# -- a good life


def test_a_request_goes_up_and_its_answer_comes_whole(wire: Wire) -> None:
    answer = bytes(range(256)) * 2000  # of many records

    def serve(secure: ssl.SSLSocket) -> None:
        assert take(secure, len(REQUEST)) == REQUEST
        secure.sendall(answer)
        secure.unwrap()

    wire.serve_tls(serve)
    transport = wire.dial()
    wire.seen.on_open = lambda: transport.write(REQUEST)
    wire.until(lambda: wire.seen.lost)
    assert isinstance(wire.seen.lost, error.ConnectionDone)
    assert (wire.seen.opened, wire.seen.data == answer) == (1, True)
    assert (transport.sent_bytes > len(REQUEST), transport.unsent_bytes) == (True, 0)
    wire.over()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_the_peer_says_may_come_byte_by_byte(wire: Wire, newest: ssl.TLSVersion) -> None:
    wire.context.maximum_version = newest

    def serve(raw: socket.socket) -> None:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = wire.context.wrap_bio(into, out, server_side=True)
        while True:
            try:
                came = secure.read(65536)
            except ssl.SSLWantReadError:
                came = b""
            if came == REQUEST:
                secure.write(b"answer")
            for byte in out.read():
                raw.sendall(bytes([byte]))
            if came == REQUEST:
                return
            into.write(raw.recv(65536))

    wire.serve(serve)
    transport = wire.dial()
    wire.seen.on_open = lambda: transport.write(REQUEST)
    wire.until(lambda: wire.seen.lost)
    assert wire.seen.data == b"answer"


def test_the_end_of_the_handshake_and_the_request_are_one_write(wire: Wire) -> None:
    reads: list[bytes] = []

    def serve(raw: socket.socket) -> None:
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = wire.context.wrap_bio(into, out, server_side=True)
        while True:
            reads.append(raw.recv(65536))
            into.write(reads[-1])
            try:
                if secure.read(65536) == REQUEST:
                    return
            except ssl.SSLWantReadError:
                raw.sendall(out.read())

    wire.serve(serve)
    transport = wire.dial()
    wire.seen.on_open = lambda: transport.write(REQUEST)
    wire.over()
    wire.until(lambda: wire.seen.lost)
    outbox = hasattr(wire.reactor, "outbox")
    assert len(reads) == 2 if outbox else len(reads) <= 3  # a hello, and all the rest


def test_a_pull_producer_is_asked_as_the_peer_takes_it(wire: Wire) -> None:
    whole = bytes(range(251)) * 40_000  # 10 MB
    go = threading.Event()
    held: list[int] = []

    def serve(secure: ssl.SSLSocket) -> None:
        go.wait(20)
        assert take(secure, len(whole)) == whole
        secure.sendall(b"done")

    class Producer:
        at = 0

        def resumeProducing(self) -> None:
            piece = whole[self.at : self.at + 256 * 1024]
            self.at += len(piece)
            transport.write(piece)
            held.append(transport.unsent_bytes)
            if self.at >= len(whole):
                transport.unregisterProducer()

        def stopProducing(self) -> None:
            raise AssertionError

    wire.serve_tls(serve)
    transport = wire.dial()
    producer = Producer()
    wire.seen.on_open = lambda: transport.registerProducer(producer, False)
    wire.until(lambda: producer.at and still(wire, lambda: producer.at))
    assert producer.at < len(whole)  # the kernel is full, and so nothing more is made
    go.set()
    wire.until(lambda: wire.seen.data == b"done")
    assert max(held) <= 300 * 1024
    assert (transport.unsent_bytes, transport.producer) == (0, None)
    assert transport.sent_bytes > len(whole)
    transport.abortConnection()


def test_what_is_written_while_the_kernel_is_full_goes_later(wire: Wire) -> None:
    go, count = threading.Event(), [0]

    def serve(secure: ssl.SSLSocket) -> None:
        go.wait(20)
        assert take(secure, count[0]) == b"x" * (count[0] - 3) + b"end"
        secure.sendall(b"done")

    def write(data: bytes) -> None:
        count[0] += len(data)
        transport.write(data)
        wire.reactor.iterate(0)

    wire.serve_tls(serve)
    transport = wire.dial()
    wire.until(lambda: wire.seen.opened)
    while not transport.unsent_bytes:
        write(b"x" * 40_000)
    write(b"end")
    go.set()
    wire.until(lambda: wire.seen.data == b"done")
    assert transport.unsent_bytes == 0
    transport.abortConnection()


def test_a_paused_connection_is_not_read(wire: Wire) -> None:
    sent = threading.Event()
    whole = b"x" * 4_000_000

    def serve(secure: ssl.SSLSocket) -> None:
        take(secure, len(REQUEST))
        secure.sendall(b"1")
        assert take(secure, 1) == b"2"
        sent.set()
        secure.sendall(whole)
        take(secure, 1)

    wire.serve_tls(serve)
    transport = wire.dial()
    wire.seen.on_open = lambda: transport.write(REQUEST)
    wire.until(lambda: wire.seen.data == b"1")
    transport.pauseProducing()
    transport.write(b"2")  # may still write
    wire.until(sent.is_set)
    for _ in range(10):
        wire.reactor.iterate(0.01)
    assert wire.seen.data == b"1"
    transport.resumeProducing()
    wire.until(lambda: len(wire.seen.data) == 1 + len(whole))
    transport.write(b"3")
    wire.over()
    wire.until(lambda: wire.seen.lost)


# -- ends


def end_of(wire: Wire, *, request: bool = True) -> Exception | None:
    """Dial and return why the connection was lost."""
    transport = wire.dial()
    if request:
        wire.seen.on_open = lambda: transport.write(REQUEST)
    wire.until(lambda: wire.seen.lost)
    transport.write(b"too late")
    transport.abortConnection()
    transport.pauseProducing()
    transport.resumeProducing()
    wire.reactor.iterate(0)
    assert transport.fileno() == -1
    return wire.seen.lost


def test_t9_a_fin_without_close_notify_is_a_loss(wire: Wire) -> None:
    def serve(secure: ssl.SSLSocket) -> None:
        take(secure, len(REQUEST))
        secure.sendall(b"part")
        secure.shutdown(socket.SHUT_RDWR)

    wire.serve_tls(serve)
    assert isinstance(end_of(wire), error.ConnectionLost)
    assert wire.seen.data == b"part"


def test_t9_bytes_that_are_not_tls_are_a_loss(wire: Wire) -> None:
    def serve(raw: socket.socket) -> None:
        copy = raw.dup()
        with wire.context.wrap_socket(raw, server_side=True) as secure:
            take(secure, len(REQUEST))
            copy.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            copy.close()

    wire.serve(serve)
    lost = end_of(wire)
    assert lost is not None
    assert not isinstance(lost, error.ConnectionDone)
    assert wire.seen.data == b""


@pytest.mark.parametrize(
    "serve",
    [
        lambda raw: raw.recv(65536),
        lambda raw: (raw.recv(65536), raw.sendall(b"HTTP/1.1 200 OK\r\n\r\n")),
        lambda raw: (raw.recv(65536), raw.sendall(b"\x15\3\3\0\2\2\x28")),
    ],
    ids=["silent end", "plain http", "alert"],
)
def test_t8_a_handshake_that_ends_is_no_connection(wire: Wire, serve: Serve) -> None:
    wire.serve(serve)
    lost = end_of(wire)
    assert (wire.seen.opened, wire.seen.data) == (0, b"")
    # a clean end before the handshake's is a failed handshake to the dialler
    assert isinstance(lost, error.ConnectionDone | SSL.Error)


def test_t8_a_reset_in_the_handshake_is_no_connection(wire: Wire) -> None:
    wire.serve(lambda raw: raw.recv(1))  # the rest of the hello is unread: the kernel resets
    assert connect_failure_code(Failure(end_of(wire))) == "upstream_connect"
    assert wire.seen.opened == 0


def test_a_refused_connection_is_reported_in_a_later_turn(wire: Wire) -> None:
    wire.listener.close()
    wire.dial()
    assert wire.seen.lost is None
    wire.until(lambda: wire.seen.lost)
    assert isinstance(wire.seen.lost, error.ConnectionRefusedError)


def test_p_no_descriptor_left_is_the_proxys_own_fault(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr("lockgate.eventloop.tls_transport.socket.socket", none_left)
        wire.dial()
    assert wire.seen.lost is None
    wire.until(lambda: wire.seen.lost)
    assert wire.seen.lost is not None
    assert connect_failure_code(Failure(wire.seen.lost)) == "proxy_capacity"


@pytest.mark.parametrize("when", ["at once", "in the handshake", "open", "in its data"])
def test_an_abort_is_a_reset_at_any_time(wire: Wire, when: str) -> None:
    def serve(raw: socket.socket) -> None:
        copy = raw.dup()  # Python's ssl takes a reset for an end
        copy.settimeout(20)
        if when == "in the handshake":
            assert raw.recv(65536)
            transport_may_go.set()
        else:
            secure = wire.context.wrap_socket(raw, server_side=True)
            take(secure, len(REQUEST))
            secure.sendall(b"some")
        with copy:
            assert is_reset(copy)

    transport_may_go = threading.Event()
    wire.serve(serve)
    transport = wire.dial()
    if when == "at once":
        transport.abortConnection()
        assert isinstance(wire.seen.lost, error.ConnectionAborted)
        wire.serving = None
        socket.create_connection(wire.listener.getsockname()).close()  # lets the server go
        return
    wire.seen.on_open = lambda: transport.write(REQUEST)
    if when == "in its data":
        wire.seen.on_data = transport.abortConnection
        wire.until(lambda: wire.seen.lost)
    else:
        wire.until(
            transport_may_go.is_set if when == "in the handshake" else lambda: wire.seen.data
        )
        transport.abortConnection()
    assert isinstance(wire.seen.lost, error.ConnectionAborted)
    wire.over()
    assert wire.seen.data == (b"" if when == "in the handshake" else b"some")


def test_a_producer_is_stopped_with_its_connection(wire: Wire) -> None:
    stopped: list[bool] = []

    class Producer:
        def resumeProducing(self) -> None:
            transport.write(b"x" * 1_000_000)

        def stopProducing(self) -> None:
            stopped.append(True)

    wire.serve_tls(lambda secure: take(secure, 5_000_000) and None)
    transport = wire.dial()
    wire.seen.on_open = lambda: transport.registerProducer(Producer(), False)
    wire.until(lambda: wire.seen.lost)
    assert stopped == [True]
    transport.registerProducer(Producer(), False)
    assert stopped == [True, True]


# -- what TLS itself says in between


@pytest.fixture
def s_server(wire: Wire, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start openssl's server, whose first input line may be a command: K, R."""
    started: list[subprocess.Popen[bytes]] = []

    def start(version: str) -> subprocess.Popen[bytes]:
        wire.leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / "leaf.pem")
        wire.listener.close()
        run = ["openssl", "s_server", "-accept", str(wire.port), "-cert", "leaf.pem", version]
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(run, cwd=tmp_path, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT)
        )
        said = started[-1].stdout
        assert said
        while b"ACCEPT" not in said.readline():
            pass
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait()


def tell(server: subprocess.Popen[bytes], line: bytes) -> None:
    assert server.stdin
    server.stdin.write(line + b"\n")
    server.stdin.flush()


def hears(server: subprocess.Popen[bytes], text: bytes) -> bool:
    """Whether the server says something before its output ends."""
    assert server.stdout
    return any(text in line for line in server.stdout)


def test_keys_are_changed_when_the_peer_asks_for_it(wire: Wire, s_server: Any) -> None:
    server = s_server("-tls1_3")
    said: list[bytes] = []
    threading.Thread(target=said.extend, args=(server.stdout,), daemon=True).start()
    transport = wire.dial()
    came: list[bytes] = []
    take_in = transport.connection.bio_write
    watched: Any = transport.connection
    watched.bio_write = lambda data: came.append(data) or take_in(data)
    wire.seen.on_open = lambda: transport.write(b"one\n")
    wire.until(lambda: wire.seen.opened)
    still(wire, lambda: len(came))  # the tickets are in
    for word in (b"two\n", b"three\n"):
        before, sent = len(came), transport.sent_bytes
        tell(server, b"K")  # a KeyUpdate that asks for one
        wire.until(lambda: len(came) > before)  # noqa: B023 - called here
        tell(server, word.strip())
        wire.until(lambda: wire.seen.data.endswith(word))  # noqa: B023 - called here
        transport.write(word)
        wire.until(lambda: transport.sent_bytes > sent)  # noqa: B023 - called here
        wire.until(lambda: word in said)  # noqa: B023 - called here
    tell(server, b"Q")
    wire.until(lambda: wire.seen.lost)
    assert b"one\n" in said


def test_t12_a_peer_cannot_renegotiate(wire: Wire, s_server: Any) -> None:
    server = s_server("-tls1_2")
    transport = wire.dial()
    wire.seen.on_open = lambda: transport.write(b"one\n")
    wire.until(lambda: wire.seen.opened)
    tell(server, b"R")
    wire.until(lambda: wire.seen.lost)
    assert hears(server, b"no renegotiation")
