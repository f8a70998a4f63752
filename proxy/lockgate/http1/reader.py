"""The messages of one connection in order: bytes in; heads, bodies, ends, or a rejection out.

Facts (RFC 9112): one empty line before a request is ignored (2.2); a request without framing has no
body, a response without framing lasts until the connection ends (6.3); interim responses are read
over, and an unsolicited 101 is no response (RFC 9110, 15.2).

Decisions:
- `feed` takes what came and `next` gives one thing of it at a time, so that whoever reads may stop
  between two of them: what was not asked for is kept.
- What is given does not depend on how the bytes came, but for where a body is cut in pieces.
- After a rejection nothing more is read: where the next message begins is not known.
- Chunks that carry next to nothing cost as much as large ones: of many in one read a slice is given
  at a time.
"""

from typing import Final, final

from lockgate.errors.kinds import RejectedError
from lockgate.http1.framing import Body, ChunkedBody, FramingError, LengthBody, UntilClose
from lockgate.http1.grammar import HEAD_END, MAX_HEAD_BYTES, prefix_fault
from lockgate.http1.request_head import MAX_BODY_BYTES, Head, Heads
from lockgate.http1.response_head import ProtocolError, ResponseHead, ResponseHeads

SLICE_BYTES: Final = 1024
MANY_LINES: Final = 512
"""In one read, of chunks that carry less than half a KiB: they are given a slice at a time."""
MAX_INTERIM: Final = 8


@final
class End:
    """A message is whole."""


END: Final = End()


class MessageReader:
    """What both sides have in common: where a head and where a body ends.

    `head_bytes` is the size of the last whole head. `is_stopped`: nothing more is read.
    """

    def __init__(self) -> None:
        self._unread = b""
        self._searched = 0  # so much of it is a head's beginning, in which no end was found
        self._body: Body | None = None
        self._by_length: Final = LengthBody()
        self.head_bytes = 0
        self.is_stopped = False

    @property
    def is_in_head(self) -> bool:
        """Whether a head has begun whose end has not come."""
        return self._searched > 0

    @property
    def unread_bytes(self) -> int:
        """How much is kept: what was not asked for, or a part of a head."""
        return len(self._unread)

    def feed(self, data: bytes) -> None:
        """Take what came, unless nothing more is read."""
        if not self.is_stopped:
            self._unread = self._unread + data if self._unread else data

    def stop(self) -> None:
        """Read nothing more, and forget what is kept."""
        self._unread, self._searched = b"", 0
        self._body = None
        self.is_stopped = True

    def _take_head(self, start: int) -> bytes:
        """Return the next head from `start` on, its blank line included; empty: not whole yet.

        RejectedError where it can never become one.
        """
        data, searched = self._unread, self._searched
        end = data.find(HEAD_END, max(searched - 3, start), start + MAX_HEAD_BYTES) + 4
        if end < 4:
            fault = prefix_fault(data[start:] if start else data, max(searched - start, 0))
            if fault is not None:
                raise RejectedError(fault)
            self._searched = len(data)
            return b""
        self._searched = 0
        self._unread = data[end:]
        self.head_bytes = end - start
        return data[start:end]

    def _begin_by_length(self, length: int) -> None:
        self._by_length.begin(length)
        self._body = self._by_length

    def _take_body(self, body: Body) -> bytes:
        """Return what came of the body; what follows it is kept."""
        data, self._unread = self._unread, b""
        piece = body.feed(data)
        if body.done:
            self._unread = body.surplus
        return piece


@final
class RequestReader(MessageReader):
    """Reads requests. `heads` holds each head to HTTP's rules and to those of the policy.

    Of the last head: `length` is its body's, None where it is chunked; `is_bodiless` says that the
    response has no body. `is_sliced`: what was given last is one slice of many tiny chunks.
    """

    def __init__(self, heads: Heads) -> None:
        super().__init__()
        self._heads: Final = heads
        self._rejection: RejectedError | None = None  # that is to be given yet
        self._size = 0  # of a chunked body
        self.length: int | None = 0
        self.is_bodiless = False
        self.is_sliced = False

    @property
    def has_more(self) -> bool:
        """Whether `next` has something to give, or to look at."""
        if len(self._unread) > self._searched or self._rejection is not None:
            return True
        body = self._body
        return body is not None and body.done

    def next(self) -> Head | bytes | End | RejectedError | None:
        """Return what comes next, None where it has not come yet, or nothing more is read."""
        if self.is_stopped:
            rejection, self._rejection = self._rejection, None
            return rejection
        body = self._body
        try:
            return self._next_head() if body is None else self._next_piece(body)
        except RejectedError as rejected:
            self.stop()
            return rejected
        except FramingError as broken:
            self.stop()
            unframed = RejectedError("bad_request", "The body's framing is broken.")
            if not broken.body:
                return unframed
            self._rejection = unframed
            return broken.body

    def whole_body(self, most: int) -> bytes | None:
        """Return the body of the head just given, if it is here and no longer than `most`.

        Its end is not given then. None: `next` gives it, piece by piece.
        """
        length = self.length
        if length is None or length > most or length > len(self._unread):
            return None
        data, self._body = self._unread, None
        self._unread = data[length:]
        return data[:length]

    def _next_head(self) -> Head | None:
        raw = self._take_head(2 if self._unread.startswith(b"\r\n") else 0)
        if not raw:
            return None
        self.is_bodiless, self.is_sliced = raw.startswith(b"HEAD "), False
        head, length = self._heads.read(raw)
        if head.framing == "chunked":
            self.length, self._size = None, 0
            self._body = ChunkedBody()
        else:
            self.length = length or 0
            self._begin_by_length(self.length)
        return head

    def _next_piece(self, body: Body) -> bytes | End | None:
        while not body.done:
            if not self._unread:
                return None
            piece = self._next_slice(body) if self.length is None else self._take_body(body)
            if piece:
                return piece
        self._body = None
        if isinstance(body, ChunkedBody) and body.trailers:
            self._heads.rules.check_trailer(body.trailers)
        return END

    def _next_slice(self, body: Body) -> bytes:
        data = self._unread
        self.is_sliced = data.count(b"\r\n") > MANY_LINES
        if self.is_sliced:
            self._unread = data[:SLICE_BYTES]
            piece = self._take_body(body)
            self._unread += data[SLICE_BYTES:]
        else:
            piece = self._take_body(body)
        self._size += len(piece)
        if self._size > MAX_BODY_BYTES:
            raise RejectedError("body_too_large")
        return piece


@final
class ResponseReader(MessageReader):
    """Reads one response at a time, from `expect` on.

    `is_complete`: its end was given. `is_http11`: its head said so.
    """

    def __init__(self, heads: ResponseHeads) -> None:
        super().__init__()
        self._heads: Final = heads
        self._rejection: ProtocolError | None = None  # that is to be given yet
        self._interim = 0
        self.is_complete = False
        self.is_http11 = False

    def expect(self) -> None:
        """Begin with a response: its request was sent."""
        self._unread, self._searched = b"", 0
        self._body = None
        self._rejection = None
        self._interim = 0
        self.is_complete = self.is_stopped = False

    @property
    def is_in_body(self) -> bool:
        """Whether the head of the response came."""
        return self._body is not None

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is the response's end."""
        return not self.is_complete and isinstance(self._body, UntilClose)

    def next(self) -> ResponseHead | bytes | End | ProtocolError | None:
        """Return what comes next, None where it has not come yet, or nothing more is read."""
        if self.is_complete or self.is_stopped:
            rejection, self._rejection = self._rejection, None
            return rejection
        body = self._body
        try:
            return self._next_head() if body is None else self._next_piece(body)
        except (ProtocolError, RejectedError) as rejected:
            self.is_stopped = True
            return rejected if isinstance(rejected, ProtocolError) else ProtocolError("head")
        except FramingError as broken:
            self.is_stopped = True
            if not broken.body:
                return ProtocolError("framing")
            self._rejection = ProtocolError("framing")
            return broken.body

    def _next_head(self) -> ResponseHead | None:
        while True:
            raw = self._take_head(0)
            if not raw:
                return None
            head, length = self._heads.read(raw)
            if head.status >= 200:
                break
            self._interim += 1
            if head.status == 101 or self._interim > MAX_INTERIM:
                raise ProtocolError("interim responses out of hand")
        self.is_http11 = raw.startswith(b"HTTP/1.1")
        if head.framing == "chunked":
            self._body = ChunkedBody()
        elif head.framing == "close":
            self._body = UntilClose()
        else:
            self._begin_by_length(length or 0 if head.framing == "length" else 0)
        return head

    def _next_piece(self, body: Body) -> bytes | End | None:
        if not body.done:
            if not self._unread:
                return None
            piece = self._take_body(body)
            if piece:
                return piece
            if not body.done:
                return None
        self.is_complete = True
        return END
