"""What becomes of an exception out of a callback: it ends what the callback was about.

Twisted takes an exception out of a read for the end of the connection, and one out of anything else
for nothing. Here whoever owns the connection is told (`broke`), so that a request ends as
`internal`, with its answer, its record and its memory given back, and all others go on (X6).
"""

from typing import Any, Final

from twisted.logger import Logger

_log: Final = Logger("lockgate.broken")


def end_what_broke(owner: Any) -> bool:
    """Log the exception under way and tell `owner`; return whether it could end what failed."""
    _log.failure("a callback of {owner} failed", owner=type(owner).__name__)
    ours = getattr(owner, "wrappedProtocol", owner)  # beneath Twisted's TLS
    try:
        ours.broke()
    except Exception:  # noqa: BLE001 - the connection is all that is left to end
        _log.failure("what failed could not be ended")
        return False
    return True
