"""TLS to upstreams through the real process: the peer is who its name says, or no byte is sent."""

import datetime as dt
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.net.conftest import ANSWER, POLICY, Proxy, http, read_request

DAY = dt.timedelta(days=1)


class TlsUpstream:
    """A server with one certificate; `requests` has what came over a good handshake."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.requests: list[bytes] = []
        self.names: list[str | None] = []
        context.sni_callback = lambda _s, name, _c: self.names.append(name)
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
                with self._context.wrap_socket(connection, server_side=True) as secure:
                    self.requests.append(read_request(secure))
                    secure.sendall(http(200, json.dumps(ANSWER).encode()))
            except OSError:
                if self._listener.fileno() < 0:
                    return

    def stop(self) -> None:
        self._listener.close()


def leaf(
    folder: Path, ca: trustme.CA, *, sans: list[x509.GeneralName] | None, days: int
) -> ssl.SSLContext:
    """Return a context with a leaf that trustme would not make."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer = serialization.load_pem_private_key(ca.private_key_pem.bytes(), None)
    issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder(
        issuer_name=issuer.subject, subject_name=name, public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - 30 * DAY, not_valid_after=now + days * DAY,
    )  # fmt: skip
    if sans is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    certificate = builder.sign(signer, hashes.SHA256())  # type: ignore[arg-type]
    file = folder / "leaf.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.fixture
def ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """A certificate authority that the proxy's platform trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority


def issued(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def contexts(tmp_path: Path, ca: trustme.CA) -> dict[str, ssl.SSLContext]:
    local = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    old = issued(ca, "localhost")
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    return {
        "good name": issued(ca, "localhost"),
        "T1 expired": leaf(tmp_path, ca, sans=local, days=-1),
        "T3 untrusted": issued(trustme.CA(), "localhost"),
        "T4 wrong name": issued(ca, "example.com"),
        "T5 wildcard": issued(ca, "*.localhost"),
        "T6 no subjectAltName": leaf(tmp_path, ca, sans=None, days=10),
        "T10 TLS 1.1": old,
    }


@pytest.fixture
def ask(tmp_path: Path, ca: trustme.CA) -> Iterator[object]:
    """Ask a proxy whose cloud backend is at this TLS server."""
    assert ca
    started: list[Proxy] = []

    def run(upstream: TlsUpstream, host: str) -> tuple[int, str, str]:
        policy = json.loads(json.dumps(POLICY))
        del policy["backends"][1]["external"]["credentialsSecretRef"]
        policy["rules"] = [{"name": "only", "route": {"backends": ["cloud"]}, "failClosed": True}]
        addresses = {"cloud": f"https://{host}:{upstream.port}", "local": "http://127.0.0.1:9"}
        proxy = Proxy(tmp_path, policy, addresses)
        started.append(proxy)
        answer = proxy.ask()
        record = proxy.record()
        return answer.status, record["attempts"][0]["outcome"], proxy.log.read_text()

    yield run
    for proxy in started:
        assert proxy.stop() == 0


@pytest.mark.parametrize(
    ("which", "host", "outcome"),
    [
        ("good name", "localhost", "complete"),
        ("good name", "127.0.0.1", "upstream_tls"),
        ("T1 expired", "localhost", "upstream_tls"),
        ("T3 untrusted", "localhost", "upstream_tls"),
        ("T4 wrong name", "localhost", "upstream_tls"),
        ("T5 wildcard", "localhost", "upstream_tls"),
        ("T6 no subjectAltName", "localhost", "upstream_tls"),
        ("T10 TLS 1.1", "localhost", "upstream_tls"),
    ],
)
def test_only_a_good_certificate_gets_the_request(
    ask: object, contexts: dict[str, ssl.SSLContext], which: str, host: str, outcome: str
) -> None:
    upstream = TlsUpstream(contexts[which])
    status, found, log = ask(upstream, host)  # type: ignore[operator]
    upstream.stop()
    assert found == outcome, log
    assert status == (200 if outcome == "complete" else 503)
    assert len(upstream.requests) == (1 if outcome == "complete" else 0)
    assert "Traceback" not in log


def test_an_ip_address_is_matched_by_an_ip_name_and_sends_no_sni(
    ask: object, ca: trustme.CA
) -> None:
    upstream = TlsUpstream(issued(ca, "127.0.0.1"))
    status, found, log = ask(upstream, "127.0.0.1")  # type: ignore[operator]
    upstream.stop()
    assert (status, found) == (200, "complete"), log
    assert upstream.names == [None]


def test_t8_a_handshake_that_hangs_meets_the_connect_deadline(ask: object) -> None:
    silent = socket.create_server(("127.0.0.1", 0))

    class Silent:
        port = silent.getsockname()[1]

    status, found, _ = ask(Silent(), "localhost")  # type: ignore[operator]
    silent.close()
    assert (status, found) == (503, "connect_timeout")
