"""An exception out of a callback ends the request that the callback was about, and no other.

Twisted closes the connection for an exception out of a read, and only logs one out of anything
else. Here `broke` is called on the owner of the connection, so that its request ends as `internal`,
with its response, its record and its memory given back, and all others go on (X6).
"""

from typing import Any, Final

from twisted.logger import Logger

_log: Final = Logger("lockgate.broken")


def end_what_broke(owner: Any) -> bool:
    """Log the exception being handled and call `owner.broke`; return whether that worked."""
    _log.failure("a callback of {owner} failed", owner=type(owner).__name__)
    ours = getattr(owner, "wrappedProtocol", owner)  # beneath Twisted's TLS
    try:
        ours.broke()
    except Exception:  # noqa: BLE001 - the connection is all that is left to end
        _log.failure("the request of a callback that failed could not be ended")
        return False
    return True
