"""Rows T: the peer is who its name says, or not a byte is sent. Both sides."""

import json
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509

from tests.faults.certificates import (
    DAY,
    TlsUpstream,
    certificate,
    issued,
    leaf,
    long_chain,
    pem,
    signer_of,
)
from tests.faults.rig import Rig, body, request
from tests.support.proxy import Proxy, free_port
from tests.support.responses import word
from tests.support.upstream import Upstream
from tests.support.wait import eventually, let_pass, pace

fault = pytest.mark.fault
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
Run = Callable[..., Rig]


@pytest.fixture
def ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """A certificate authority that the proxy's platform trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority


@pytest.fixture
def run(tmp_path: Path, ca: trustme.CA) -> Iterator[Run]:
    """Run a proxy with one cloud backend a model name; the invariants hold after."""
    assert ca
    rigs: list[Rig] = []

    def start(urls: dict[str, str], *more: str, **fields: Any) -> Rig:
        backends = [
            {"name": name, "tier": "cloud", **fields,
             "external": {"provider": "openai", "model": "m", "url": "https://x/v1", "allowPrivateAddress": True}}
            for name in urls
        ]  # fmt: skip
        policy = {
            "backends": backends,
            "rules": [
                {"name": f"r-{n}", "match": {"models": [n]}, "route": {"backends": [n]}}
                for n in urls
            ],
            "proxy": {"timeouts": {"connect": "1s"}, "quarantineDuration": "100ms"},
        }
        proxy = Proxy(tmp_path, policy, urls, *more)
        rigs.append(Rig(proxy, Upstream(), Upstream(), spare_fds=12))  # c-ares resolves
        return rigs[-1]

    yield start
    for rig in rigs:
        rig.hold_the_invariants()
        assert rig.proxy.stop() == 0


def broken(folder: Path, ca: trustme.CA) -> dict[str, tuple[ssl.SSLContext, str]]:
    """Return servers whose certificates do not hold, and the host each is asked for."""
    old = issued(ca, "localhost")
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    weak = issued(ca, "localhost")
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("AES128-SHA:@SECLEVEL=0")
    cbc = issued(ca, "localhost")
    cbc.maximum_version = ssl.TLSVersion.TLSv1_2
    cbc.set_ciphers("ECDHE-ECDSA-AES256-SHA384")
    return {
        "t1-expired": (leaf(folder, ca, ends=-DAY), "localhost"),
        "t2-not-yet": (leaf(folder, ca, begins=DAY), "localhost"),
        "t3-untrusted": (issued(trustme.CA(), "localhost"), "localhost"),
        "t4-other-host": (issued(ca, "example.com"), "localhost"),
        "t5-wildcard": (issued(ca, "*.localhost"), "localhost"),
        "t5-address": (issued(ca, "127.0.0.2"), "127.0.0.1"),
        "t5-name-for-address": (issued(ca, "localhost"), "127.0.0.1"),
        "t6-no-san": (leaf(folder, ca, sans=None), "localhost"),
        "t10-old": (old, "localhost"),
        "t10-weak": (weak, "localhost"),
        "t10-cbc": (cbc, "localhost"),
        "t10-sha1": (_sha1(folder), "localhost"),
        "t10-long-chain": (long_chain(folder, ca, 30), "localhost"),
    }


def _sha1(folder: Path) -> ssl.SSLContext:
    """Return a server whose leaf is signed with SHA-1 by the trusted authority, made by openssl."""
    _, key = signer_of_file(folder)
    (folder / "sha1-ca.key").write_bytes(key)
    run = [
        "openssl",
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "sha1.key",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run([*run, "-out", "sha1.csr"], cwd=folder, check=True, capture_output=True)
    (folder / "sha1.ext").write_text("subjectAltName=DNS:localhost\n")
    run = ["openssl", "x509", "-req", "-in", "sha1.csr", "-CA", "ca.pem", "-CAkey", "sha1-ca.key"]
    run += ["-CAcreateserial", "-days", "10", "-sha1", "-extfile", "sha1.ext", "-out", "sha1.crt"]
    subprocess.run(run, cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(folder / "sha1.crt", folder / "sha1.key")
    return context


_KEYS: dict[Path, bytes] = {}


def signer_of_file(folder: Path) -> tuple[bytes, bytes]:
    """Return the authority's certificate and key of a test's folder."""
    return (folder / "ca.pem").read_bytes(), _KEYS[folder]


@fault("T1", "expired yesterday", "502 upstream_tls, no byte sent, breaker +1")
@fault("T2", "valid from tomorrow", "the same")
@fault("T3", "signed by an authority nobody trusts", "the same")
@fault("T4", "a leaf for example.com", "the same")
@fault("T5", "*.localhost; another address; a name for an address", "the same")
@fault("T6", "no subjectAltName, the host as common name", "the same")
@fault("T10", "TLS 1.1 only; AES128-SHA; a CBC cipher; SHA-1; 30 intermediates", "the same")
def test_t1_to_t6_t10_a_broken_certificate_gets_no_request(
    tmp_path: Path, ca: trustme.CA, run: Run
) -> None:
    _KEYS[tmp_path] = ca.private_key_pem.bytes()
    servers = {name: (TlsUpstream(c), host) for name, (c, host) in broken(tmp_path, ca).items()}
    rig = run({name: f"https://{host}:{s.port}" for name, (s, host) in servers.items()})
    for name, (server, _) in servers.items():
        answer = rig.ask(body(name))
        record = rig.record()
        assert (answer.status, record["attempts"][0]["outcome"]) == (502, "upstream_tls"), name
        assert server.requests == [], name
        server.stop()
    assert rig.grew("lockgate_breaker_failures") == len(servers)


@fault("T7", "a server for two names", "SNI for a name, none for an address")
@fault("T10", "a chain of three intermediates", "taken: it holds")
def test_t7_a_good_certificate_gets_its_request(tmp_path: Path, ca: trustme.CA, run: Run) -> None:
    named, by_address = TlsUpstream(issued(ca, "localhost")), TlsUpstream(issued(ca, "127.0.0.1"))
    chain = TlsUpstream(long_chain(tmp_path, ca, 3))
    urls = {"a": f"https://localhost:{named.port}", "b": f"https://127.0.0.1:{by_address.port}"}
    rig = run({**urls, "c": f"https://localhost:{chain.port}"})
    assert [rig.ask(body(n)).status for n in ("a", "b", "c")] == [200, 200, 200]
    assert (named.names, by_address.names) == (["localhost"], [None])


@fault("T8", "silence, a byte a second, plain HTTP instead of TLS", "504 or 502, nothing sent")
def test_t8_a_handshake_that_is_none(ca: trustme.CA, run: Run) -> None:
    listeners = {n: socket.create_server(("127.0.0.1", 0)) for n in ("silent", "drip", "plain")}

    def accept(name: str) -> None:
        connection, _ = listeners[name].accept()
        held.append(connection)
        try:
            for _ in range(30):
                if name == "plain":
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    connection.close()
                    return
                if name == "drip":
                    connection.sendall(b"\x16")
                pace(0.1)
        except OSError:
            pass

    held: list[socket.socket] = []
    for name in listeners:
        threading.Thread(target=accept, args=(name,), daemon=True).start()
    rig = run({n: f"https://localhost:{s.getsockname()[1]}" for n, s in listeners.items()})
    outcomes = {}
    for name in listeners:
        rig.ask(body(name))
        outcomes[name] = rig.record()["attempts"][0]["outcome"]
    assert outcomes["silent"] == "connect_timeout"
    assert outcomes["drip"] in {"connect_timeout", "upstream_tls"}
    assert outcomes["plain"] == "upstream_tls"
    for one in (*listeners.values(), *held):
        one.close()


@fault(
    "T9", "the TCP connection ends without close_notify", "truncated, also where that is the end"
)
@pytest.mark.parametrize("streaming", [True, False])
def test_t9_an_end_without_close_notify_is_a_cut(ca: trustme.CA, run: Run, streaming: bool) -> None:
    kind = b"text/event-stream" if streaming else b"application/json"
    data = word("x").partition(b"\r\n")[2] if streaming else b"{}"

    def cut(secure: ssl.SSLSocket, raw: socket.socket, _: bytes) -> None:
        secure.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n\r\n%b" % (kind, data))
        pace(0.1)
        raw.shutdown(socket.SHUT_RDWR)

    server = TlsUpstream(issued(ca, "localhost"), cut)
    rig = run({"a": f"https://localhost:{server.port}"})
    answer = rig.ask(body("a", stream=streaming))
    assert (answer.status == 200) == streaming
    assert not answer.clean or answer.status == 502
    assert rig.record()["attempts"][0]["outcome"] == "upstream_truncated"
    server.stop()


@fault(
    "T3", "an own CA, present, absent, garbage", "only it is trusted; no candidate; upstream_tls"
)
def test_t3_a_backends_own_authority(tmp_path: Path, ca: trustme.CA, run: Run) -> None:
    own = trustme.CA()
    secret = tmp_path / "secrets" / "own-ca"
    secret.mkdir(parents=True)
    own.cert_pem.write_to_path(secret / "ca.crt")
    good, platform = TlsUpstream(issued(own, "localhost")), TlsUpstream(issued(ca, "localhost"))
    urls = {"a": f"https://localhost:{good.port}", "b": f"https://localhost:{platform.port}"}
    rig = run(urls, "--secrets", str(tmp_path / "secrets"), tls={"caSecretRef": {"name": "own-ca"}})
    assert rig.ask(body("a")).status == 200
    assert rig.ask(body("b")).code == "upstream_tls"
    (secret / "ca.crt").write_text("garbage")
    let_pass(1.1)
    assert rig.ask(body("a")).code == "upstream_tls"
    (secret / "ca.crt").unlink()
    let_pass(1.1)
    assert rig.ask(body("a")).code == "credentials_missing"
    assert platform.requests == []


@fault("T1", "a good certificate, resumed, then an expired one", "resumed; refused")
def test_t1_a_kept_session_is_no_way_around_a_check(
    tmp_path: Path, ca: trustme.CA, run: Run
) -> None:
    server = TlsUpstream(issued(ca, "localhost"))
    rig = run({"a": f"https://localhost:{server.port}"})
    assert [rig.ask(body("a")).status for _ in range(3)] == [200, 200, 200]
    assert server.resumed == [False, True, True]
    server.show(leaf(tmp_path, ca, ends=-DAY))
    assert rig.ask(body("a")).code == "upstream_tls"
    assert len(server.requests) == 3
    server.stop()


@fault("T4", "a server that asks for a client certificate", "the backend's own is shown")
def test_t4_a_client_certificate(tmp_path: Path, ca: trustme.CA, run: Run) -> None:
    secret = tmp_path / "secrets" / "cc"
    secret.mkdir(parents=True)
    own, key = certificate(signer_of(ca), sans=[x509.DNSName("lockgate")])
    chain, private = pem([own], key)
    (secret / "tls.crt").write_bytes(chain)
    (secret / "tls.key").write_bytes(private)
    context = issued(ca, "localhost")
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)
    server = TlsUpstream(context)
    rig = run(
        {"a": f"https://localhost:{server.port}"}, "--secrets", str(tmp_path / "secrets"),
        tls={"clientCertSecretRef": {"name": "cc"}},
    )  # fmt: skip
    assert rig.ask(body("a")).status == 200
    assert "lockgate" in str(server.peers[0])


# -- the listener


@pytest.fixture
def listening(tmp_path: Path, ca: trustme.CA, upstreams: dict[str, Upstream]) -> Iterator[Rig]:
    """A proxy that callers speak TLS to."""
    from tests.faults.rig import POLICY

    for upstream in upstreams.values():
        upstream.reset()
    write_pair(tmp_path, ca)
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    files = ("--tls-cert", str(tmp_path / "tls.crt"), "--tls-key", str(tmp_path / "tls.key"))
    proxy = Proxy(tmp_path, POLICY, addresses, *files)
    rig = Rig(proxy, upstreams["local"], upstreams["cloud"])
    yield rig
    rig.hold_the_invariants()
    assert proxy.stop() == 0


def write_pair(folder: Path, ca: trustme.CA) -> int:
    """Write a fresh pair for the listener; return its serial number."""
    own, key = certificate(signer_of(ca))
    chain, private = pem([own], key)
    (folder / "tls.key").write_bytes(private)
    (folder / "tls.crt").write_bytes(chain)
    return own.serial_number


def speak(rig: Rig, ca: trustme.CA, **options: Any) -> ssl.SSLSocket:
    """Return a caller's TLS connection."""
    context = ssl.create_default_context()
    ca.configure_trust(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    raw = socket.create_connection(("127.0.0.1", rig.proxy.port), timeout=10)
    return context.wrap_socket(raw, server_hostname="localhost", **options)


def answered(connection: ssl.SSLSocket, host: str = "localhost") -> bytes:
    connection.sendall(request().replace(b"host: x", b"host: " + host.encode()))
    return connection.recv(65536)


def serial(connection: ssl.SSLSocket) -> int:
    peer = connection.getpeercert()
    assert peer
    return int(str(peer["serialNumber"]), 16)


@fault("T11", "a new pair, then garbage, then another key, with SIGHUP", "new, kept, kept; alarm")
def test_t11_the_listeners_certificate_rotates(
    listening: Rig, tmp_path: Path, ca: trustme.CA
) -> None:
    standing = speak(listening, ca)
    assert answered(standing).startswith(b"HTTP/1.1 200")
    new = write_pair(tmp_path, ca)
    listening.proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: serial(speak(listening, ca)) == new)
    (tmp_path / "tls.crt").write_text("garbage")
    listening.proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: listening.grew("lockgate_certificate_reloads_total") >= 2)
    assert serial(speak(listening, ca)) == new
    write_pair(tmp_path, ca)
    shutil.copy(tmp_path / "tls.crt", tmp_path / "other.crt")
    write_pair(tmp_path, ca)
    shutil.copy(tmp_path / "other.crt", tmp_path / "tls.crt")  # its key is another one
    listening.proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: listening.grew("lockgate_certificate_reloads_total") >= 3)
    last = speak(listening, ca)
    assert serial(last) == new
    assert answered(standing).startswith(b"HTTP/1.1 200")  # untouched by all of it
    assert 'certificate_reloads_total{result="refused"}' in listening.proxy.get("/metrics")
    standing.close()
    last.close()
    listening._before["process_open_fds"] += 2  # the test's own connections that eventually() left


@fault("T12", "a session kept over a rotation, early data, renegotiation", "never resumed; none")
@fault("T12", "another Host than the SNI's", "421")
def test_t12_nothing_is_resumed(listening: Rig, tmp_path: Path, ca: trustme.CA) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context()
        ca.configure_trust(context)
        context.maximum_version = version
        sessions = []
        for _ in range(2):
            raw = socket.create_connection(("127.0.0.1", listening.proxy.port), timeout=10)
            with context.wrap_socket(
                raw, server_hostname="localhost", session=sessions[-1] if sessions else None
            ) as one:
                assert answered(one).startswith(b"HTTP/1.1 200")
                assert not one.session_reused
                sessions.append(one.session)
    with speak(listening, ca) as one:
        assert one.selected_alpn_protocol() == "http/1.1"
        assert answered(one, "elsewhere.test").startswith(b"HTTP/1.1 421")
    connect = f"127.0.0.1:{listening.proxy.port}"
    run = ["openssl", "s_client", "-connect", connect, "-tls1_2", "-servername", "localhost"]
    done = subprocess.run(run, input=b"R\n", capture_output=True, timeout=20, check=False)
    assert b"no renegotiation" in done.stderr + done.stdout or b"handshake failure" in done.stderr
    context.maximum_version = context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    raw = socket.create_connection(("127.0.0.1", listening.proxy.port), timeout=10)
    with raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname="localhost")


@fault("T11", "no pair, half a pair, garbage, at the start", "exit 2 with a reason")
def test_t11_a_listener_does_not_start_without_a_good_pair(tmp_path: Path, ca: trustme.CA) -> None:
    import sys

    from tests.support.proxy import ROOT

    policy = {
        "backends": [{"name": "a", "inferenceServiceRef": {"name": "a"}}],
        "defaultRoute": "a",
    }
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    write_pair(tmp_path, ca)
    (tmp_path / "bad.crt").write_text("garbage")
    serve_on = [
        sys.executable,
        "-m",
        "lockgate.cli.main",
        "serve",
        "--policy",
        str(tmp_path / "policy.json"),
    ]
    serve_on += ["--listen", f"127.0.0.1:{free_port()}", "--admin", f"127.0.0.1:{free_port()}"]
    for options, said in (
        (["--tls-cert", str(tmp_path / "tls.crt")], "go together"),
        (
            ["--tls-cert", str(tmp_path / "bad.crt"), "--tls-key", str(tmp_path / "tls.key")],
            "bad.crt",
        ),
        (
            ["--tls-cert", str(tmp_path / "none"), "--tls-key", str(tmp_path / "tls.key")],
            "No such file",
        ),
    ):
        done = subprocess.run(
            [*serve_on, *options], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
        )
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
