"""Twisted's and OpenSSL's failures become codes of ours, here and nowhere else.

The codes are rows of the table in `lockgate.errors`.
"""

import errno
from typing import Final

from OpenSSL import SSL
from service_identity import VerificationError
from service_identity.exceptions import CertificateError
from twisted.internet import error
from twisted.python.failure import Failure

from lockgate.errors.codes import Code

_OUT_OF_ROOM: Final = frozenset({errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS})


def resolve_failure_code(failure: Failure) -> Code:
    """Return the code for a name that has no address, or that could not be asked for."""
    missing = isinstance(failure.value, error.DNSLookupError)
    return "upstream_dns" if missing else "proxy_capacity"


def connect_failure_code(failure: Failure, *, over_tls: bool = False) -> Code:
    """Return the code for a connection that did not come about."""
    problem = failure.value
    if isinstance(problem, error.DNSLookupError):
        return "upstream_dns"
    if isinstance(problem, SSL.Error | VerificationError | CertificateError):
        return "upstream_tls"
    if isinstance(problem, error.ConnectionDone) and over_tls:  # an end before the handshake's
        return "upstream_tls"
    if isinstance(problem, error.TimeoutError):
        return "connect_timeout"
    if isinstance(problem, error.ConnectBindError | error.ConnectError):
        return "proxy_capacity" if problem.osError in _OUT_OF_ROOM else "upstream_connect"
    return "upstream_connect"
