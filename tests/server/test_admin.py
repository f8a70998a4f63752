"""The admin port: what it answers, and how little it lets anybody take."""

from collections.abc import Callable
from typing import Any

import pytest
from lockgate.server.admin import (
    CHANCE_S,
    IDLE_S,
    KEPT_S,
    LINGER_S,
    MAX_CONNECTIONS,
    MAX_HEAD_BYTES,
    MOST_CONNECTIONS,
    PACE_S,
    Admin,
)
from lockgate.server.readiness import Check
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport


class Wire(StringTransport):
    """A transport that says whether it was cut, and lets a reader be slow."""

    cut = False
    half = False

    def abortConnection(self) -> None:
        """Be cut."""
        self.cut = True

    def loseWriteConnection(self) -> None:
        """Close our side."""
        self.half = True


class Port:
    """An admin port on a clock, and its connections."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.made = 0
        self.metrics: Callable[[], Any] = self._metrics
        self.checks: list[Check] = []
        self.admin = Admin(self.clock, self.page, lambda: self.checks)

    def page(self) -> Any:
        """Make the page."""
        return self.metrics()

    def _metrics(self) -> bytes:
        self.made += 1
        return b"made %d\n" % self.made

    def connect(self) -> tuple[Any, Wire]:
        """Return a connection and its wire."""
        wire = Wire()
        found = self.admin.buildProtocol(None)
        found.makeConnection(wire)
        return found, wire

    def ask(self, request: bytes) -> str:
        """Return what one request gets on a connection of its own."""
        connection, wire = self.connect()
        connection.dataReceived(request)
        answer = wire.value().decode()
        connection.connectionLost()
        return answer


def request(path: str = "/metrics", method: str = "GET", *fields: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: x", *fields]).encode() + b"\r\n\r\n"


@pytest.fixture
def port() -> Port:
    return Port()


def test_r62_a_page_is_made_once_a_second_however_often_it_is_asked_for(port: Port) -> None:
    """prometheus/client_js#543: to make the page held up every request; so did twenty scrapers."""
    for _ in range(50):
        assert port.ask(request()).endswith("\r\n\r\nmade 1\n")
    port.clock.advance(KEPT_S)
    assert port.ask(request()).endswith("made 2\n")
    assert port.made == 2


def test_r62_a_page_that_takes_time_is_asked_for_once(port: Port) -> None:
    late: Deferred[bytes] = Deferred()
    port.metrics = lambda: late
    held = [port.connect() for _ in range(3)]
    for connection, _ in held:
        connection.dataReceived(request())
    port.metrics = list  # to be made twice would show
    late.callback(b"slow\n")
    assert [wire.value().endswith(b"slow\n") for _, wire in held] == [True] * 3


def test_r62_a_page_that_cannot_be_made_is_500_and_is_not_tried_at_every_request(
    port: Port,
) -> None:
    def broken() -> bytes:
        port.made += 1
        raise ValueError

    port.metrics = broken
    for _ in range(5):
        assert port.ask(request()).startswith("HTTP/1.1 500 ")
    assert port.made == 1


def test_r62_pipelined_requests_are_answered_one_at_a_time(port: Port) -> None:
    connection, wire = port.connect()
    connection.dataReceived(request() * 20)
    for count in range(1, 21):
        assert wire.value().count(b"200 OK") == count
        port.clock.advance(PACE_S)
    assert not wire.cut


def test_r62_who_does_not_read_gets_no_more_and_is_cut(port: Port) -> None:
    connection, wire = port.connect()
    connection.pauseProducing()  # as a transport says it whose buffer is full
    connection.dataReceived(request() * 3)
    assert wire.value() == b""
    connection.resumeProducing()
    assert wire.value().count(b"200 OK") == 1
    connection.pauseProducing()
    port.clock.advance(PACE_S)
    port.clock.advance(IDLE_S)
    assert wire.cut
    connection.connectionLost()
    assert port.clock.getDelayedCalls() == []


@pytest.mark.parametrize("sent", [b"", b"GET /metr", request()[:-2]])
def test_r62_a_connection_that_asks_for_nothing_ends(port: Port, sent: bytes) -> None:
    connection, wire = port.connect()
    for byte in sent:
        connection.dataReceived(bytes([byte]))
        port.clock.advance(0.01)
    port.clock.advance(IDLE_S)
    assert wire.cut


def test_r62_at_the_limit_the_longest_idle_one_makes_room(port: Port) -> None:
    held = [port.connect() for _ in range(MAX_CONNECTIONS)]
    held[0][0].dataReceived(b"GET ")
    held[1][0].dataReceived(request())
    port.clock.advance(PACE_S)
    port.clock.advance(CHANCE_S)
    _, wire = port.connect()
    assert not wire.cut
    assert [number for number, (_, one) in enumerate(held) if one.cut] == [2]
    assert len(port.admin.connections) == MAX_CONNECTIONS


def test_r62_with_none_idle_a_new_one_gets_in_all_the_same(port: Port) -> None:
    held = [port.connect() for _ in range(MAX_CONNECTIONS)]
    for connection, _ in held:
        connection.dataReceived(b"GET ")
    port.clock.advance(CHANCE_S)
    assert port.ask(request("/healthz")).startswith("HTTP/1.1 200 OK")
    assert [one.cut for _, one in held].count(True) == 1


def test_r62_a_connection_has_its_chance_to_ask_however_many_come(port: Port) -> None:
    held = [port.connect() for _ in range(MOST_CONNECTIONS)]
    assert port.admin.buildProtocol(None) is None
    for connection, wire in held:
        connection.dataReceived(request("/healthz"))
        assert wire.value().startswith(b"HTTP/1.1 200 OK")
    port.clock.advance(PACE_S)
    port.clock.advance(CHANCE_S)
    assert port.ask(request("/healthz")).startswith("HTTP/1.1 200 OK")
    assert [wire.cut for _, wire in held].count(True) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT"])
@pytest.mark.parametrize(
    "field", ["content-length: 5", "Transfer-Encoding: chunked", "content-length : 5"]
)
def test_r63_a_body_is_refused_before_a_byte_of_it_is_read(
    port: Port, method: str, field: str
) -> None:
    """twisted/twisted#4898: twisted.web wrote a body of any size to a temporary file."""
    connection, wire = port.connect()
    connection.dataReceived(request("/metrics", method, field) + b"x" * 5)
    status = wire.value().decode().split()[1]
    assert status in {"413", "405", "400"}
    assert (status == "413") == (method in {"GET", "HEAD"} and " :" not in field)
    assert b"connection: close\r\n" in wire.value()
    assert wire.half
    said = wire.value()
    connection.dataReceived(b"y" * 1_000_000 + request())
    assert wire.value() == said
    assert connection._held == b""
    port.clock.advance(LINGER_S)
    assert wire.cut


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("/healthz"), 200),
        (request("/readyz"), 200),
        (request("/metrics?x=1"), 200),
        (request("/readyz?verbose"), 200),
        (request("/readyz?verbos"), 200),
        (request("/metrics", "GET", "content-length: 0"), 200),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
        (request("/"), 404),
        (request("/metrics/x"), 404),
        (request("/../etc/passwd"), 404),
        (request("/metrics", "DELETE"), 405),
        (request("/metrics", "OPTIONS"), 405),
        (request("/metrics", "get"), 400),
        (request("http://x/metrics"), 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET /metrics HTTP/2.0\r\n\r\n", 400),
        (request("/metrics", "GET", "a b: c"), 400),
        (request("/metrics", "GET", " folded"), 400),
        (request("/metrics", "GET", "x: a\x00b"), 400),
        (request("/metrics", "GET", "x: " + "y" * MAX_HEAD_BYTES), 431),
        (b"y" * (MAX_HEAD_BYTES + 1), 431),
    ],
)
def test_r63_what_is_answered_to_what(port: Port, sent: bytes, status: int) -> None:
    assert port.ask(sent).startswith(f"HTTP/1.1 {status} ")


def test_r63_head_is_get_without_the_page(port: Port) -> None:
    got, bare = port.ask(request()), port.ask(request("/metrics", "HEAD"))
    assert got.removesuffix("made 1\n") == bare
    assert "content-length: 7\r\n" in bare


def test_r63_close_and_http_1_0_end_the_connection(port: Port) -> None:
    for sent in (request("/healthz", "GET", "connection: close"), b"GET /healthz HTTP/1.0\r\n\r\n"):
        connection, wire = port.connect()
        connection.dataReceived(sent)
        assert b"connection: close" in wire.value()
        assert wire.disconnecting
        connection.connectionLost()


def test_readiness_names_its_reasons(port: Port) -> None:
    port.checks = [Check("accepting", "draining"), Check("audit", "audit not writable")]
    answer = port.ask(request("/readyz"))
    assert answer.startswith("HTTP/1.1 503 ")
    assert answer.endswith("draining\naudit not writable\n")


def test_verbose_readiness_has_a_line_for_each_check_and_an_alarm_leaves_it_ready(
    port: Port,
) -> None:
    port.checks = [Check("audit"), Check("Secrets of cloud", "not mounted", is_alarm=True)]
    for query in ("verbose", "verbose=1"):
        answer = port.ask(request(f"/readyz?{query}"))
        assert answer.startswith("HTTP/1.1 200 ")
        assert answer.endswith("[+] audit\n[!] Secrets of cloud: not mounted\nready\n")
    assert port.ask(request("/readyz")).endswith("\r\n\r\nready\n")
