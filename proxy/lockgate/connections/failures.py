"""Twisted's and OpenSSL's failures become codes of ours, here and nowhere else."""

import errno
from typing import Final

from OpenSSL import SSL
from service_identity import VerificationError
from service_identity.exceptions import CertificateError
from twisted.internet import error
from twisted.python.failure import Failure

from lockgate.errors.codes import Code

_OUT_OF_ROOM: Final = frozenset({errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS})


def dial_failure_code(failure: Failure) -> Code:
    """Return the code of `lockgate.errors.kinds` for a connection that did not come about."""
    problem = failure.value
    if isinstance(problem, error.DNSLookupError):
        return "upstream_dns"
    if isinstance(problem, SSL.Error | VerificationError | CertificateError):
        return "upstream_tls"
    if isinstance(problem, error.TimeoutError):
        return "connect_timeout"
    if isinstance(problem, error.ConnectBindError | error.ConnectError):
        return "proxy_capacity" if problem.osError in _OUT_OF_ROOM else "upstream_connect"
    return "upstream_connect"
