"""Certificates good and bad, and servers that show them."""

import datetime as dt
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.responses import ANSWER, http
from tests.support.upstream import read_request

DAY = dt.timedelta(days=1)
LOCAL = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
Handle = Callable[[ssl.SSLSocket, socket.socket, bytes], None]


def serve(secure: ssl.SSLSocket, _: socket.socket, __: bytes) -> None:
    """Answer as a model would."""
    secure.sendall(http(200, json.dumps(ANSWER).encode()))


class TlsUpstream:
    """A server with one certificate; `requests` has what came over a good handshake."""

    def __init__(self, context: ssl.SSLContext, handle: Handle = serve) -> None:
        self.requests: list[bytes] = []
        self.names: list[str | None] = []
        self.peers: list[object] = []
        self.resumed: list[bool | None] = []
        self.handle = handle
        context.sni_callback = lambda _s, name, _c: self.names.append(name)
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        raw = connection.dup()
        try:
            with self._context.wrap_socket(connection, server_side=True) as secure:
                self.peers.append(secure.getpeercert())
                self.resumed.append(secure.session_reused)
                request = read_request(secure)
                if request:
                    self.requests.append(request)
                    self.handle(secure, raw, request)
        except OSError:
            pass
        finally:
            raw.close()

    def show(self, context: ssl.SSLContext) -> None:
        """Use another certificate from now on."""
        self._context = context

    def stop(self) -> None:
        """Accept nobody any more."""
        self._listener.close()


def issued(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """Return a server's context with a good leaf for `names`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


Signer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def signer_of(authority: trustme.CA) -> Signer:
    """Return a CA's certificate and key."""
    key = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return x509.load_pem_x509_certificate(authority.cert_pem.bytes()), key


def certificate(
    signer: Signer,
    *,
    sans: list[x509.GeneralName] | None = LOCAL,  # type: ignore[assignment]
    begins: dt.timedelta = -30 * DAY,
    ends: dt.timedelta = 10 * DAY,
    authority: bool = False,
) -> Signer:
    """Return a certificate that trustme would not make, and its key."""
    issuer, issuer_key = signer
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    name = "intermediate " + str(x509.random_serial_number()) if authority else "localhost"
    builder = x509.CertificateBuilder(
        issuer_name=issuer.subject,
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now + begins,
        not_valid_after=now + ends,
    )
    if authority:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
    elif sans is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()), key


def pem(chain: list[x509.Certificate], key: ec.EllipticCurvePrivateKey) -> tuple[bytes, bytes]:
    """Return a chain and its key in PEM."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in chain), private


def context_of(
    folder: Path, chain: list[x509.Certificate], key: ec.EllipticCurvePrivateKey
) -> ssl.SSLContext:
    """Return a server's context with this chain."""
    certificates, private = pem(chain, key)
    file = folder / f"{x509.random_serial_number()}.pem"
    file.write_bytes(private + certificates)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def leaf(
    folder: Path,
    authority: trustme.CA,
    *,
    sans: list[x509.GeneralName] | None = LOCAL,  # type: ignore[assignment]
    begins: dt.timedelta = -30 * DAY,
    ends: dt.timedelta = 10 * DAY,
) -> ssl.SSLContext:
    """Return a server's context with one odd leaf."""
    one, key = certificate(signer_of(authority), sans=sans, begins=begins, ends=ends)
    return context_of(folder, [one], key)


def long_chain(folder: Path, authority: trustme.CA, length: int) -> ssl.SSLContext:
    """Return a server's context whose leaf hangs on so many intermediates."""
    chain: list[x509.Certificate] = []
    signer = signer_of(authority)
    for _ in range(length):
        signer = certificate(signer, authority=True)
        chain.insert(0, signer[0])
    one, key = certificate(signer)
    return context_of(folder, [one, *chain], key)
