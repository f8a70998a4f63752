"""A worker's tie to its parent: the other end of its standard input, and a pipe back.

The parent hands each worker it starts the text of the last policy that loaded, and the keys that it
was given: these are on no command line and in no environment. The worker says on which port its
admin page is (one that was free a moment ago may not be any more), and which text it serves, at its
start and after each reload. All are messages: a line with a length, and so many bytes.
"""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from lockgate.policy.reading.document import MAX_BYTES

REPORTS: Final = 3
"""The worker's descriptor on which it tells the parent what it serves."""
_MOST_DIGITS: Final = 8


class BrokenMessageError(ValueError):
    """What came is no message."""


class Messages:
    """Messages out of bytes that come in any pieces."""

    def __init__(self) -> None:
        self._held = b""

    def take(self, data: bytes) -> list[bytes]:
        """Return the messages that are whole now; BrokenMessageError for what is none."""
        self._held += data
        whole = []
        while (size := self._size()) is not None:
            start = self._held.index(b"\n") + 1
            if len(self._held) < start + size:
                break
            whole.append(self._held[start : start + size])
            self._held = self._held[start + size :]
        return whole

    def _size(self) -> int | None:
        digits, end, _ = self._held[: _MOST_DIGITS + 1].partition(b"\n")
        if not end and len(digits) <= _MOST_DIGITS:
            return None
        if not digits.isdigit() or not end or int(digits) > MAX_BYTES + 1:
            raise BrokenMessageError(digits)
        return int(digits)


def message(text: bytes) -> bytes:
    """Return `text` as a message."""
    return b"%d\n%b" % (len(text), text)


def handed(descriptor: int = 0) -> tuple[bytes, dict[str, str]] | None:
    """Wait for the parent's two messages: a policy's text, and keys by the names of their Secrets.

    None where they never come.
    """
    messages, whole = Messages(), list[bytes]()
    while data := os.read(descriptor, 65536):
        whole += messages.take(data)
        if len(whole) == 2:
            return whole[0], dict(json.loads(whole[1]))
    return None


def to_hand(policy: bytes, keys: Mapping[str, str]) -> bytes:
    """Return both messages."""
    return message(policy) + message(json.dumps(dict(keys)).encode())


def report_page(port: int) -> None:
    """Report to the supervisor on which port the admin page is."""
    _report(b"a%d" % port)


def report_policy(text: bytes) -> None:
    """Report to the supervisor which policy is served."""
    _report(b"p" + text)


def _report(text: bytes) -> None:
    """Send a message to the parent, if there is one."""
    data = message(text)
    try:
        while data:
            data = data[os.write(REPORTS, data) :]
    except OSError:
        pass  # it is gone, which `ParentWatch` sees


@implementer(IReadDescriptor)
class ParentWatch:
    """Calls `orphaned` once, when the parent is gone."""

    def __init__(self, reactor: Any, orphaned: Callable[[], None]) -> None:
        self._reactor = reactor
        self._orphaned = orphaned

    def fileno(self) -> int:
        """Standard input."""
        return 0

    def logPrefix(self) -> str:
        """Twisted's name for it."""
        return "ParentWatch"

    def doRead(self) -> None:
        """The parent writes nothing more: what can be read is its end."""
        if not os.read(0, 1024):
            self._end()

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002 - Twisted's signature
        """Its end came without a byte, or the reactor stops."""
        self._end()

    def _end(self) -> None:
        self._reactor.removeReader(self)
        orphaned, self._orphaned = self._orphaned, _nothing
        orphaned()


def _nothing() -> None:
    """Do nothing: `orphaned` was called already."""
