"""Where a body ends: by its length, by its last chunk, or with the connection.

Facts (RFC 9112): 7.1 the chunked coding; 7.1.1 extensions, which a recipient must ignore; 7.1.2
trailers, which are dropped here, since none of them has a meaning for us (their names are kept:
a request's may not be those of labels); 7.1 again: a recipient must expect large sizes and prevent
overflow.

Decisions: nothing stands between a size and its line end but an extension that begins with a
semicolon; at most 16 digits, 256 bytes of extension, 8 KiB of trailers. All else is refused.
"""

import re
from typing import Final, final

MAX_EXTENSION_BYTES: Final = 256
MAX_TRAILER_BYTES: Final = 8 * 1024
_MAX_SIZE_LINE: Final = 16 + MAX_EXTENSION_BYTES + 2
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(;[\t -~]{0,255})?\r\n")
_SIZE_BEGUN: Final = re.compile(rb"(?:[0-9A-Fa-f]{1,16}(?:;[\t -~]{0,255})?\r?)?\Z")
SIZE_LINES: Final = [b"%x\r\n" % size for size in range(2048)]
"""How a chunk of a size begins, where nothing is said of it: nearly all do."""
_CR: Final = 0x0D
_LF: Final = 0x0A
_USUAL_SIZES: Final = {line[:-2]: size for size, line in enumerate(SIZE_LINES) if size}
_TRAILER: Final = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*)?\r\n")
_TRAILER_BEGUN: Final = re.compile(rb"[\t -~\x80-\xff]*\r?\Z")


class FramingError(Exception):
    """The body's framing is broken: where it ends cannot be known.

    `body` is what came of it, in the same bytes, before the place where it is broken.
    """

    body: bytes = b""


@final
class LengthBody:
    """A body of so many bytes. `done` once all came; `surplus` is what followed."""

    def __init__(self) -> None:
        self.left = 0
        self.done = True
        self.surplus = b""

    def begin(self, length: int) -> None:
        """Begin with a body of `length` bytes; one object serves all of a connection's bodies."""
        self.left = length
        self.done = length == 0
        self.surplus = b""

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the connection; return those of the body."""
        if self.done:
            self.surplus += data
            return b""
        size = len(data)
        if size <= self.left:
            self.left -= size
            self.done = self.left == 0
            return data
        body = data[: self.left]
        self.surplus = data[self.left :]
        self.left = 0
        self.done = True
        return body


@final
class UntilClose:
    """A body that lasts until the connection ends: never done by itself."""

    def __init__(self) -> None:
        self.done = False
        self.surplus = b""

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the connection; they are all the body's."""
        return data


@final
class ChunkedBody:
    """A chunked body. `done` once its trailer section ended; `surplus` is what followed.

    `trailers` are the names of the fields in its trailer section.
    """

    def __init__(self) -> None:
        self.done = False
        self.surplus = b""
        self._rest = b""
        self._left = 0  # of the chunk under way
        self._ending = False  # the CRLF after a chunk's data is due
        self._trailing = False
        self._trailer_bytes = 0
        self.trailers: list[str] = []

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the connection; return those of the body. FramingError when broken."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        at, end = 0, len(data)
        out: list[bytes] = []
        while at < end and not self.done:
            if self._left:
                piece = data[at : at + self._left]
                out.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._ending = self._left == 0
            else:
                try:
                    after = self._line(data, at)
                except FramingError as broken:
                    broken.body = b"".join(out)
                    raise
                if after == at:
                    self._rest = data[at:]
                    break
                at = after
        if self.done:
            self.surplus += data[at:]
        return out[0] if len(out) == 1 else b"".join(out)

    def _line(self, data: bytes, at: int) -> int:
        """Read what stands between chunks; return where it ends, `at` when it is not whole."""
        if self._ending:
            return self._chunk_end(data, at)
        if self._trailing:
            return self._trailer(data, at)
        usual = self._usual(data, at)
        if usual:
            return usual
        found = _SIZE_LINE.match(data, at)
        if found is None:
            if len(data) - at > _MAX_SIZE_LINE or _SIZE_BEGUN.match(data, at) is None:
                raise FramingError("chunk size")
            return at
        self._left = int(found[1], 16)
        self._trailing = self._left == 0
        return found.end()

    def _usual(self, data: bytes, at: int) -> int:
        """Read the size of a small chunk of which nothing is said; return where it ends, else 0."""
        end, most = at + 1, min(at + 4, len(data) - 2)
        while end <= most:
            if data[end] == _CR:
                size = _USUAL_SIZES.get(data[at:end])
                if size is None or data[end + 1] != _LF:
                    return 0
                self._left = size
                return end + 2
            end += 1
        return 0

    def _chunk_end(self, data: bytes, at: int) -> int:
        found = data[at : at + 2]
        if found == b"\r\n":
            self._ending = False
            return at + 2
        if found == b"\r":
            return at
        raise FramingError("chunk end")

    def _trailer(self, data: bytes, at: int) -> int:
        found = _TRAILER.match(data, at)
        if found is None:
            if _TRAILER_BEGUN.match(data, at) is None:
                raise FramingError("trailer")
            if self._trailer_bytes + len(data) - at > MAX_TRAILER_BYTES:
                raise FramingError("trailers too large")
            return at
        after = found.end()
        self._trailer_bytes += after - at
        if self._trailer_bytes > MAX_TRAILER_BYTES:
            raise FramingError("trailers too large")
        self.done = after - at == 2
        if not self.done:
            self.trailers.append(data[at : data.index(b":", at)].decode("ascii"))
        return after


Body = LengthBody | UntilClose | ChunkedBody
