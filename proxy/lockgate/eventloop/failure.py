"""Twisted's `Failure` and connection errors, with the types that they lack.

Each call into a function of Twisted's without annotations stands here, so that what calls it is
checked.
"""

from twisted.internet import error
from twisted.python.failure import Failure


def failure_of(problem: BaseException) -> Failure:
    """Return `problem` as Twisted passes exceptions on."""
    return Failure(problem)  # type: ignore[no-untyped-call] # Twisted has no types for it


def no_socket(problem: OSError) -> error.ConnectBindError:
    """Return the error for a socket that could not be made."""
    return error.ConnectBindError(problem.errno, problem.strerror)  # type: ignore[no-untyped-call] # as above


def not_connected(code: int) -> error.ConnectError:
    """Return the error for a connection that the kernel refused with `code`."""
    made: error.ConnectError = error.getConnectError((code, ""))  # type: ignore[no-untyped-call] # as above
    return made
