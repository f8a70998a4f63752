"""TLS towards upstreams: the peer is who its name says, or there is no connection.

Stock Twisted 26.10 accepts a leaf certificate without subjectAltName for any name: service_identity
raises CertificateError, and the stock callback only takes VerificationError for a failure. Here a
name check that raises anything at all is a failed check.

TLS 1.2 at least; platform trust, or the bundle that SSL_CERT_FILE names; ALPN http/1.1; SNI for
names and never for literal addresses (RFC 6066, section 3).
"""

import ipaddress
from collections.abc import Callable
from functools import cache
from typing import Any

from OpenSSL import SSL
from service_identity.hazmat import DNS_ID, IPAddress_ID, ServiceID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion, platformTrust
from twisted.logger import Logger
from zope.interface import implementer

_log = Logger("lockgate.tls")


@cache
def _context() -> SSL.Context:
    """Build the one context; reading the platform's trust takes tens of milliseconds."""
    options = CertificateOptions(
        trustRoot=platformTrust(),
        lowerMaximumSecurityTo=None,
        raiseMinimumTo=TLSVersion.TLSv1_2,
        acceptableProtocols=[b"http/1.1"],
    )
    return options.getContext()


@cache
def client_tls(host: str) -> IOpenSSLClientConnectionCreator:
    """Return what makes TLS connections to `host`, a DNS name or a literal address."""
    return StrictClient(host, _context())


@implementer(IOpenSSLClientConnectionCreator)
class StrictClient:
    """Makes client connections that verify `host` and fail on any doubt."""

    def __init__(self, host: str, context: SSL.Context) -> None:
        self._context = context
        self._server_name: bytes | None = None
        try:
            ipaddress.ip_address(host)
        except ValueError:
            self._server_name = host.encode("idna")
            self._identity: ServiceID = DNS_ID(self._server_name.decode("ascii"))
        else:
            self._identity = IPAddress_ID(host)

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:  # noqa: ARG002
        """Return a connection whose handshake fails unless chain and name hold."""
        connection = SSL.Connection(self._context, None)
        if self._server_name is not None:
            connection.set_tlsext_host_name(self._server_name)
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verifier())
        return connection

    def _verifier(self) -> Callable[[SSL.Connection, Any, int, int, int], bool]:
        identity = self._identity

        def verify(_: SSL.Connection, certificate: Any, __: int, depth: int, ok: int) -> bool:
            if depth != 0 or not ok:
                return bool(ok)
            try:
                verify_service_identity(extract_patterns(certificate), [identity], [])
            except Exception as problem:  # noqa: BLE001 - any doubt is a failed check
                _log.warn("certificate refused: {problem!r}", problem=problem)
                return False
            return True

        return verify
