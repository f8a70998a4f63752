"""A large body while it arrives: what came of it, and what that says.

Facts: a router needs of a body only its model, and clients that write `model` first name it in the
first bytes of megabytes. Nothing an upstream has of a body is a request before the body's end.

Decisions:
- A body of more than 256 KiB is read as it comes. One of more than 1 MiB begins its exchange as
  soon as its model is known and a backend may serve it; any other is checked whole before.
- What came is kept to the exchange's end, in the blocks it came in: another attempt begins with it.
- How it goes up is `bodies.edits`.
"""

from typing import Final, final

from lockgate.bodies.scan import Scan, Span, between, read_model
from lockgate.bodies.stepwise import BodyReader
from lockgate.errors.kinds import RejectedError

EARLY_BYTES: Final = 1 << 20
"""A body is checked whole before its request is decided, up to this size."""
BLOCK_BYTES: Final = 1 << 20
"""Small pieces are put together into blocks of this size, so that their memory is used again."""
_EMPTY: Final = bytearray()


@final
class Upload:
    """What has come of one body. `charged` bytes of the memory budget are held for it.

    `fault`: why it is certain to be refused; the rest of it is counted and forgotten.

    It is read as it comes once more than `read_from` bytes of it came; None for never. `length` is
    what its client announced; None where it is chunked.
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
