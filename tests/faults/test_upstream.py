"""Rows U: upstreams that cannot be reached, or say nothing."""

import json
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

from tests.faults.certificates import TlsUpstream, serve
from tests.faults.conftest import Start
from tests.faults.dns import NXDOMAIN, SERVFAIL, Answer, Dns
from tests.faults.rig import POLICY, Rig, body, changed, request
from tests.faults.test_client import full_backlog
from tests.support.proxy import ROOT, Proxy, environment, free_port
from tests.support.responses import DONE, END, SSE_HEAD, word
from tests.support.upstream import Upstream, read_request, reset, serve_well
from tests.support.wait import eventually, let_pass

fault = pytest.mark.fault
Build = Callable[..., Rig]


@pytest.fixture
def build(tmp_path: Path, upstreams: dict[str, Upstream]) -> Iterator[Build]:
    """Run a proxy of the row's own; the invariants hold after."""
    for upstream in upstreams.values():
        upstream.reset()
    built: list[Rig] = []

    def run(
        local: str | None = None,
        cloud: str | None = None,
        *more: str,
        policy: Any = POLICY,
        **options: Any,
    ) -> Rig:
        folder = tmp_path / str(len(built))
        folder.mkdir()
        addresses = {
            "local": local or f"http://127.0.0.1:{upstreams['local'].port}",
            "cloud": cloud or f"http://127.0.0.1:{upstreams['cloud'].port}",
        }
        plain = json.loads(json.dumps(policy))
        plain["backends"][1]["external"].pop("credentialsSecretRef", None)
        proxy = Proxy(folder, plain, addresses, *more, **options)
        built.append(Rig(proxy, upstreams["local"], upstreams["cloud"]))
        return built[-1]

    yield run
    for rig in built:
        rig.hold_the_invariants()
        assert rig.proxy.stop() == 0


@pytest.fixture
def dns() -> Iterator[Dns]:
    """A DNS server that knows nothing yet."""
    server = Dns(lambda _: NXDOMAIN)
    yield server
    server.stop()


def asked_of(dns: Dns) -> tuple[str, str]:
    return "--resolver", f"127.0.0.1:{dns.port}"


@fault("U1", "NXDOMAIN; SERVFAIL", "502 upstream_dns; the next candidate serves; breaker +1")
@pytest.mark.parametrize("code", [NXDOMAIN, SERVFAIL])
def test_u1_a_name_that_does_not_exist(build: Build, dns: Dns, code: int) -> None:
    dns.meaning = lambda _: code
    rig = build(f"http://local.test:{free_port()}", None, *asked_of(dns))
    answer = rig.ask(body("alone"))
    assert (answer.status, answer.code) == (502, "upstream_dns")
    assert "x-lockgate-backend: cloud" in rig.ask().head
    assert rig.grew("lockgate_breaker_failures") == 2


@fault("U2", "one name's server is silent", "504 by the connect deadline; others at once")
def test_u2_a_silent_name_delays_no_other(
    build: Build, dns: Dns, upstreams: dict[str, Upstream]
) -> None:
    dns.meaning = lambda name: ["127.0.0.1"] if name == "good.test" else None
    port = upstreams["cloud"].port
    rig = build("http://slow.test:1", f"http://good.test:{port}", *asked_of(dns))
    waiting = []
    for _ in range(30):  # three times what Twisted's resolver has threads
        connection = rig.connect()
        connection.sendall(request(body("alone"), close=True))
        waiting.append(connection)
    eventually(lambda: "slow.test" in dns.asked)
    assert rig.ask(None, ("x-llmkube-task-complexity", "complex")).status == 200
    assert rig.metrics()["lockgate_in_flight"] == 30  # they still wait
    for connection in waiting:
        assert connection.recv(65536).startswith(b"HTTP/1.1 50")
        connection.close()
    outcomes = {rig.record()["attempts"][0]["outcome"] for _ in range(31)}
    assert outcomes == {"complete", "connect_timeout"} | ({"upstream_dns"} & outcomes)


@fault("U3", "a cloud name resolves to metadata, loopback", "upstream_address, no connection")
@fault("U3", "a local name moves to a public address after its TTL", "refused from then on")
def test_u3_a_name_that_moves_is_refused(
    build: Build, dns: Dns, upstreams: dict[str, Upstream]
) -> None:
    policy = json.loads(json.dumps(POLICY))
    del policy["backends"][1]["external"]["allowPrivateAddress"]
    meaning: dict[str, Answer] = {"local.test": ["127.0.0.1"], "cloud.test": ["169.254.169.254"]}
    dns.meaning = lambda name: meaning.get(name, NXDOMAIN)
    ports = upstreams["local"].port, upstreams["cloud"].port
    rig = build(
        f"http://local.test:{ports[0]}",
        f"http://cloud.test:{ports[1]}",
        *asked_of(dns),
        policy=policy,
    )
    for address in (["169.254.169.254"], ["127.0.0.1"], ["8.8.8.8", "10.0.0.1"]):
        meaning["cloud.test"] = address
        let_pass(1.1)  # the TTL
        rig.ask(None, ("x-llmkube-task-complexity", "complex"))
        assert rig.record()["attempts"][0]["outcome"] == "upstream_address"
    assert upstreams["cloud"].connections == 0
    upstreams["local"].script = lambda c, _: reset(c)  # so that no connection is kept
    rig.ask(body("alone"))
    meaning["local.test"] = ["192.0.2.1"]
    let_pass(1.1)
    rig.ask(body("alone"))
    assert rig.record()["attempts"][0]["outcome"] == "upstream_reset"
    assert rig.record()["attempts"][0]["outcome"] == "upstream_address"


@fault("U4", "refused; backlog full", "502, 504; the next candidate serves; breaker +1")
@pytest.mark.parametrize("how", ["refused", "backlog"])
def test_u4_nobody_accepts(build: Build, how: str) -> None:
    listener, waiting = full_backlog()
    port = free_port() if how == "refused" else listener.getsockname()[1]
    rig = build(f"http://127.0.0.1:{port}")
    answer = rig.ask(body("alone"))
    expected = (502, "upstream_connect") if how == "refused" else (504, "connect_timeout")
    assert (answer.status, answer.code) == expected
    assert "x-lockgate-backend: cloud" in rig.ask().head
    assert rig.grew("lockgate_breaker_failures") == 2
    for one in (*waiting, listener):
        one.close()


@fault("U5", "accepted and reset at once", "one repeat, then the next; connect-only: no repeat")
def test_u5_a_reset_follows_the_retry_law(rig: Rig) -> None:
    rig.local.script = lambda c, _: reset(c)
    assert "x-lockgate-backend: cloud" in rig.ask().head
    assert [a["backend"] for a in rig.record()["attempts"]] == ["local", "local", "cloud"]
    rig.local.requests.clear()
    answer = rig.ask(body("once"))
    assert (answer.status, answer.code) == (502, "upstream_reset")
    assert len(rig.local.requests) == 1


@fault("U6", "a kept connection closed, reset, between two requests", "a fresh one, one attempt")
@fault("U6", "a kept connection reset by the second request", "connect-only: one execution")
def test_u6_a_kept_connection_that_is_dead(rig: Rig) -> None:
    for end in (lambda c: c.close(), reset):

        def once(connection: socket.socket, one: bytes, end: Any = end) -> None:
            serve_well(connection, one)
            end(connection)
            raise OSError

        rig.local.script = once
        for _ in range(3):
            assert rig.ask(body("alone")).status == 200
            assert len(rig.record()["attempts"]) == 1
            let_pass(0.02)
    rig.local.script = serve_well
    assert rig.ask(body("once")).status == 200
    rig.record()
    rig.local.requests.clear()
    rig.local.script = lambda c, _: reset(c)
    assert rig.ask(body("once")).status == 502
    record = rig.record()
    assert (record["attempts"][0]["reused"], len(rig.local.requests)) == (True, 1)


@fault("U6", "a kept TLS connection that ends after the second request", "one execution, recorded")
def test_u6_a_kept_tls_connection_that_took_a_request(start: Start, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    (tmp_path / "secrets" / "ca").mkdir()
    authority.cert_pem.write_to_path(str(tmp_path / "secrets" / "ca" / "ca.crt"))

    def answer_once(secure: ssl.SSLSocket, raw: socket.socket, one: bytes) -> None:
        serve(secure, raw, one)
        upstream.requests.append(read_request(secure))
        raw.shutdown(socket.SHUT_RDWR)

    upstream = TlsUpstream(context, answer_once)
    policy = changed("all")
    url = f"https://localhost:{upstream.port}/v1"
    external = {"provider": "openai", "model": "m", "url": url}
    tls = {"caSecretRef": {"name": "ca"}}
    policy["backends"].append({"name": "near", "tier": "local", "external": external, "tls": tls})
    policy["rules"] = [{"name": "once", "route": {"backends": ["near"]}, "retry": "connect-only"}]
    rig = start(policy=policy, spare_fds=12)
    assert rig.ask().status == 200
    assert rig.record()["attempts"][0]["reused"] is False
    assert rig.ask().status == 502
    (attempt,) = rig.record()["attempts"]
    assert (attempt["reused"], attempt["outcome"]) == (True, "upstream_reset")
    assert len(upstream.requests) == 2


@fault("U7", "accepted, never answered", "504 by the first-token deadline, upstream closed")
def test_u7_silence(rig: Rig) -> None:
    rig.local.script = lambda c, _: c.recv(1)
    answer = rig.ask(body("strict"))
    assert (answer.status, answer.code) == (504, "first_token_timeout")
    rig.upstream_left_within_a_second(rig.local)
    rig.local.script = lambda c, _: c.recv(1)
    assert "x-lockgate-backend: cloud" in rig.ask(body("twice")).head
    assert len(rig.local.requests) == 2  # a silent backend is not asked twice


@fault("U8", "eleven local ports in a namespace, 30 requests", "503 proxy_capacity, nobody blamed")
@fault("X17", "an AAAA that leads nowhere beside a good A", "served by IPv4 after the head start")
@pytest.mark.parametrize("scenario", ["ports", "dead-v6"])
def test_u8_x17_in_a_network_of_its_own(scenario: str) -> None:
    script = [sys.executable, "-m", "tests.faults.netns", scenario]
    done = subprocess.run(
        ["unshare", "--net", *script],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@fault("U9", "64 descriptors, 200 connections, a stream", "the stream finishes, audit goes on")
def test_u9_descriptors_run_out(build: Build) -> None:
    rig = build(descriptors=64)
    goes_on = threading.Event()

    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(SSE_HEAD + word("a"))
        goes_on.wait(timeout=60)
        connection.sendall(word("b") + END + DONE)

    rig.local.script = script
    stream = rig.connect()
    stream.sendall(request(body(stream=True), close=True))
    assert b"200 OK" in stream.recv(65536)
    flood = [socket.create_connection(("127.0.0.1", rig.proxy.port)) for _ in range(200)]
    goes_on.set()
    data = b""
    while piece := stream.recv(65536):
        data += piece
    assert data.rstrip().endswith(b"0")
    stream.close()
    for one in flood:
        one.close()
    rig.local.script = serve_well
    eventually(lambda: rig.ask().status == 200)


@fault("U10", "up and down every 100 ms, 200 requests", "attempts within the law, all answered")
def test_u10_an_upstream_that_flaps(rig: Rig) -> None:
    began = time.monotonic()

    def script(connection: socket.socket, one: bytes) -> None:
        if int((time.monotonic() - began) * 10) % 2:
            reset(connection)
        else:
            serve_well(connection, one)

    rig.local.script = script
    for _ in range(200):
        assert rig.ask().status == 200
    attempts = [len(rig.record()["attempts"]) for _ in range(200)]
    assert max(attempts) <= 3
    assert len(rig.local.requests) <= 200 + 200 * 0.2 + 10 * (time.monotonic() - began) + 10
