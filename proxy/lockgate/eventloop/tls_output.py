"""What OpenSSL made for a peer, on its way to the kernel."""

from typing import Final, final

from OpenSSL import SSL

SEND_BYTES: Final = 64 * 1024
SMALL_BYTES: Final = 8 * 1024
"""Most of what is sent has room in it; a larger buffer would cost more than the sending."""


@final
class TlsOutput:
    """Takes records from `connection` as the kernel has room for them.

    `unsent` is what the kernel is to be given next. `written` counts the plain bytes since it last
    had everything.
    """

    def __init__(self, connection: SSL.Connection) -> None:
        self.unsent = b""
        self.written = 0
        self._connection = connection
        self._is_dry = False  # OpenSSL has no more after `unsent`

    def write(self, plain: bytes) -> None:
        """Have OpenSSL make records of `plain`; SSL.Error where it cannot."""
        self._connection.sendall(plain)
        self.written += len(plain)

    def fill(self) -> bool:
        """Return whether there is something to send, having taken it from OpenSSL if need be."""
        if self.unsent:
            return True
        if self._is_dry:
            self._is_dry = False
            return False
        room = SEND_BYTES if self.written > SMALL_BYTES else SMALL_BYTES
        try:
            self.unsent = self._connection.bio_read(room)
        except SSL.WantReadError:
            return False
        self._is_dry = len(self.unsent) < room
        return True

    def sent(self, size: int) -> bool:
        """Take note that the kernel took so many bytes; return whether it took all of `unsent`."""
        self.unsent = self.unsent[size:]
        if self.unsent:
            self._is_dry = False  # more may be made before the peer takes this
            return False
        return True

    @property
    def size(self) -> int:
        """About how many bytes the peer has not taken yet."""
        return len(self.unsent) + self.written

    def last_words(self) -> bytes:
        """Return what is left, with the alert or the close_notify that OpenSSL made; SSL.Error."""
        return self.unsent + self._connection.bio_read(SEND_BYTES)
