"""Twisted's and OpenSSL's failures have one code each: a table."""

import errno

import pytest
from lockgate.connections.failures import connect_failure_code, resolve_failure_code
from OpenSSL import SSL
from service_identity import VerificationError
from service_identity.exceptions import CertificateError
from twisted.internet import error
from twisted.python.failure import Failure


@pytest.mark.parametrize(
    ("problem", "over_tls", "code"),
    [
        (error.DNSLookupError(), False, "upstream_dns"),
        (SSL.Error([]), True, "upstream_tls"),
        (VerificationError(errors=[]), True, "upstream_tls"),
        (CertificateError("no name"), True, "upstream_tls"),
        (error.ConnectionDone(), True, "upstream_tls"),
        (error.ConnectionDone(), False, "upstream_connect"),
        (error.TimeoutError(), False, "connect_timeout"),
        (error.ConnectionRefusedError(), False, "upstream_connect"),
        (error.ConnectError(errno.EHOSTUNREACH), False, "upstream_connect"),
        (error.ConnectError(errno.EADDRNOTAVAIL), False, "proxy_capacity"),
        (error.ConnectError(errno.EMFILE), False, "proxy_capacity"),
        (error.ConnectBindError(errno.ENFILE), True, "proxy_capacity"),
        (ValueError("of ours"), False, "upstream_connect"),
    ],
)
def test_a_connection_that_did_not_come_about(
    problem: Exception, over_tls: bool, code: str
) -> None:
    assert connect_failure_code(Failure(problem), over_tls=over_tls) == code


@pytest.mark.parametrize(
    ("problem", "code"),
    [(error.DNSLookupError(), "upstream_dns"), (OSError(errno.EMFILE), "proxy_capacity")],
)
def test_a_name_that_is_missing_is_not_one_that_could_not_be_asked_for(
    problem: Exception, code: str
) -> None:
    assert resolve_failure_code(Failure(problem)) == code
