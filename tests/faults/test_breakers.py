"""Rows X10 to X12: breakers and the retry budget under many callers."""

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy.exchange.breaker import Breaker, Closed, HalfOpen, Open, Permit
from tests.faults.conftest import Start
from tests.faults.house import House, body, changed, eventually, request
from tests.net.conftest import SSE_HEAD, http, reset, serve_well, word

fault = pytest.mark.fault
STATE = 'lockgate_breaker_state{backend="local"}'


def opened(start: Start, quarantine: str = "2s") -> House:
    """Return a proxy that does not ask its local backend, for a quarter of `quarantine` at first."""
    policy = changed("all")
    policy["proxy"] = {"quarantineDuration": quarantine}
    house = start(policy=policy)
    house.local.script = lambda c, _: reset(c)
    while house.metrics()[STATE] != 2:
        house.ask(body("alone"))
    return house


@fault("R30", "a stream that goes on for good is the probe", "the others are served meanwhile")
def test_r30_a_long_stream_proves_its_backend_with_its_first_content(start: Start) -> None:
    """A probe that did not settle kept a provider shut for six days: diegosouzapw/OmniRoute #13836."""
    house = opened(start)
    over = threading.Event()

    def script(connection: socket.socket, asked: bytes) -> None:
        if b'"stream"' not in asked:
            serve_well(connection, asked)
            return
        connection.sendall(SSE_HEAD)
        while not over.wait(timeout=0.05):
            connection.sendall(word("x"))
        reset(connection)

    house.local.script = script
    with house.connect() as caller:
        eventually(lambda: streams(caller))
        assert [house.ask(body("alone")).status for _ in range(20)] == [200] * 20
        before = house.grew("lockgate_breaker_failures")
        over.set()
        eventually(lambda: not caller.recv(4096))
    assert house.grew("lockgate_breaker_failures") == before + 1  # its death counts by itself
    assert house.metrics()[STATE] == 0


def streams(caller: socket.socket) -> bool:
    """Ask for a stream; whether it began."""
    caller.sendall(request(body("alone", stream=True)))
    return caller.recv(4096).startswith(b"HTTP/1.1 200")


@fault("R31", "a body of 2 MiB that arrives slowly", "no probe before it is whole, then one")
def test_r31_a_body_that_is_not_whole_is_no_probe(start: Start) -> None:
    """Its verdict may be as far off as its caller likes: getnora-io/nora #585 (a probe is held)."""
    house = opened(start)
    house.local.script = serve_well
    document = request(body("alone", padding="x" * (2 << 20)))
    with house.connect() as caller:
        caller.sendall(document[:-100_000])
        eventually(lambda: house.ask(body("alone")).status == 200)
    # alone: it is read whole, and is the probe then
    house.local.script = lambda c, _: reset(c)
    while house.metrics()[STATE] != 2:
        house.ask(body("alone"))
    house.local.script = serve_well
    time.sleep(2)
    house.local.requests.clear()
    with house.connect() as caller:
        caller.sendall(document[:-100_000])
        time.sleep(0.2)
        assert (house.local.requests, house.metrics()[STATE]) == ([], 2)
        caller.sendall(document[-100_000:])
        assert caller.recv(4096).startswith(b"HTTP/1.1 200")
    assert house.metrics()[STATE] == 0


@fault(
    "X10", "1,000 waiters at the moment a breaker may be tried", "exactly one probe, the rest 503"
)
def test_x10_a_herd_at_a_half_open_breaker(start: Start) -> None:
    policy = changed("all")
    policy["proxy"] = {"quarantineDuration": "8s"}  # open for 1.6 to 2 s at first
    house = start(policy=policy)
    house.local.script = lambda c, _: reset(c)
    for _ in range(3):
        house.ask(body("alone"))
    assert house.metrics()['lockgate_breaker_state{backend="local"}'] == 2
    probed = threading.Event()

    def script(connection: socket.socket, _: bytes) -> None:
        probed.wait(timeout=10)
        reset(connection)

    house.local.script = script
    house.local.requests.clear()
    time.sleep(2.1)
    connections = [house.connect() for _ in range(200)]
    for connection in connections:
        connection.sendall(request(body("alone")) * 5)  # a thousand, five on each
    firsts = []
    for connection in connections:
        connection.settimeout(0.3 if len(house.local.requests) else 2)
        with contextlib.suppress(TimeoutError):
            firsts.append(connection.recv(4096).split(b" ")[1])
    assert firsts == [b"503"] * 199
    assert len(house.local.requests) == 1
    probed.set()
    eventually(lambda: house.metrics()["lockgate_in_flight"] == 0)
    assert len(house.local.requests) == 1  # the failed probe opened it again, for longer
    for connection in connections:
        connection.close()
    house.records.clear()
    records = []
    eventually(lambda: house.grew("lockgate_requests_total") == 1003)
    while len(records) < 1003:
        records.append(house.record())
    retry_after = {s["reason"] for r in records for s in r["skipped"]}
    assert retry_after == {"breaker_open"}


class BreakerMachine(RuleBasedStateMachine):
    """X11: whatever comes in whatever order, permits and times stay what they should be."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.jitter = 0.5
        self.breaker = Breaker(8.0, lambda: self.jitter)
        self.out: list[Permit] = []
        self.probes = 0

    @rule(seconds=st.floats(0, 10), jitter=st.floats(0, 0.999))
    def time_passes(self, seconds: float, jitter: float) -> None:
        self.now += seconds
        self.jitter = jitter

    @rule()
    def admit(self) -> None:
        before = self.breaker.state
        permit = self.breaker.admit(self.now)
        if permit is None:
            assert not isinstance(before, Closed)
            return
        if permit.probe:
            assert isinstance(before, HalfOpen) or (
                isinstance(before, Open) and self.now >= before.until
            )
        self.out.append(permit)

    @precondition(lambda self: self.out)
    @rule(how=st.sampled_from(["succeed", "fail", "release"]), data=st.data())
    def settle(self, how: str, data: Any) -> None:
        permit = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        if how == "fail":
            self.breaker.fail(permit, self.now)
        else:
            getattr(self.breaker, how)(permit)

    @invariant()
    def times_and_permits_are_in_bounds(self) -> None:
        state = self.breaker.state
        if isinstance(state, Open):
            assert 0 < state.period_s <= 8.0
            assert state.until <= self.now + 8.0
        if isinstance(state, HalfOpen):
            assert 0 <= state.permits <= 1
        if isinstance(state, Closed):
            assert 0 <= state.failures < 5


BreakerMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)


@fault("X11", "any order of admits, verdicts, late verdicts and time", "one probe, bounded times")
def test_x11_the_breaker_under_everything() -> None:
    BreakerMachine.TestCase("runTest").runTest()


@fault("X11", "429 storms and callers that leave during the probe", "never counted, permit back")
def test_x11_what_does_not_count(house: House) -> None:
    house.local.script = lambda c, _: c.sendall(http(429, b"{}"))
    for _ in range(10):
        assert house.ask(body("alone")).status == 429
    assert house.grew("lockgate_breaker_failures") == 0
    house.local.script = lambda c, _: reset(c)
    for _ in range(3):
        house.ask(body("alone"))
    time.sleep(0.1)
    house.local.script = lambda c, _: c.recv(1)
    before = len(house.local.requests)
    connection = house.connect()
    connection.sendall(request(body("alone")))
    eventually(lambda: len(house.local.requests) > before)
    connection.close()  # the probe's caller leaves
    house.local.script = serve_well
    eventually(lambda: house.metrics()["lockgate_in_flight"] == 0)
    assert house.ask(body("alone")).status == 200


@fault("X12", "every upstream fails under 100 callers", "attempts within the law and the budget")
def test_x12_a_storm(start: Start) -> None:
    house = start()
    # what counts for no breaker, and may be asked again at once: only the budget bounds it
    limited = http(429, b"{}", "retry-after: 0")
    house.local.script = house.cloud.script = lambda c, _: c.sendall(limited)
    began = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: house.proxy.ask(body()), range(400)))
    seconds = time.monotonic() - began
    assert {answer.status for answer in answers} == {429}
    records = [house.record() for _ in range(400)]
    attempts = [a for r in records for a in r["attempts"]]
    assert max(len(r["attempts"]) for r in records) <= 4
    repeats = sum(
        x["backend"] == y["backend"] for r in records for x, y in zip(r["attempts"], r["attempts"][1:], strict=False)
    )  # fmt: skip
    # a fifth of each second's requests or of those of the second before, at least ten
    assert 0 < repeats <= 10 * (seconds + 2) + 0.2 * 2 * 400
    assert len(attempts) == len(house.local.requests) + len(house.cloud.requests)
