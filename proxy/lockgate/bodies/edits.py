"""The edits of a request's body on its way up: what stays is sliced out, and nothing is re-written.

Facts: nothing an upstream has of a body is a request before the body's end.

Decisions, for a body that goes up while it still arrives (`bodies.upload`):
- The last 64 KiB of what came are withheld, and the body's end with them, until it is whole and has
  passed every check that a small one passes. Otherwise the upstream is reset, and the client reads
  what is wrong.
- Where the client gave a length the upstream gets one. The splice for `stream_options` is known
  only at the end, so room is announced for it, and what it does not need is filled with white space
  before the last brace. Where the place of that splice has gone up already it is left out, and
  tokens are estimated.
"""

from typing import Final, final

from lockgate.bodies.scan import USAGE_FIELD, Edit
from lockgate.bodies.upload import Upload

WITHHELD_BYTES: Final = 64 * 1024
"""So much stays behind what came: enough for the fields that SDKs write at the end."""
ROOM_BYTES: Final = len(USAGE_FIELD)
"""What a splice that is not known yet may need."""


def growth(edits: tuple[Edit, ...]) -> int:
    """Return by how much a body grows with `edits`."""
    size = 0
    for start, end, new in edits:
        size += len(new) - (end - start)
    return size


def edited(body: bytes, edits: tuple[Edit, ...]) -> list[bytes]:
    """Return a body with `edits`, which are in order, in pieces."""
    pieces, done = [], 0
    for start, end, new in edits:
        pieces.append(body[done:start])
        pieces.append(new)
        done = end
    pieces.append(body[done:])
    return pieces


@final
class EditedBody:
    """An upload with its edits, taken piece by piece. `at` is the offset of what is not taken yet.

    `edits` are those known at the beginning; `done` once everything was taken. `length` is what
    will have gone up by then; None where the body goes up in the chunked coding. A body that is
    not `whole` keeps room for one edit more.
    """

    def __init__(self, upload: Upload, edits: tuple[Edit, ...], *, whole: bool = False) -> None:
        self._upload = upload
        self._edits = list(edits)
        self._whole = whole
        self.at = 0
        size = upload.size if whole else upload.length
        room = 0 if whole else ROOM_BYTES
        self.length: Final = None if size is None else size + growth(edits) + room

    @property
    def done(self) -> bool:
        """Whether the body has gone up to its end."""
        return self._whole and self.at == self._upload.size and not self._edits

    def end(self, edit: Edit | None, brace: int) -> bool:
        """The body is whole and checked: all may go. Return whether `edit` came in time.

        White space before the last `brace`, or behind it where it has gone up, fills the length.
        """
        self._whole = True
        in_time = edit is not None and edit[0] >= self.at
        grown = 0
        if edit is not None and in_time:
            self._edits.append(edit)
            grown = growth((edit,))
        if self.length is not None and grown < ROOM_BYTES:
            place = brace if brace >= self.at else self._upload.size
            self._edits.append((place, place, b" " * (ROOM_BYTES - grown)))
        self._edits.sort()
        return in_time

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
        if to <= self.at:
            return b""
        data = self._upload.slice(self.at, to)
        self.at = to
        return data
