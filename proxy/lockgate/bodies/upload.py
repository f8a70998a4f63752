"""A large body that goes up while it still arrives.

Facts: a router needs of a body only its model, and callers that write `model` first name it in the
first bytes of megabytes. Nothing an upstream has of a body is a request before the body's end.

Decisions:
- A body of more than 256 KiB is read as it comes. One of more than 1 MiB begins its exchange as
  soon as its model is known and a backend may serve it; any other is checked whole before.
- The last 64 KiB of what came are withheld, and the body's end with them, until it is whole and has
  passed every check that a small one passes. Otherwise the upstream is reset, and the caller reads
  what is wrong.
- What came is kept to the exchange's end, in the blocks it came in: another attempt begins with it.
- Where the caller gave a length the upstream gets one. The splice for `stream_options` is known
  only at the end, so room is announced for it, and what it does not need is filled with white space
  before the last brace. Where the place of that splice has gone up already it is left out, and
  tokens are estimated.
"""

from typing import Final, final

from lockgate.bodies.scan import USAGE_FIELD, Edit, Scan, Span, between, read_model
from lockgate.bodies.stepwise import BodyReader
from lockgate.errors.kinds import RejectedError

EARLY_BYTES: Final = 1 << 20
"""A body is checked whole before its request is decided, up to this size."""
WITHHELD_BYTES: Final = 64 * 1024
"""So much stays behind what came: enough for the fields that SDKs write at the end."""
BLOCK_BYTES: Final = 1 << 20
"""Small pieces are put together into blocks of this size, so that their memory is used again."""
ROOM_BYTES: Final = len(USAGE_FIELD)
"""What a splice that is not known yet may need."""
_EMPTY: Final = bytearray()


@final
class Upload:
    """What has come of one body. `charged` bytes of the memory budget are held for it.

    `fault`: why it is certain to be refused; the rest of it is counted and forgotten.

    It is read as it comes once more than `read_from` bytes of it came; None for never. `length` is
    what its caller announced; None where it is chunked.
    """

    def __init__(self, *, read_from: int | None = 0, length: int | None = None) -> None:
        self._blocks: list[bytes] = []
        self.size = 0
        self.charged = 0
        self.fault: RejectedError | None = None
        self.length: Final = length
        self._read_from: Final = read_from
        self._reader: BodyReader | None = None
        self._looked = False
        self._tail = _EMPTY  # what is no block yet; never changed in place while it is empty

    def add(self, piece: bytes) -> None:
        """Take what came, and read it."""
        self.size += len(piece)
        if self.fault is not None:
            return  # nobody will be sent it
        if not self._blocks:
            self._blocks.append(piece)
        else:
            if not self._tail:
                self._tail = bytearray()
            self._tail += piece
            if len(self._tail) >= BLOCK_BYTES:
                self._blocks.append(bytes(self._tail))
                self._tail = _EMPTY
        if self._reader is not None:
            self._read(self._reader, [piece])
        elif self._read_from is not None and self.size > self._read_from:
            self._reader = BodyReader()
            self._read(self._reader, self.pieces())

    def _read(self, reader: BodyReader, pieces: list[bytes]) -> None:
        try:
            for piece in pieces:
                reader.take(piece)
        except RejectedError as fault:
            self.fault = fault
            self._blocks, self._tail = [], _EMPTY

    def pieces(self) -> list[bytes]:
        """Return what came, in order."""
        return [*self._blocks, bytes(self._tail)] if self._tail else self._blocks

    @property
    def is_read(self) -> bool:
        """Whether it is read as it comes."""
        return self._reader is not None

    @property
    def is_bomb(self) -> bool:
        """Whether the rest of it is not worth waiting for."""
        return self.fault is not None and self.fault.kind.code == "too_many_values"

    def joined(self) -> bytes:
        """Return what came as one piece."""
        pieces = self.pieces()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def slice(self, start: int, stop: int) -> bytes:
        """Return the bytes between two offsets."""
        size = self.size - len(self._tail)
        if stop <= size:
            return between(self._blocks, start, stop)
        tail = bytes(self._tail[max(start - size, 0) : stop - size])
        return between(self._blocks, start, size) + tail if start < size else tail

    def look(self) -> tuple[str, Span] | None:
        """Return the model and its byte span, once: when what came shows a good one."""
        reader = self._reader
        span = None if reader is None else reader.model_span
        if span is None or self._looked or self.fault is not None:
            return None
        self._looked = True
        try:
            return read_model(span, self.slice), span
        except RejectedError:
            return None  # said when the body is whole, unless something else is found before

    def scan(self) -> Scan:
        """The body is whole: return what it says, or raise RejectedError."""
        if self.fault is not None:
            raise self.fault
        assert self._reader is not None
        return self._reader.finish(self.slice)


@final
class Outgoing:
    """One attempt's way through an upload. `at` is the offset of what has not gone up yet.

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
        self.length: Final = None if size is None else size + _growth(edits) + room

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
            grown = _growth((edit,))
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


def _growth(edits: tuple[Edit, ...]) -> int:
    """Return by how much a body grows with `edits`."""
    return sum(len(new) - (end - start) for start, end, new in edits)
