"""Rows X: the process and its host."""

import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lockgate.server import router as router_module

from tests.faults.conftest import Start
from tests.faults.rig import POLICY, Rig, body, changed, request
from tests.support.client import Answer
from tests.support.proxy import ROOT, Proxy, environment, free_port
from tests.support.responses import DONE, END, SSE_HEAD, word
from tests.support.upstream import Upstream, serve_well
from tests.support.wait import eventually, let_pass, pace

fault = pytest.mark.fault


def slow_stream(connection: socket.socket, one: bytes) -> None:
    """A word, a while, and the end; for "long" a long while."""
    connection.sendall(SSE_HEAD + word("one"))
    pace(6 if b'"long"' in one else 0.5)
    connection.sendall(word("two") + END + DONE)


@fault("X1", "SIGTERM with 50 streams, 10 of them endless", "40 whole, 10 with error event; exit 0")
def test_x1_sigterm_lets_streams_finish(start: Start) -> None:
    rig = start("--drain-grace", "2s")
    rig.local.script = slow_stream
    documents = [body("m", stream=True, user="long" if n % 5 == 0 else "short") for n in range(50)]
    with ThreadPoolExecutor(50) as pool:
        asked = [pool.submit(rig.proxy.ask, document) for document in documents]
        eventually(lambda: rig.metrics()["lockgate_in_flight"] == 50)
        rig.proxy.process.send_signal(signal.SIGTERM)
        answers = [one.result(timeout=60) for one in asked]
    assert rig.proxy.process.wait(timeout=30) == 0
    assert [answer.clean for answer in answers] == [n % 5 != 0 for n in range(50)]
    for number, answer in enumerate(answers):
        assert (b'"draining"' in answer.body) == (number % 5 == 0)
    outcomes = [rig.record()["outcome"] for _ in range(50)]
    assert (outcomes.count("complete"), outcomes.count("drained")) == (40, 10)


@fault("X1", "a second SIGTERM", "the end at once")
def test_x1_a_second_sigterm_ends_at_once(start: Start) -> None:
    rig = start("--drain-grace", "60s")
    rig.local.script = lambda c, _: c.recv(1)
    connection = rig.connect()
    connection.sendall(request())
    eventually(lambda: rig.local.requests)
    rig.proxy.process.send_signal(signal.SIGTERM)
    eventually(lambda: b"drain" in rig.proxy.log.read_bytes())
    rig.proxy.process.send_signal(signal.SIGTERM)
    assert rig.proxy.process.wait(timeout=3) == 0
    assert rig.record()["outcome"] == "drained"
    connection.close()


@fault("X4", "SIGPIPE, SIGUSR1, SIGUSR2, SIGWINCH", "ignored")
@fault("X4", "SIGINT", "drains like SIGTERM")
def test_x4_signals(start: Start) -> None:
    rig = start()
    for number in (signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
        rig.proxy.process.send_signal(number)
        assert rig.ask().status == 200
    assert rig.proxy.stop(signal.SIGINT) == 0


@fault("X4", "SIGSTOP for a minute under streams and waiting clients", "what came is read first")
@pytest.mark.slow
def test_x4_stopped_for_a_minute(start: Start) -> None:
    rig = start()
    stopped = threading.Event()

    def script(connection: socket.socket, one: bytes) -> None:
        connection.sendall(SSE_HEAD + word("one"))
        stopped.wait(timeout=90)
        connection.sendall(word("two") + END + DONE)  # while the proxy stands still

    def ask(_: int) -> Answer:
        with socket.create_connection(("127.0.0.1", rig.proxy.port), timeout=100) as connection:
            connection.sendall(request(body("twice", stream=True), close=True))
            return Answer.read(connection)

    rig.local.script = script
    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(ask, number) for number in range(10)]
        let_pass(0.15)  # the idle deadline is 300 ms
        rig.proxy.process.send_signal(signal.SIGSTOP)
        stopped.set()
        let_pass(60)
        rig.proxy.process.send_signal(signal.SIGCONT)
        answers = [one.result(timeout=60) for one in asked]
    assert [answer.clean for answer in answers] == [True] * 10
    assert rig.metrics()["lockgate_stalls"] == 1
    assert rig.ask().status == 200


faults_of_ours = pytest.mark.skipif(
    router_module.__file__.endswith(".so"),
    reason="compiled methods cannot be replaced by faulty ones; the plain build is injected",
)


@faults_of_ours
@fault("X6", "an exception while a request is rendered", "one 500 `internal`, all others go on")
@fault(
    "X6",
    "an exception when the response is on its way",
    "it is out; recorded as internal; nothing left",
)
def test_x6_an_exception_is_one_requests(start: Start) -> None:
    rig = start(module="tests.faults.faulty", env=environment(FAULT="raise"))
    with ThreadPoolExecutor(8) as pool:
        models = [{0: "raise", 4: "late"}.get(n % 8, "m") for n in range(40)]
        answers = list(pool.map(lambda m: rig.proxy.ask(body(m)), models))
    statuses = {"raise": 500, "late": 200, "m": 200}
    assert [a.status for a in answers] == [statuses[m] for m in models]
    assert answers[0].code == "internal"
    rig._log_from = rig.proxy.log.stat().st_size  # its tracebacks are what was injected
    records = [rig.record() for _ in range(40)]
    assert [r["outcome"] for r in records].count("internal") == 10
    assert rig.grew("lockgate_breaker_failures") == 0


@fault("X7", "twelve 8 MiB bodies against a budget of 40 MiB", "503 with Retry-After, none killed")
def test_x7_bodies_beyond_the_budget(start: Start) -> None:
    policy = changed("all")
    policy["proxy"] = {**policy["proxy"], "memoryBudget": "40Mi"}
    rig = start(policy=policy)
    goes_on = threading.Event()

    def script(connection: socket.socket, one: bytes) -> None:
        goes_on.wait(timeout=60)
        serve_well(connection, one)

    rig.local.script = script
    big = {**body(), "x": "y" * (8 << 20)}
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(rig.proxy.ask, big) for _ in range(12)]
        eventually(lambda: sum(one.done() for one in asked) == 8, seconds=20)
        goes_on.set()
        answers = [one.result(timeout=60) for one in asked]
    statuses = [answer.status for answer in answers]
    assert (statuses.count(200), statuses.count(503)) == (4, 8)
    for answer in answers:
        if answer.status == 503:
            assert answer.code == "memory_full"
            assert "retry-after: 1" in answer.head
    assert rig.metrics()["lockgate_memory_refused"] == 8
    outcomes = [rig.record()["outcome"] for _ in range(12)]
    assert outcomes.count("refused_overload") == 8


@faults_of_ours
@fault("X8", "the reactor blocked for two seconds", "counted; no deadline fires for what had come")
def test_x8_a_blocked_reactor_fires_no_deadlines_at_once(start: Start) -> None:
    rig = start(module="tests.faults.faulty", env=environment(FAULT="block"))

    def script(connection: socket.socket, one: bytes) -> None:
        if b"stream" not in one:
            serve_well(connection, one)
            return
        connection.sendall(SSE_HEAD + word("one"))
        pace(0.25)
        connection.sendall(word("two"))
        pace(0.25)
        connection.sendall(END + DONE)

    rig.local.script = script
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(rig.proxy.ask, body("strict", stream=True)) for _ in range(7)]
        eventually(lambda: len(rig.local.requests) == 7)
        blocking = pool.submit(rig.proxy.ask, body("block"))
        answers = [one.result(timeout=60) for one in (*asked, blocking)]
    assert [answer.clean for answer in answers] == [True] * 8
    assert rig.metrics()["lockgate_stalls"] == 1
    assert rig.metrics()["lockgate_stalled_seconds"] > 1


@fault("X9", "the wall clock an hour forward, back, and frozen, under streams", "no deadline moves")
def test_x9_the_clock_jumps(start: Start, tmp_path: Path) -> None:
    library = next(iter(Path("/usr/lib").rglob("libfaketime.so.1")), None)
    if library is None:
        pytest.skip("NOT RUN: no libfaketime (apt-get install libfaketime)")
    when = tmp_path / "when"
    when.write_text("+0s")
    env = environment(
        LD_PRELOAD=str(library),
        FAKETIME_TIMESTAMP_FILE=str(when),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        DONT_FAKE_MONOTONIC="1",
    )
    rig = start(env=env)
    rig.local.script = lambda c, _: (
        c.sendall(SSE_HEAD + word("one")),
        pace(0.2),
        c.sendall(word("two")),
        pace(0.2),
        c.sendall(END + DONE),
    )
    for jump in ("+3600s", "-3600s", "2016-12-31 23:59:59", "@2020-02-29 23:59:59"):
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(rig.proxy.ask, body("strict", stream=True))
            let_pass(0.1)
            when.write_text(jump)
            assert asked.result(timeout=60).clean
    records = [rig.record() for _ in range(4)]
    assert [r["outcome"] for r in records] == ["complete"] * 4
    sequences = [r["sequence"] for r in records]
    assert sequences == sorted(sequences)
    assert {r["latency_ms"] > 300 for r in records} == {True}
    assert max(r["time"] for r in records) - min(r["time"] for r in records) > 3000


@fault("X13", "500 clients that connect before it listens", "all served")
def test_x13_a_thundering_start(tmp_path: Path, upstreams: dict[str, Upstream]) -> None:
    for upstream in upstreams.values():
        upstream.reset()
    ready = threading.Event()
    statuses: list[int] = []
    ports: list[int] = []

    def call(_: int) -> None:
        ready.wait(timeout=20)
        for _ in range(200):
            try:
                with socket.create_connection(("127.0.0.1", ports[0]), timeout=20) as one:
                    one.sendall(request(close=True))
                    statuses.append(Answer.read(one).status)
                    return
            except ConnectionRefusedError:
                pace(0.02)

    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    port = free_port()
    ports.append(port)
    with ThreadPoolExecutor(500) as pool:
        calls = [pool.submit(call, n) for n in range(500)]
        ready.set()
        proxy = Proxy(tmp_path, POLICY, addresses, port=port)
        for one in calls:
            one.result(timeout=60)
    assert statuses == [200] * 500
    rig = Rig(proxy, upstreams["local"], upstreams["cloud"])
    records = [rig.record() for _ in range(500)]
    assert {record["outcome"] for record in records} == {"complete"}
    rig.hold_the_invariants()
    assert proxy.stop() == 0


@fault("X15", "TMPDIR and HOME that are not there, umask 777", "100 kB and chunks served")
def test_x15_no_place_to_write(start: Start) -> None:
    rig = start(env=environment(TMPDIR="/nonexistent", HOME="/nonexistent"), umask=0o777)
    assert rig.ask({**body(), "x": "y" * 200_000}).status == 200
    data = json.dumps(body()).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    assert rig.talk(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)).status == 200


@fault("X15", "the root file system read-only", "starts, serves, drains")
def test_x15_a_read_only_root(tmp_path: Path) -> None:
    script = """
        mount --make-rprivate / || exit 77
        for place in / /tmp "$PWD" /var /dev/shm; do
            mount --bind "$place" "$place" 2>/dev/null
            mount -o remount,bind,ro "$place" 2>/dev/null
        done
        cd "$PWD"
        for place in / /tmp . /var/tmp; do
            if touch "$place/written" 2>/dev/null; then rm "$place/written"; exit 77; fi
        done
        exec "$@"
    """
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-m", "tests.faults.readonly"],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode == 77:
        pytest.skip("NOT RUN: mounting is not permitted here")
    assert done.returncode == 0, done.stdout + done.stderr


@fault("X16", "methods, paths, floods, long heads at the admin port", "404, 405, 501; no secret")
def test_x16_the_admin_port(rig: Rig) -> None:
    base = f"http://127.0.0.1:{rig.proxy.admin}"
    for path in (
        "/",
        "/status.json",
        "/../etc/passwd",
        "/metrics/x",
        "/debug",
        "/reload",
        "/v1/models",
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(base + path, timeout=5)
        assert refused.value.code == 404
    for method in ("POST", "PUT", "DELETE"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(
                urllib.request.Request(base + "/healthz", method=method), timeout=5
            )
        assert refused.value.code in {404, 405, 501}
    with socket.create_connection(("127.0.0.1", rig.proxy.admin), timeout=5) as one:
        one.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 100_000 + b"\r\n\r\n")
        assert b"200 OK" not in one.recv(65536)
    with ThreadPoolExecutor(10) as pool:
        pages = list(pool.map(lambda _: rig.proxy.get("/metrics"), range(50)))
    assert all("sk-CANARY" not in page for page in pages)
    assert rig.ask().status == 200
