"""A large body that goes up while it still arrives.

Facts: a router needs of a body only its model, and callers that write `model` first name it in the
first bytes of megabytes. Nothing an upstream has of a body is a request before the body's end.

Decisions:
- A body of up to 1 MiB is read whole before its request is decided. A larger one begins its
  exchange as soon as its model is known and a backend may serve it.
- The last 64 KiB of what came are withheld, and the end of the coding with them, until the body is
  whole and has passed every check that a small one passes. Otherwise the upstream is reset, and the
  caller reads what is wrong.
- What came is kept to the exchange's end: another attempt begins with it.
- It goes up in the chunked coding, since the splice for `stream_options` is known only at the end.
  Where the place of that splice has gone up already it is left out, and tokens are estimated.
"""

import codecs
from typing import Final, final

from proxy.exchange.body import Edit, read_ahead

EARLY_BYTES: Final = 1 << 20
"""A body is checked whole before its request is decided, up to this size."""
WITHHELD_BYTES: Final = 64 * 1024
"""So much stays behind what came: enough for the fields that SDKs write at the end."""
FIRST_LOOK_BYTES: Final = 4 * 1024
BLOCK_BYTES: Final = 1 << 20
"""Small pieces are put together into blocks of this size, so that their memory is used again."""


@final
class Upload:
    """What has come of one body. `charged` bytes of the memory budget are held for it."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size = 0
        self.charged = 0
        self._loose = 0  # the last pieces, which are no block yet
        self._loose_bytes = 0
        self._look_at = FIRST_LOOK_BYTES

    def add(self, piece: bytes) -> None:
        """Take what came."""
        self.pieces.append(piece)
        self.size += len(piece)
        self._loose += 1
        self._loose_bytes += len(piece)
        if self._loose_bytes >= BLOCK_BYTES:
            if self._loose > 1:
                self.pieces[-self._loose :] = [b"".join(self.pieces[-self._loose :])]
            self._loose = self._loose_bytes = 0

    def joined(self) -> bytes:
        """Return what came as one piece, and keep it as one."""
        if len(self.pieces) != 1:
            self.pieces = [b"".join(self.pieces)]
            self._loose = self._loose_bytes = 0
        return self.pieces[0]

    def look(self) -> tuple[str, tuple[int, int]] | None:
        """Return the model and its byte span once what came shows them.

        It looks when twice as much came as at the last look, so that all looks together cost two.
        RejectedError: the body is certain to be refused.
        """
        if self.size < self._look_at:
            return None
        self._look_at = self.size * 2
        prefix = self.joined()
        if b'"model"' not in prefix:
            return None
        try:
            text = codecs.getincrementaldecoder("utf-8")().decode(prefix)
        except UnicodeDecodeError:
            return None  # the check of the whole body says it
        return read_ahead(prefix, text)


@final
class Outgoing:
    """One attempt's way through an upload. `at` is the offset of what has not gone up yet.

    `edits` are those known at the beginning; `done` once everything was taken.
    """

    def __init__(self, upload: Upload, edits: tuple[Edit, ...]) -> None:
        self._upload = upload
        self._edits = list(edits)
        self._whole = False
        self.at = 0

    @property
    def done(self) -> bool:
        """Whether the body has gone up to its end."""
        return self._whole and self.at == self._upload.size and not self._edits

    def end(self, edit: Edit | None) -> bool:
        """The body is whole and checked: all may go. Return whether `edit` came in time."""
        self._whole = True
        if edit is None or edit[0] < self.at:
            return False
        self._edits.append(edit)
        self._edits.sort()
        return True

    def take(self, most: int) -> bytes:
        """Return up to `most` bytes (and an edit more) that may go up now; empty for none."""
        size = self._upload.size
        limit = min(self.at + most, size if self._whole else size - WITHHELD_BYTES)
        if not self._edits or self._edits[0][0] > limit:
            return self._slice(limit)
        start, end, new = self._edits[0]
        if end > limit and not self._whole:
            return self._slice(start)
        del self._edits[0]
        data = self._slice(start) + new
        self.at = end
        return data

    def _slice(self, to: int) -> bytes:
        """Return what came from `at` up to `to`."""
        out: list[bytes] = []
        base = 0
        for piece in self._upload.pieces:
            if base >= to:
                break
            after = base + len(piece)
            if after > self.at:
                out.append(piece[self.at - base : to - base])
                self.at = min(after, to)
            base = after
        return out[0] if len(out) == 1 else b"".join(out)
