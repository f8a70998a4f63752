"""A caller's bytes become requests, or a refusal: to one verdict however they are cut."""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from lockgate.connections.client import ClientConnection
from lockgate.connections.downstream import Downstream
from lockgate.connections.inbound import InboundRequest
from lockgate.connections.limiter import ConnectionLimiter, client_of
from lockgate.connections.requests import RequestHandler
from lockgate.connections.timer_wheel import TimerWheel
from lockgate.eventloop.later import Later
from lockgate.exchange.memory import MemoryBudget
from lockgate.exchange.render import whole
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from tests.http1 import corpus
from tests.http1.corpus import BAD, GOOD, JSON, every_way

Verdict = tuple[int, list[bytes]]
"""The first status that was answered, and the bodies of the requests that were served."""


class Transport(StringTransport):
    unsent_bytes = 0
    aborting = False

    def abortConnection(self) -> None:
        self.aborting = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def loseWriteConnection(self) -> None:
        self.disconnecting = True


class RequestRouter(RequestHandler):
    """Serves every request at once with an empty object."""

    def __init__(self) -> None:
        self.clock = Clock()
        super().__init__(
            TimerWheel(self.clock),
            Later(self.clock),
            MemoryBudget(64 << 20),
            ConnectionLimiter(10),
            lambda: "req-1",
        )
        self.heads.read(corpus.PLAIN_HEAD)  # what is remembered changes no verdict
        self.keep_alive_s = 75.0
        self.min_read_rate = 1024
        self.served: list[bytes] = []
        self.unserved = 0

    def serve(self, connection: Downstream, received: InboundRequest) -> None:
        self.served.append(received.body)
        connection.in_hand = None
        self.memory.release(len(received.body), connection.peer)
        connection.send(whole(200, b"", b"{}", close=False))
        connection.finished(close=False)

    def begin(self, *_: Any) -> bool:
        return False

    def record_unserved(self, *_: Any, **__: Any) -> None:
        self.unserved += 1


def verdict(pieces: Iterator[bytes]) -> Verdict:
    router = RequestRouter()
    connection = ClientConnection(router)
    transport = Transport()
    connection.makeConnection(transport)
    for piece in pieces:
        if not transport.disconnecting:
            connection.dataReceived(piece)
    if not transport.disconnecting:
        connection.connectionLost()
    assert router.memory.held_bytes == 0
    answer = transport.value()
    return (int(answer.split(b" ")[1]) if answer else 0), router.served


@pytest.mark.parametrize("case", BAD)
def test_what_is_ambiguous_is_refused_however_it_comes(case: str) -> None:
    raw, status = BAD[case]
    for way, pieces in every_way(raw):
        assert verdict(pieces) == (status, []), way


@pytest.mark.parametrize("case", GOOD)
def test_what_is_plain_is_served_however_it_comes(case: str) -> None:
    for way, pieces in every_way(GOOD[case]):
        assert verdict(pieces) == (200, [JSON]), way


class Slow(Transport):
    """A caller's side that has taken nothing yet."""

    unsent_bytes = 100_000
    taken_bytes = 0
    aborted = False

    def send_now(self) -> None:
        pass

    def abortConnection(self) -> None:
        self.aborted = True


def slow_client(*requests: bytes) -> tuple[RequestRouter, ClientConnection, Slow]:
    router, transport = RequestRouter(), Slow()
    connection = ClientConnection(router)
    transport.unsent_bytes = 0
    connection.makeConnection(transport)
    transport.unsent_bytes = 100_000
    connection.dataReceived(b"".join(requests))
    return router, connection, transport


def passes(router: RequestRouter, seconds: float) -> None:
    for _ in range(int(seconds * 20)):
        router.clock.advance(0.05)


GET = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"


def test_nothing_more_is_made_for_a_caller_that_has_yet_to_take_what_was_made() -> None:
    router, connection, transport = slow_client(GET * 3)
    assert router.served == []
    heads = connection.intake.waiting.head_bytes
    assert heads > 0
    assert router.memory.held_bytes == 100_000 + heads
    passes(router, 20)
    transport.unsent_bytes, transport.taken_bytes = 0, 100_000
    passes(router, 1.1)
    assert len(router.served) == 3
    assert router.memory.held_bytes == 0
    connection.connectionLost()


def test_a_caller_that_takes_nothing_is_cut_and_one_that_takes_a_little_is_not() -> None:
    router, connection, transport = slow_client(GET)
    for _ in range(10):
        transport.taken_bytes += 40_000
        passes(router, 25)
    assert not transport.aborted
    passes(router, 32)
    assert transport.aborted
    connection.connectionLost()
    assert router.memory.held_bytes == 0


@pytest.mark.parametrize(("rate", "cut"), [(1024, True), (0, False)])
def test_a_caller_that_takes_next_to_nothing_is_cut_after_a_minute(rate: int, cut: bool) -> None:
    router, connection, transport = slow_client(GET)
    router.min_read_rate = rate
    for _ in range(11):
        transport.taken_bytes += 5_000
        passes(router, 5)
    assert not transport.aborted
    passes(router, 7)
    assert transport.aborted is cut
    connection.connectionLost()


def test_only_the_time_counts_in_which_bytes_wait_for_a_caller() -> None:
    router, connection, transport = slow_client(GET)
    for _ in range(10):
        transport.unsent_bytes = 0  # it took all that there was, and is given little
        transport.taken_bytes += 300
        passes(router, 20)
        transport.unsent_bytes = 100_000
        connection.dataReceived(GET)
        passes(router, 5)
    assert not transport.aborted
    connection.connectionLost()


def test_a_connection_that_closes_is_not_cut_while_its_caller_takes_the_answer() -> None:
    router, connection, transport = slow_client()
    connection.finished(close=True)
    for _ in range(4):
        transport.taken_bytes += 40_000
        passes(router, 25)
    assert not transport.aborted
    passes(router, 32)
    assert transport.aborted
    connection.connectionLost()


def test_an_idle_caller_that_answers_no_close_is_cut() -> None:
    router, connection, transport = slow_client()
    transport.unsent_bytes = 0
    connection.finished(close=False)
    passes(router, 76)
    assert transport.disconnecting
    passes(router, 3)
    assert transport.aborted
    connection.connectionLost()


def test_100_is_sent_when_it_is_the_requests_turn() -> None:
    router, transport = RequestRouter(), Transport()
    connection = ClientConnection(router)
    connection.makeConnection(transport)
    expecting = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
    connection.dataReceived(GET + expecting + b"Content-Length: 2\r\n\r\n")
    assert re.findall(rb"HTTP/1.1 (\d+)", transport.value()) == [b"200", b"100"]
    connection.dataReceived(b"{}")
    assert router.served == [b"", b"{}"]
    assert transport.value().count(b" 100 ") == 1
    connection.connectionLost()


def test_a_caller_of_http_10_gets_no_interim_answer() -> None:
    router, transport = RequestRouter(), Transport()
    connection = ClientConnection(router)
    connection.makeConnection(transport)
    connection.dataReceived(
        b"POST /v1/chat/completions HTTP/1.0\r\nHost: x\r\nExpect: 100-continue\r\n"
        b"Content-Length: 2\r\n\r\n"
    )
    assert transport.value() == b""
    connection.dataReceived(b"{}")
    assert router.served == [b"{}"]
    connection.connectionLost()


def test_c18_a_refused_caller_that_goes_on_sending_is_read_on_for_a_while() -> None:
    router = RequestRouter()
    clock = router.clock
    connection, transport = ClientConnection(router), Transport()
    connection.makeConnection(transport)
    connection.dataReceived(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 33554433\r\n\r\n"
    )
    assert transport.value().startswith(b"HTTP/1.1 413")
    for _ in range(29):  # a reset now would go over the answer
        clock.advance(0.5)
        clock.advance(0.5)
        connection.dataReceived(b"x" * 1000)
        assert not transport.aborting
    for _ in range(10):
        clock.advance(0.5)
        connection.dataReceived(b"x")
    assert transport.aborting


def test_an_idle_connection_is_kept_as_long_as_the_policy_says() -> None:
    router, transport = RequestRouter(), Transport()
    router.keep_alive_s = 20.0
    connection = ClientConnection(router)
    connection.makeConnection(transport)
    connection.dataReceived(GET)
    passes(router, 19)
    assert not transport.disconnecting
    passes(router, 2)
    assert transport.disconnecting
    connection.connectionLost()


class Turns:
    """The reactor's turns, one at a time; true while there is something to do in the next one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: list[Callable[[], None]] = []

    def __bool__(self) -> bool:
        return bool(self._calls)

    def callLater(self, _: float, call: Callable[[], None]) -> None:
        self._calls.append(call)

    def seconds(self) -> float:
        return self._clock.seconds()

    def next(self) -> None:
        self._calls.pop()()


def turns_of(router: RequestRouter) -> Turns:
    """Return the later turns of the reactor of `router`."""
    turns = Turns(router.clock)
    router.later = Later(turns)
    return turns


@pytest.mark.parametrize("count", [17, 100, 1_800])
def test_one_read_of_many_requests_is_served_a_few_in_a_turn(count: int) -> None:
    router, transport = RequestRouter(), Transport()
    later = turns_of(router)
    connection = ClientConnection(router)
    connection.makeConnection(transport)
    connection.dataReceived(GET * count)
    turns = [len(router.served)]
    while later:
        assert transport.producerState == "paused"
        later.next()
        turns.append(len(router.served))
    assert len(router.served) == count
    assert max(after - before for before, after in pairwise([0, *turns])) == 16
    assert transport.producerState == "producing"
    connection.connectionLost()
    assert router.memory.held_bytes == 0


def test_a_connection_that_ends_in_the_middle_of_a_read_holds_nothing() -> None:
    router, transport = RequestRouter(), Transport()
    connection = ClientConnection(router)
    connection.makeConnection(transport)
    turns_of(router)
    connection.dataReceived(GET * 100)
    assert router.memory.held_bytes > 0
    connection.connectionLost()
    assert router.memory.held_bytes == 0
    passes(router, 1)
    assert len(router.served) == 16


def test_tiny_chunks_are_read_a_few_in_a_turn() -> None:
    router, transport = RequestRouter(), Transport()
    later = turns_of(router)
    connection = ClientConnection(router)
    connection.makeConnection(transport)
    body = b'{"x": "' + b"y" * 9_000 + b'"}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    connection.dataReceived(head)
    connection.dataReceived(chunks)
    turns = 1
    while later:
        later.next()
        turns += 1
    assert turns >= (len(chunks) - 512 * 3) // 1024
    assert router.served == [body]
    connection.connectionLost()


def test_large_heads_that_wait_are_few_and_booked() -> None:
    router, connection, _ = slow_client()
    large = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n" + b"".join(
        b"x%d: y\r\n" % n for n in range(90)
    )
    for _ in range(4):
        connection.dataReceived((large + b"\r\n") * 5)
        passes(router, 0.1)
    assert len(connection.intake.waiting) < 5
    assert router.memory.held_bytes > 100_000 + 90 * 500 * 3
    connection.connectionLost()
    assert router.memory.held_bytes == 0


def test_the_caller_that_waited_longest_makes_room_with_a_begun_head_too() -> None:
    router = RequestRouter()
    router.connections = ConnectionLimiter(4)
    connections, transports = [], []
    for _ in range(4):
        passes(router, 1)
        connection, transport = ClientConnection(router), Transport()
        connection.makeConnection(transport)
        router.connections.discard(connection)
        router.connections.add(connection, f"peer {len(connections)}")
        connections.append(connection)
        transports.append(transport)
    connections[0].dataReceived(GET)  # the oldest connection, but it was served just now
    connections[1].dataReceived(GET[:-4] + b"\r\nx: ")  # a head that does not end
    connections[2].dataReceived(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    )
    assert router.connections.make_room("new")
    assert [t.aborting for t in transports] == [False, True, False, False]
    router.connections._by_peer["new"] = 1
    router.connections._connections[ClientConnection(router)] = "new"
    assert router.connections.make_room("newer")
    assert [t.aborting for t in transports] == [False, True, False, True]


def test_callers_of_one_site_count_as_one() -> None:
    assert client_of("10.0.0.1") == "10.0.0.1"
    assert client_of("::ffff:10.0.0.1") == "10.0.0.1"
    assert client_of("2001:db8:1:2:3::4") == client_of("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert client_of("2001:db8:1:3::9") != client_of("2001:db8:1:2::9")
    assert client_of("fe80::1%eth0") == client_of("fe80::2%eth0")
    assert client_of("") == ""
