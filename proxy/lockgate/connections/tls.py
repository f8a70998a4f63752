"""TLS towards upstreams: the peer is who its name says, or there is no connection.

Stock Twisted 26.10 accepts a leaf certificate without subjectAltName for any name: service_identity
raises CertificateError, and the stock callback only takes VerificationError for a failure. Here a
name check that raises anything at all is a failed check.

TLS 1.2 at least, with forward secrecy and authenticated ciphers; platform trust, or the bundle that
SSL_CERT_FILE names, or a backend's own CA and then no other; ALPN http/1.1; SNI for names and never
for literal addresses (RFC 6066, section 3). There is no way to turn a check off.

A session is resumed for at most five minutes after the handshake in which its certificate was
checked (RFC 8446, section 2.2, allows seven days), to the same host and under the same files only:
other authorities or another client certificate begin anew. A session of TLS 1.2 is resumed with
TLS 1.2 (RFC 8446, appendix D.1), so that no key shares are made that its server does not know.

Towards clients: TLS 1.2 at least, no renegotiation, no session tickets and no session cache, so
that nothing is resumed over a change of certificate, no early data.
"""

import ipaddress
from functools import lru_cache
from typing import Any, Final

from cryptography import x509
from OpenSSL import SSL, crypto
from OpenSSL.crypto import FILETYPE_PEM, X509, PKey, load_privatekey
from service_identity.hazmat import DNS_ID, IPAddress_ID, ServiceID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion, platformTrust
from twisted.logger import Logger
from zope.interface import implementer

from lockgate.connections.credentials import TlsFiles

SESSION_S: Final = 300.0
CIPHERS: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE+AESGCM:ECDHE+CHACHA20"
)
"""For TLS 1.2: forward secret and authenticated (RFC 9325, section 4.2), SHA-256 first, as browsers
do: processors have instructions for it and none for SHA-384, of which a handshake makes a lot."""
CIPHERS_13: Final = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
_log = Logger("lockgate.tls")


@lru_cache(maxsize=256)
def _client_context(files: TlsFiles) -> SSL.Context:
    """Build a context once; reading the platform's trust takes tens of milliseconds."""
    trust = platformTrust()  # type: ignore[no-untyped-call] # Twisted has no types for it
    options = CertificateOptions(
        trustRoot=trust if files.authorities is None else None,
        lowerMaximumSecurityTo=None,
        raiseMinimumTo=TLSVersion.TLSv1_2,
        enableSessions=True,
        enableSessionTickets=True,
    )
    context = options.getContext()
    context.set_alpn_protos([b"http/1.1"])  # Twisted's option acts in Twisted's own client alone
    if files.authorities is not None:
        store = context.get_cert_store()
        assert store is not None
        for authority in x509.load_pem_x509_certificates(files.authorities):
            store.add_cert(X509.from_cryptography(authority))
    if files.certificate is not None and files.key is not None:
        use_pair(context, files.certificate, files.key)
    context.set_options(SSL.OP_NO_RENEGOTIATION)
    context.set_cipher_list(CIPHERS)
    context.set_tls13_ciphersuites(CIPHERS_13)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)
    return context


def _verify(connection: SSL.Connection, certificate: Any, _: int, depth: int, ok: int) -> bool:
    """Take a certificate of a chain that holds if, being the leaf, it has the peer's name."""
    if depth != 0 or not ok:
        return bool(ok)
    try:
        peer: ServiceID = connection.get_app_data()
        verify_service_identity(extract_patterns(certificate), [peer], [])
    except Exception as problem:  # noqa: BLE001 - any doubt is a failed check
        _log.warn("certificate refused: {problem!r}", problem=problem)
        return False
    return True


def use_pair(context: SSL.Context, certificate: bytes, key: bytes) -> None:
    """Put a PEM chain and its PEM key into `context`; ValueError or SSL.Error where they differ."""
    leaf, *chain = x509.load_pem_x509_certificates(certificate)
    context.use_certificate(X509.from_cryptography(leaf))
    for between in chain:
        context.add_extra_chain_cert(X509.from_cryptography(between))
    context.use_privatekey(_private_key(key))
    context.check_privatekey()


def _private_key(pem: bytes) -> PKey:
    """Return a key; ValueError for what is none, as half a file is while it is written."""
    try:
        return load_privatekey(FILETYPE_PEM, pem, _no_passphrase)
    except crypto.Error as problem:
        raise ValueError(f"not a private key: {problem}") from problem


def _no_passphrase(*_: object) -> bytes:
    """Refuse to ask for one: a mounted key has none."""
    return b""


@lru_cache(maxsize=256)
def upstream_tls(host: str, files: TlsFiles) -> "StrictClient":
    """Return what makes TLS connections to `host`, a DNS name or a literal address.

    ValueError or SSL.Error when `files` are not what they should be.
    """
    return StrictClient(host, _client_context(files))


def server_context(certificate: bytes, key: bytes) -> SSL.Context:
    """Return the context of a listener; ValueError or SSL.Error when the pair does not fit."""
    context = CertificateOptions(
        lowerMaximumSecurityTo=None,
        raiseMinimumTo=TLSVersion.TLSv1_2,
        acceptableProtocols=[b"http/1.1"],
    ).getContext()
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    use_pair(context, certificate, key)
    return context


@implementer(IOpenSSLServerConnectionCreator)
class Server:
    """Makes a listener's connections; `context` may be replaced at any time."""

    def __init__(self, context: SSL.Context) -> None:
        self.context = context

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: ARG002
        """Return a connection under the context of this moment."""
        return SSL.Connection(self.context, None)


class StrictClient:
    """Makes client connections that verify `host` and fail on any doubt."""

    def __init__(self, host: str, context: SSL.Context) -> None:
        self._context = context
        self._session: SSL.Session | None = None
        self._checked_at = 0.0
        self._is_old = False  # the session is of TLS 1.2
        self._server_name: bytes | None = None
        try:
            ipaddress.ip_address(host)
        except ValueError:
            self._server_name = host.encode("idna")
            self._peer: ServiceID = DNS_ID(self._server_name.decode("ascii"))
        else:
            self._peer = IPAddress_ID(host)

    def connection(self, now: float) -> tuple[SSL.Connection, float]:
        """Return a connection whose handshake fails unless chain and name hold, or held.

        With it comes when they were or will be checked: `now`, or the time of the handshake that
        made the session which it resumes.
        """
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(self._peer)
        connection.set_connect_state()
        if self._server_name is not None:
            connection.set_tlsext_host_name(self._server_name)
        if self._session is None or now - self._checked_at > SESSION_S:
            self._session = None
            return connection, now
        connection.set_session(self._session)
        if self._is_old:
            connection.set_options(SSL.OP_NO_TLSv1_3)
        return connection, self._checked_at

    def keep(self, connection: SSL.Connection, checked_at: float) -> None:
        """Keep the session of a connection that served well, for the next one."""
        if checked_at < self._checked_at:
            return
        session = connection.get_session()
        if session is None:
            return
        if checked_at != self._checked_at or self._session is None:  # another handshake's
            self._is_old = connection.get_protocol_version() < SSL.TLS1_3_VERSION
        self._session, self._checked_at = session, checked_at
