"""Rows X10 to X12, R30 to R39: breakers and the retry budget under many callers."""

import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.exchange.test_breaker import TestAnyUse
from tests.faults.conftest import Start
from tests.faults.rig import Rig, body, changed, request
from tests.support.client import Answer
from tests.support.proxy import free_port
from tests.support.responses import SSE_HEAD, http, word
from tests.support.upstream import reset, serve_well
from tests.support.wait import eventually, let_pass

fault = pytest.mark.fault
STATE = 'lockgate_breaker_state{backend="local"}'


def opened(start: Start, quarantine: str = "2s") -> Rig:
    """Return a proxy that does not ask its local backend, for a quarter of `quarantine` at first."""
    policy = changed("all")
    policy["proxy"] = {"quarantineDuration": quarantine}
    rig = start(policy=policy)
    rig.local.script = lambda c, _: reset(c)
    while rig.metrics()[STATE] != 2:
        rig.ask(body("alone"))
    return rig


@fault("R30", "a stream that goes on for good is the probe", "the others are served meanwhile")
def test_r30_a_long_stream_proves_its_backend_with_its_first_content(start: Start) -> None:
    """A probe that did not settle kept a provider shut for six days: diegosouzapw/OmniRoute #13836."""
    rig = opened(start)
    over = threading.Event()

    def script(connection: socket.socket, asked: bytes) -> None:
        if b'"stream"' not in asked:
            serve_well(connection, asked)
            return
        connection.sendall(SSE_HEAD)
        while not over.wait(timeout=0.05):
            connection.sendall(word("x"))
        reset(connection)

    rig.local.script = script
    with rig.connect() as client:
        eventually(lambda: streams(client))
        assert [rig.ask(body("alone")).status for _ in range(20)] == [200] * 20
        before = rig.grew("lockgate_breaker_failures")
        over.set()
        eventually(lambda: not client.recv(4096))
    assert rig.grew("lockgate_breaker_failures") == before + 1  # its death counts by itself
    assert rig.metrics()[STATE] == 0


def streams(client: socket.socket) -> bool:
    """Ask for a stream; whether it began."""
    client.sendall(request(body("alone", stream=True)))
    return client.recv(4096).startswith(b"HTTP/1.1 200")


@fault("R31", "a body of 2 MiB that arrives slowly", "no probe before it is whole, then one")
def test_r31_a_body_that_is_not_whole_is_no_probe(start: Start) -> None:
    """Its verdict may be as far off as its caller likes: getnora-io/nora #585 (a probe is held)."""
    rig = opened(start)
    rig.local.script = serve_well
    let_pass(0.6)  # it may be tried
    rig.records += rig.proxy.flushed()
    rig.local.requests.clear()
    with rig.connect() as client:  # where another candidate is well, that one is asked
        document = request(body("m", padding="x" * (2 << 20)))
        client.sendall(document[:-100_000])
        eventually(lambda: rig.cloud.connections)
        client.sendall(document[-100_000:])
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    record = rig.record()
    assert record["skipped"] == [{"backend": "local", "reason": "breaker_open"}]
    assert (record["backend"], rig.local.requests) == ("cloud", [])
    document = request(body("alone", padding="x" * (2 << 20)))
    with rig.connect() as client:
        client.sendall(document[:-100_000])
        eventually(lambda: rig.ask(body("alone")).status == 200)
    # alone: it is read whole, and is the probe then
    rig.local.script = lambda c, _: reset(c)
    while rig.metrics()[STATE] != 2:
        rig.ask(body("alone"))
    rig.local.script = serve_well
    let_pass(2)
    rig.local.requests.clear()
    with rig.connect() as client:
        client.sendall(document[:-100_000])
        let_pass(0.2)
        assert (rig.local.requests, rig.metrics()[STATE]) == ([], 2)
        client.sendall(document[-100_000:])
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    assert rig.metrics()[STATE] == 0


def answers(rig: Rig, client: str, document: dict[str, Any]) -> int:
    """Ask from an address of one's own; return the status."""
    place = ("127.0.0.1", rig.proxy.port)
    with socket.create_connection(place, 10, source_address=(client, 0)) as connection:
        connection.sendall(request(document, close=True))
        answer = Answer.read(connection)
    rig.answers.append(answer)
    return answer.status


def poisonous(how: str) -> Callable[[socket.socket, bytes], None]:
    """Return a model server that serves well, and answers `how` to a body with a poison in it."""

    def script(connection: socket.socket, asked: bytes) -> None:
        if b"poison" not in asked:
            serve_well(connection, asked)
        elif how == "500":
            connection.sendall(http(500, b"{}"))
        else:
            reset(connection)

    return script


@fault("R32", "bodies that the backend answers 500, or dies of", "another client's are served")
@pytest.mark.parametrize("how", ["500", "reset"])
@pytest.mark.parametrize("first", ["bad", "good"])
def test_r32_one_callers_bodies_take_no_backend_from_another(
    start: Start, how: str, first: str
) -> None:
    """Envoy counts every 5xx against the host, whoever asked what: envoyproxy/envoy #3643."""
    policy = changed("all")
    policy["proxy"] = {"quarantineDuration": "60s"}
    rig = start(policy=policy)
    rig.local.script = poisonous(how)
    if first == "bad":
        for number in range(6):
            answers(rig, "127.0.0.2", body("alone", poison=number))
        assert rig.metrics()[STATE] == 2  # nobody else was there
    assert answers(rig, "127.0.0.1", body("alone")) == 200
    with ThreadPoolExecutor(8) as pool:
        bad = [
            pool.submit(answers, rig, "127.0.0.2", body("alone", poison=100 + number))
            for number in range(80)
        ]
        good = [answers(rig, "127.0.0.1", body("alone"))]
        while not all(one.done() for one in bad):
            good.append(answers(rig, "127.0.0.1", body("alone")))
    assert {one.result() for one in bad} == {502}
    assert set(good) == {200}
    assert rig.metrics()[STATE] == 0


@fault("R32", "one client, a body in five is bad, then every other one", "closed; then it opens")
def test_r32_a_caller_alone_is_judged_by_its_share(start: Start) -> None:
    """A share with a least number, not a row of them: BerriAI/litellm #17418."""
    policy = changed("all")
    policy["proxy"] = {"quarantineDuration": "60s"}
    rig = start(policy=policy)
    rig.local.script = poisonous("500")

    def ask(number: int, of: int) -> int:
        more = {"poison": number} if number % of == 0 else {}
        return rig.ask(body("alone", seed=number, **more)).status

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda number: ask(number, 5), range(100)))
        assert (statuses.count(200), statuses.count(502)) == (80, 20)
        statuses = list(pool.map(lambda number: ask(number, 1), range(100, 240)))
    assert 503 in statuses


@fault("R32", "one body that the backend dies of, from the only address", "other bodies are served")
def test_r32_one_body_takes_no_backend_from_others_behind_the_same_address(start: Start) -> None:
    """A gateway in front makes one caller of all: envoyproxy/envoy #3643, again."""
    policy = changed("all")
    policy["proxy"] = {"quarantineDuration": "60s"}
    rig = start(policy=policy)
    rig.local.script = poisonous("reset")
    bad = body("alone", poison=1)
    while rig.metrics()[STATE] != 2:
        assert rig.ask(bad).status == 502
    assert rig.ask(bad).status == 503
    for number in range(10):
        assert rig.ask(body("alone", seed=number)).status == 200
        assert rig.ask(bad).status == 502
    assert rig.metrics()[STATE] == 0


@fault("R33", "refused; 500; a reset", "open after five requests, one client is enough")
@pytest.mark.parametrize("how", ["refused", "500", "reset"])
def test_r33_a_dead_backend_opens_after_five_requests(start: Start, how: str) -> None:
    """As Envoy's `consecutive_5xx` of 5 (envoyproxy/envoy #261), whatever was served before."""
    policy = changed("all")
    policy["proxy"] = {"quarantineDuration": "60s"}
    if how == "refused":
        nobody = f"http://127.0.0.1:{free_port()}"
        rig = start(policy=policy, addresses={"local": nobody, "cloud": nobody})
    else:
        rig = start(policy=policy)
        for number in range(20):
            assert rig.ask(body("alone", seed=number)).status == 200
        scripts = {"500": lambda c, _: c.sendall(http(500, b"{}")), "reset": lambda c, _: reset(c)}
        rig.local.script = scripts[how]
    asked = [body("alone", seed=number if how == "500" else 0) for number in range(6)]
    statuses = [rig.ask(document).status for document in asked]
    assert statuses == [502] * 5 + [503]
    assert rig.grew("lockgate_breaker_failures") == 5
    assert rig.metrics()[STATE] == 2


@fault("R34", "one body again and again, and the same 500", "one failure")
def test_r34_a_repeat_of_the_same_body_is_one_failure(start: Start) -> None:
    """SDKs repeat what met a 5xx, twice by default: openai/openai-python, `max_retries`."""
    rig = start()
    rig.local.script = poisonous("500")
    assert {rig.ask(body("alone", poison=1)).status for _ in range(20)} == {502}
    assert rig.grew("lockgate_breaker_failures") == 1
    assert rig.ask(body("alone")).status == 200


@fault("R35", "a breaker opens, and closes again", "the log and the records say when and why")
def test_r35_a_breakers_changes_are_told(start: Start) -> None:
    """A deployment that rests without a word is hunted for hours: BerriAI/litellm #3646."""
    policy = changed("all")
    policy["proxy"] = {"quarantineDuration": "1s"}
    rig = start(policy=policy)
    rig.local.script = poisonous("500")
    for number in range(5):
        rig.ask(body("alone", poison=number))
    records = [rig.record() for _ in range(5)]
    (opened,) = [record["breaker_opened"] for record in records if record["breaker_opened"]]
    assert records[-1]["breaker_opened"] == opened
    seconds = opened[0].pop("seconds")
    assert 0.2 <= seconds <= 0.25
    assert opened == [
        {"backend": "local", "failures": {"upstream_error 500": 5}, "shut_to": "one caller"}
    ]
    log = rig.proxy.log.read_text()
    assert log.count("breaker ") == 1
    line = next(line for line in log.splitlines() if "breaker" in line)
    for part in ("warn", "backend local", "open for 0.2", "5 x upstream_error 500", "one caller"):
        assert part in line
    eventually(lambda: rig.ask(body("alone")).status == 200)
    eventually(lambda: rig.record()["breaker_closed"] == ["local"])
    log = rig.proxy.log.read_text()
    assert log.count("breaker ") == 2
    line = next(line for line in log.splitlines() if "breaker closed" in line)
    assert "info" in line
    assert "backend local" in line


@fault("R36", "a reload with another address for a backend that is out", "it is asked at once")
def test_r36_a_backend_that_moved_starts_closed(start: Start) -> None:
    """What failed was the old address: the state of a host is its own (envoyproxy/envoy #261)."""
    policy = changed("all")
    policy["proxy"] = {"quarantineDuration": "60s"}
    policy["backends"] = [
        {
            "name": "local", "tier": "local", "attestedLocal": "a stand-in",
            "external": {"provider": "openai", "model": "m", "url": f"http://127.0.0.1:{port}/v1"},
        }
        for port in [free_port()]
    ]  # fmt: skip
    policy["rules"] = [{"name": "alone", "route": {"backends": ["local"]}}]
    rig = start(policy=policy, addresses={})
    statuses = [rig.ask(body("alone")).status for _ in range(6)]
    assert statuses == [502] * 5 + [503]
    url = f"http://127.0.0.1:{rig.local.port}/v1"
    policy["backends"][0]["external"]["url"] = url
    rig.proxy.policy_file.write_text(json.dumps(policy))
    rig.proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: rig.grew("lockgate_policy_reloads_total") >= 1)
    assert rig.ask(body("alone")).status == 200
    assert "another address" in rig.proxy.log.read_text()


@fault(
    "X10", "1,000 waiters at the moment a breaker may be tried", "exactly one probe, the rest 503"
)
def test_x10_a_herd_at_a_half_open_breaker(start: Start) -> None:
    policy = changed("all")
    policy["proxy"] = {"quarantineDuration": "8s"}  # open for 1.6 to 2 s at first
    rig = start(policy=policy)
    rig.local.script = lambda c, _: reset(c)
    for _ in range(5):
        rig.ask(body("alone"))
    assert rig.metrics()['lockgate_breaker_state{backend="local"}'] == 2
    probed = threading.Event()

    def script(connection: socket.socket, _: bytes) -> None:
        probed.wait(timeout=60)
        reset(connection)

    rig.local.script = script
    rig.local.requests.clear()
    let_pass(2.1)
    connections = [rig.connect() for _ in range(200)]
    for connection in connections:
        connection.sendall(request(body("alone")) * 5)  # a thousand, five on each
    firsts = []
    for connection in connections:
        connection.settimeout(0.3 if len(rig.local.requests) else 2)
        with contextlib.suppress(TimeoutError):
            firsts.append(connection.recv(4096).split(b" ")[1])
    assert firsts == [b"503"] * 199
    assert len(rig.local.requests) == 1
    probed.set()
    eventually(lambda: rig.metrics()["lockgate_in_flight"] == 0)
    assert len(rig.local.requests) == 1  # the failed probe opened it again, for longer
    for connection in connections:
        connection.close()
    rig.records.clear()
    records = []
    eventually(lambda: rig.grew("lockgate_requests_total") == 1005)
    while len(records) < 1005:
        records.append(rig.record())
    retry_after = {s["reason"] for r in records for s in r["skipped"]}
    assert retry_after == {"breaker_open"}


@fault("X11", "any order of admits, verdicts, late verdicts and time", "one probe, bounded times")
def test_x11_the_breaker_under_everything() -> None:
    TestAnyUse("runTest").runTest()


@fault("X11", "429 storms and clients that leave during the probe", "never counted, permit back")
def test_x11_what_does_not_count(rig: Rig) -> None:
    rig.local.script = lambda c, _: c.sendall(http(429, b"{}"))
    for _ in range(10):
        assert rig.ask(body("alone")).status == 429
    assert rig.grew("lockgate_breaker_failures") == 0
    rig.local.script = lambda c, _: reset(c)
    for _ in range(5):
        rig.ask(body("alone"))
    let_pass(0.1)
    rig.local.script = lambda c, _: c.recv(1)
    before = len(rig.local.requests)
    connection = rig.connect()
    connection.sendall(request(body("alone")))
    eventually(lambda: len(rig.local.requests) > before)
    connection.close()  # the probe's caller leaves
    rig.local.script = serve_well
    eventually(lambda: rig.metrics()["lockgate_in_flight"] == 0)
    assert rig.ask(body("alone")).status == 200


@fault("X12", "every upstream fails under 100 clients", "attempts within the law and the budget")
def test_x12_a_storm(start: Start) -> None:
    rig = start()
    # what counts for no breaker, and may be asked again at once: only the budget bounds it
    limited = http(429, b"{}", "retry-after: 0")
    rig.local.script = rig.cloud.script = lambda c, _: c.sendall(limited)
    began = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: rig.proxy.ask(body()), range(400)))
    seconds = time.monotonic() - began
    assert {answer.status for answer in answers} == {429}
    records = [rig.record() for _ in range(400)]
    attempts = [a for r in records for a in r["attempts"]]
    assert max(len(r["attempts"]) for r in records) <= 4
    repeats = sum(
        x["backend"] == y["backend"] for r in records for x, y in zip(r["attempts"], r["attempts"][1:], strict=False)
    )  # fmt: skip
    # a fifth of each second's requests or of those of the second before, at least ten
    assert 0 < repeats <= 10 * (seconds + 2) + 0.2 * 2 * 400
    assert len(attempts) == len(rig.local.requests) + len(rig.cloud.requests)
