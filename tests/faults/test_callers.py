"""Rows R42 to R50: callers that take memory, turns and connections from others."""

import json
import resource
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.faults.conftest import Start
from tests.faults.rig import POLICY, Rig, body, changed, request
from tests.faults.test_tls import write_pair
from tests.support.client import Answer
from tests.support.proxy import Proxy
from tests.support.responses import SSE_HEAD, word
from tests.support.upstream import Upstream, reset, serve_well
from tests.support.wait import eventually, let_pass, steady

fault = pytest.mark.fault
GET = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
ANNOUNCED = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
MIB = 1 << 20


def with_proxy(**fields: Any) -> dict[str, Any]:
    """Return the policy with more said of `proxy`."""
    policy = changed("all")
    policy["proxy"] = {**policy["proxy"], **fields}
    return policy


def connect(rig: Rig, source: str = "127.0.0.1", room: int | None = None) -> socket.socket:
    """Return a connection from another address of this machine, with little room for answers."""
    connection = socket.socket()
    if room is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    if source != "127.0.0.1":
        connection.bind((source, 0))
    connection.settimeout(20)
    connection.connect(("127.0.0.1", rig.proxy.port))
    return connection


def ask(rig: Rig, size: int = 0, source: str = "127.0.0.1") -> Answer:
    """Ask with a body of about `size` bytes."""
    with connect(rig, source) as connection:
        data = request({**body(), "x": "y" * size}, close=True)
        try:
            connection.sendall(data)
        except OSError:
            pass  # an early refusal
        answer = Answer.read(connection)
    rig.answers.append(answer)
    return answer


@fault("R42", "six clients announce 32 MiB of a budget of 40, and send nothing", "nothing is held")
@fault("R42", "a body announced that does not fit beside what is held", "503 before it is read")
def test_r42_what_is_announced_and_not_sent_holds_nothing(start: Start) -> None:
    """https://github.com/tiny-http/tiny-http/pull/290, oxidecomputer/dropshot#544."""
    rig = start(policy=with_proxy(memoryBudget="40Mi"))
    idle = [connect(rig) for _ in range(6)]
    for one in idle:
        one.sendall(ANNOUNCED % (32 * MIB))
    eventually(lambda: rig.metrics()["lockgate_connections"] >= 6)
    assert rig.metrics()["lockgate_memory_held_bytes"] == 0
    assert ask(rig, 20 * MIB).status == 200
    idle[0].sendall(b'{"model": "m", "x": "' + b"y" * (9 * MIB))
    eventually(lambda: rig.metrics()["lockgate_memory_held_bytes"] > 9 * MIB)
    with connect(rig) as late:
        late.sendall(ANNOUNCED % (32 * MIB))
        answer = Answer.read(late)
    assert (answer.status, answer.code) == (503, "memory_full")
    assert "retry-after: 1" in answer.head
    for one in idle:
        one.close()


@pytest.mark.parametrize("listed", [False, True], ids=["a caller", "a proxy in front"])
@fault("R43", "one client holds 32 of 40 MiB, and another one is refused", "then it gets no more")
@fault("R43", "the same of a proxy in front, which is listed", "all that is free")
def test_r43_while_another_one_waits_a_caller_gets_its_share(start: Start, listed: bool) -> None:
    """warmcat/libwebsockets#2154: one peer must not have all that there is."""
    shares: dict[str, Any] = {"share": 0.5, "except": ["127.0.0.1/32"] if listed else []}
    rig = start(policy=with_proxy(memoryBudget="40Mi", callerMemory=shares))
    goes_on = threading.Event()

    def script(connection: socket.socket, one: bytes) -> None:
        if len(one) > 6 * MIB:
            goes_on.wait(timeout=60)
        serve_well(connection, one)

    rig.local.script = script
    with ThreadPoolExecutor(4) as pool:
        held = [pool.submit(ask, rig, 8 * MIB) for _ in range(4)]
        eventually(lambda: rig.metrics()["lockgate_memory_held_bytes"] > 32 * MIB, 20)
        assert ask(rig, 2 * MIB).status == 200
        refused = ask(rig, 12 * MIB, "127.0.0.2")
        assert (refused.status, refused.code) == (503, "memory_full")
        assert ask(rig, 2 * MIB).status == (200 if listed else 503)
        assert ask(rig, 2 * MIB, "127.0.0.3").status == 200
        goes_on.set()
        assert [one.result().status for one in held] == [200] * 4
        assert ask(rig, 12 * MIB, "127.0.0.2").status == 200


def rss_mib(rig: Rig) -> int:
    status = Path(f"/proc/{rig.proxy.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


@fault("R44", "twelve 16 MiB bodies, each before a stream on the same connection", "none is kept")
def test_r44_a_kept_connection_keeps_nothing_of_who_opened_it(start: Start) -> None:
    """https://github.com/request/request/pull/2220, nodejs/node#9668."""
    rig = start(policy=with_proxy(memoryBudget="64Mi"))
    leaves = threading.Event()

    def script(connection: socket.socket, one: bytes) -> None:
        if b'"stream": true' not in one:
            serve_well(connection, one)
            return
        connection.sendall(SSE_HEAD + word("one"))
        leaves.wait(timeout=60)
        raise OSError

    rig.local.script = script
    ask(rig)
    before = rss_mib(rig)
    streams = []
    for _ in range(12):
        assert ask(rig, 16 * MIB).status == 200
        stream = connect(rig)
        stream.sendall(request(body(stream=True)))
        assert stream.recv(4096).startswith(b"HTTP/1.1 200")
        streams.append(stream)
    assert rig.local.connections <= 13
    assert rss_mib(rig) - before < 80
    for stream in streams:
        stream.close()
    leaves.set()


@fault("R45", "1,500 requests in one write, from each of 40 clients", "others have their turns")
@fault("R45", "a body of 40,000 chunks of one byte", "taken whole, a few KiB a turn")
def test_r45_one_read_is_served_a_few_at_a_time(start: Start) -> None:
    """https://github.com/tempesta-tech/tempesta/issues/1065."""
    rig = start()
    many = [connect(rig, "127.0.0.2") for _ in range(40)]
    count = 1_500
    for one in many:
        one.sendall(GET * count)
    began = time.monotonic()
    assert rig.ask().status == 200
    assert time.monotonic() - began < 2
    data = b""
    while data.count(b"HTTP/1.1 200") < count or not data.endswith(b"}"):
        piece = many[0].recv(1 << 20)
        assert piece
        data += piece
    for one in many:
        one.close()
    tiny = json.dumps({**body(), "x": "y" * 40_000}).encode()
    lines = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in tiny) + b"0\r\n\r\n"
    answer = rig.talk(lines + b"transfer-encoding: chunked\r\n\r\n" + chunks)
    assert answer.status == 200
    eventually(lambda: rig.metrics()["lockgate_in_flight"] == 0)


@fault("R46", "every connection taken by heads that never end, kept alive", "shed for others")
def test_r46_heads_that_do_not_end_make_room(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    """https://github.com/ninenines/cowboy/pull/212, warmcat/libwebsockets#2154."""
    upstreams["local"].reset()
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(tmp_path, POLICY, addresses, descriptors=256)
    rig = Rig(proxy, upstreams["local"], upstreams["cloud"])
    drips = []
    for number in range(300):
        one = connect(rig, f"127.0.0.{2 + number % 3}")
        one.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nx: ")
        drips.append(one)
    assert [rig.ask().status for _ in range(20)] == [200] * 20
    assert rig.metrics()["lockgate_connections_closed_idle"] > 150
    for one in drips:
        one.close()
    rig.hold_the_invariants()
    assert proxy.stop() == 0


@pytest.mark.slow
@fault("R47", "a client that reads 200 bytes a second of a stream", "cut after a minute: Cs-slow")
def test_r47_a_caller_that_reads_next_to_nothing_is_cut(start: Start) -> None:
    """https://github.com/rekby/lets-proxy/issues/20; bytes are taken, so no stall is seen."""
    rig = start(policy=with_proxy(minReadRate="16KiB/s"))

    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(SSE_HEAD)
        while True:
            connection.sendall(word("x" * 10_000))

    rig.local.script = script
    with connect(rig, room=4096) as connection:
        connection.sendall(request(body(stream=True)))
        began = time.monotonic()
        try:
            while connection.recv(4096):
                let_pass(1)
        except ConnectionResetError:
            pass
    assert 55 < time.monotonic() - began < 80
    record = rig.record()
    assert (record["outcome"], record["terminal"]) == ("client_gone", "Cs-slow")


@pytest.fixture
def secure(tmp_path: Path, upstreams: dict[str, Upstream]) -> Iterator[tuple[Rig, ssl.SSLContext]]:
    """A proxy that callers speak TLS to, and what they speak it with."""
    for upstream in upstreams.values():
        upstream.reset()
    authority = trustme.CA()
    write_pair(tmp_path, authority)
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    files = ("--tls-cert", str(tmp_path / "tls.crt"), "--tls-key", str(tmp_path / "tls.key"))
    rig = Rig(Proxy(tmp_path, POLICY, addresses, *files), *upstreams.values())
    context = ssl.create_default_context()
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # early 3.11 sets it, and calls a cut clean
    authority.configure_trust(context)
    yield rig, context
    rig.hold_the_invariants()
    assert rig.proxy.stop() == 0


def cut(connection: socket.socket, one: bytes) -> None:
    """Break off in the middle of an answer."""
    if b'"stream": true' in one:
        connection.sendall(SSE_HEAD + word("half"))
    else:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999999\r\n\r\n"
             b'{"choices": [{"message": {"content": "' + b"x" * (2 * MIB)
        )  # fmt: skip
    let_pass(0.2)
    reset(connection)
    raise OSError


def heard(connection: socket.socket) -> tuple[bytes, str]:
    """Return what came, and how it ended."""
    data = b""
    try:
        while piece := connection.recv(1 << 16):
            data += piece
    except ssl.SSLError as error:  # early 3.11 has no narrower one for this
        return data, {"UNEXPECTED_EOF_WHILE_READING": "no close_notify"}.get(error.reason, "broken")
    except ConnectionResetError:
        return data, "reset"
    return data, "clean"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@fault(
    "R48", "a response over TLS breaks off; the client speaks HTTP/1.0 or 1.1", "no close_notify"
)
def test_r48_what_is_cut_over_tls_never_ends_cleanly(
    secure: tuple[Rig, ssl.SSLContext], version: bytes, stream: bool
) -> None:
    """pyca/pyopenssl#229, cppalliance/beast2#62: in HTTP/1.0 the end is all that says "whole"."""
    rig, context = secure
    rig.local.script = cut
    raw = socket.create_connection(("127.0.0.1", rig.proxy.port), timeout=10)
    asked = request(body("alone", stream=stream)).replace(b"HTTP/1.1", b"HTTP/" + version, 1)
    with context.wrap_socket(
        raw, server_hostname="localhost", suppress_ragged_eofs=False
    ) as connection:
        connection.sendall(asked.replace(b"host: x", b"host: localhost"))
        data, how = heard(connection)
    assert how == "no close_notify"
    assert data.startswith(b"HTTP/1.1 200")
    assert (b'"error"' in data[-1000:]) is stream
    assert rig.record()["outcome"] == "truncated"


@fault("R48", "a stream breaks off for a client of HTTP/1.0", "error event, then a reset")
def test_r48_a_caller_of_http_10_reads_the_error_before_the_reset(rig: Rig) -> None:
    rig.local.script = cut
    with rig.connect() as connection:
        asked = request(body("alone", stream=True)).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        connection.sendall(asked)
        data, how = heard(connection)
    assert how == "reset"
    assert b'"error"' in data
    assert rig.record()["outcome"] == "truncated"


@fault("R49", "a soft limit of 64 descriptors under a hard one of 400", "raised, and said so")
def test_r49_the_soft_limit_of_descriptors_is_raised(start: Start) -> None:
    """https://github.com/ai-dynamo/dynamo/pull/11802, fedora-infra/bodhi#6158."""

    def soft() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 400))

    rig = start(preexec_fn=soft)
    limits = Path(f"/proc/{rig.proxy.process.pid}/limits").read_text()
    line = next(one for one in limits.splitlines() if one.startswith("Max open files"))
    assert line.split()[3:5] == ["400", "400"]
    assert "file descriptors: 400 (were 64), clients: at most 188" in rig.proxy.log.read_text()
    many = [rig.connect() for _ in range(100)]
    eventually(lambda: rig.metrics()["lockgate_connections"] >= 100)
    assert rig.ask().status == 200
    for one in many:
        one.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="not on this system")
@fault("R50", "1,800 requests from each of 30 clients that never read", "few are made, and booked")
def test_r50_answers_that_nobody_reads_are_few_and_booked(start: Start) -> None:
    """https://github.com/h2o/h2o/pull/873: the kernel takes megabytes for each, if it is let."""
    rig = start()
    many = [connect(rig, room=2304) for _ in range(30)]
    for one in many:
        one.sendall(GET * 1_800)

    def made() -> float:
        return rig.grew("lockgate_requests_total")

    eventually(lambda: rig.metrics()["lockgate_memory_held_bytes"] > 30 * 64 * 1024)
    assert steady(made) < 30 * 1_200
    for one in many:
        one.close()
