"""One streamed answer on its way through: what is held, what may go down, and how it ended.

Before the commit point nothing is given out; from the first event with content on, every whole
event is, byte for byte. A partial event is never given out. The end is judged by what was seen:
``[DONE]``, or a clean HTTP end after a finish_reason, is complete; all else is truncated.
"""

from typing import Final

from proxy.exchange.resume import Continuation, DivergedError, Spoken
from proxy.exchange.sse import Event, EventTooLargeError, Splitter, read_event

HOLD_LIMIT_BYTES: Final = 1 << 20
"""What is kept before the commit point: as much as a non-streamed answer may have."""
DONE_EVENT: Final = b"data: [DONE]\n\n"


class StreamRelay:
    """Feeds on an upstream's SSE bytes, gives what the caller may have.

    `committed`: content was seen. `done`: the answer is complete. `broken`: a code of
    `errors.KINDS` once the stream cannot be completed. `saw_data`: the last feed had a data event.
    `spoken` keeps what the caller has, for a rule that resumes; `continuing` makes this stream the
    rest of another one, whose commit point lies behind it. `content_events` estimates tokens.
    """

    __slots__ = (
        "_continuing",
        "_finished",
        "_held",
        "_show_usage",
        "_splitter",
        "_spoken",
        "broken",
        "committed",
        "content_events",
        "done",
        "held_bytes",
        "malformed_events",
        "saw_data",
        "usage",
    )

    def __init__(
        self,
        *,
        show_usage: bool,
        spoken: Spoken | None = None,
        continuing: Continuation | None = None,
    ) -> None:
        self._show_usage = show_usage
        self._spoken = spoken
        self._continuing = continuing
        self.content_events = 0
        self._splitter = Splitter()
        self._held: list[bytes] = []
        self.held_bytes = 0
        self._finished = False
        self.committed = continuing is not None
        self.done = False
        self.broken: str | None = None
        self.saw_data = False
        self.malformed_events = 0
        self.usage: tuple[int, int] | None = None

    @property
    def finished(self) -> bool:
        """Whether a finish_reason was seen: nothing of the text is missing."""
        return self._finished

    def feed(self, data: bytes) -> bytes:
        """Take body bytes; return the bytes that may go down now."""
        self.saw_data = False
        out = self._held
        try:
            for raw in self._splitter.feed(data):
                self._take(raw, read_event(raw), out)
                if self.done or self.broken:
                    break
        except EventTooLargeError:
            self.broken = "upstream_protocol"
        if self.committed:
            self._held = []
            return b"".join(out)
        self.held_bytes += len(data)
        if self.held_bytes > HOLD_LIMIT_BYTES:
            self.broken = "upstream_protocol"
        return b""

    def end(self) -> bytes:
        """The HTTP framing ended cleanly: return the last bytes, or set `broken`."""
        out: list[bytes] = []
        for raw in self._splitter.finish():
            self._take(raw, read_event(raw), out)
        if self.broken is None and not self.done:
            if self.committed and self._finished:
                self.done = True
                out.append(DONE_EVENT)
            else:
                self.broken = "upstream_truncated"
        return b"".join(out) if self.done else b""

    def _take(self, raw: bytes, event: Event, out: list[bytes]) -> None:
        kind = event.kind
        if kind == "data":
            self._take_data(raw, event, out)
        elif kind == "comment":
            out.append(raw)
        elif kind == "done":
            self._take_done(raw, out)
        elif kind == "malformed":
            self.malformed_events += 1
            if self.malformed_events > 1:
                self.broken = "upstream_truncated"
        else:
            self.broken = "upstream_error"

    def _take_data(self, raw: bytes, event: Event, out: list[bytes]) -> None:
        self.saw_data = True
        if event.usage is not None:
            self.usage = event.usage
        if event.content:
            self.committed = True
            self.content_events += 1
        if event.finished:
            self._finished = True
        if not self._show_usage and event.usage_only:
            return
        if self._continuing is not None:
            try:
                raw = self._continuing.take(raw)
            except DivergedError:
                self.broken = "resume_diverged"
                return
        if self._spoken is not None and raw:
            self._spoken.take(raw)
        out.append(raw)

    def _take_done(self, raw: bytes, out: list[bytes]) -> None:
        if self._continuing is not None and self._continuing.skipping:
            self.broken = "resume_diverged"
        elif self.committed:
            self.done = True
            out.append(raw)
        else:
            self.broken = "upstream_protocol"
