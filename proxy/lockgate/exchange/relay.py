"""A stream between upstream and client: what may go down, and how it ended.

Before the commit point nothing is given out; from the first event with content on, every whole
event is, byte for byte. A partial event is never given out. The end is judged by what was seen:

- whole with ``[DONE]`` when every choice seen has a finish_reason;
- whole without it, at a clean end of HTTP, when so many choices as were asked for have one;
- whole after a grace, where the connection stays open: a long one where the first word came with
  its reason, since some servers write one into every event (BerriAI/litellm#2195: Gemini); where a
  reason was taken back only silence says so;
- an event that cannot be read may have been content: nothing after it can be whole.
"""

from typing import Any, Final

from lockgate.errors.codes import Code
from lockgate.exchange.resume import Continuation, DeliveredText, DivergedError
from lockgate.exchange.sse import CONTENT, Event, EventTooLargeError, Splitter, read_event

HOLD_LIMIT_BYTES: Final = 1 << 20
"""What is kept of whole events before the commit point."""
GRACE_S: Final = 1.5
"""For what may follow a text that is whole, its usage and [DONE], where the upstream stays open."""
LONG_GRACE_S: Final = 10.0
"""Longer than a model pauses between two words."""
DONE_EVENT: Final = b"data: [DONE]\n\n"


class StreamRelay:
    """Takes the upstream's SSE bytes; returns the bytes to forward.

    `committed`: content was seen. `done`: the response is complete. `broken`: a code of
    `errors.KINDS` once the stream cannot be completed; `error`: what an error event said.
    `saw_data`: the last feed had a data event. `delivered` keeps what the client has, for a rule
    that resumes; `continuing` makes this stream the rest of another one, whose commit point lies
    behind it. `choices`: how many the client asked for. `content_events` estimates tokens.
    """

    __slots__ = (
        "_began_with_reason",
        "_choices",
        "_continuing",
        "_delivered",
        "_finished",
        "_held",
        "_held_events_bytes",
        "_is_plain",
        "_seen",
        "_show_usage",
        "_splitter",
        "_spoke",
        "_was_taken_back",
        "broken",
        "committed",
        "content_events",
        "done",
        "error",
        "malformed_events",
        "saw_data",
        "usage",
    )

    def __init__(
        self,
        *,
        show_usage: bool,
        max_event_bytes: int,
        choices: int = 1,
        delivered: DeliveredText | None = None,
        continuing: Continuation | None = None,
    ) -> None:
        self._show_usage = show_usage
        self._delivered = delivered
        self._continuing = continuing
        self._choices = choices
        self.content_events = 0
        self._splitter = Splitter(max_event_bytes)
        self._held: list[bytes] = []
        self._held_events_bytes = 0
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._spoke: set[int] = set()  # said something in an event without a reason
        self._is_plain = False  # the first choice did
        self._began_with_reason = False
        self._was_taken_back = False
        self.committed = continuing is not None
        self.done = False
        self.broken: Code | None = None
        self.error: Any = None
        self.saw_data = False
        self.malformed_events = 0
        self.usage: tuple[int, int] | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing of the text is missing: each choice asked for, and seen, has ended."""
        return len(self._finished) >= self._choices and self._seen <= self._finished

    @property
    def grace_s(self) -> float:
        """How long to wait for the end of a finished stream; 0 where waiting decides nothing."""
        if self._was_taken_back or not self.finished:
            return 0.0
        return LONG_GRACE_S if self._began_with_reason else GRACE_S

    @property
    def held_bytes(self) -> int:
        """What is kept: events before the commit point, and one that is not whole yet."""
        return self._held_events_bytes + self._splitter.held_bytes

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
            self._held_events_bytes = 0
            return b"".join(out)
        if out:
            self._held_events_bytes = sum(map(len, out))
            if self._held_events_bytes > HOLD_LIMIT_BYTES:
                self.broken = "upstream_protocol"
        return b""

    def end(self) -> bytes:
        """The HTTP framing ended cleanly: return the last bytes, or set `broken`."""
        out: list[bytes] = []
        for raw in self._splitter.finish():
            self._take(raw, read_event(raw), out)
        if self.broken is None and not self.done:
            self._take_unfinished(out)
        return b"".join(out) if self.done else b""

    def finish(self) -> bytes:
        """All that was asked for is there: return the end that the upstream leaves out."""
        self.done = True
        return DONE_EVENT

    def _take_unfinished(self, out: list[bytes]) -> None:
        """Judge the end by what was seen, and by what came behind the last blank line.

        What never got its blank line was dispatched to nobody; ``[DONE]`` loses nothing by it.
        """
        last = read_event(self._splitter.unfinished())
        whole = self.finished or (last.kind == "done" and self._is_whole())
        if not self.committed or not whole or last.content:
            self.broken = "upstream_truncated"
            return
        out.append(self.finish())

    def _is_whole(self) -> bool:
        """Whether every choice seen has ended."""
        return bool(self._finished) and self._seen <= self._finished

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
            self.broken = "upstream_truncated" if self.committed else "upstream_protocol"
        elif kind == "error":
            self.error = event.document
            self.broken = "upstream_error"

    def _take_data(self, raw: bytes, event: Event, out: list[bytes]) -> None:
        self.saw_data = True
        if event is CONTENT:
            self.committed = True
            self.content_events += 1
            if not self._is_plain:
                self._is_plain = True
                self._seen.add(0)
                self._spoke.add(0)
            if self._finished:
                self._take_back(CONTENT)
        else:
            self._note(event)
            if self.broken:
                return
        if not self._show_usage and event.usage_only:
            return
        if self._continuing is not None:
            try:
                raw = self._continuing.take(raw)
            except DivergedError:
                self.broken = "resume_diverged"
                return
        if self._delivered is not None and raw:
            self._delivered.take(raw)
        out.append(raw)

    def _note(self, event: Event) -> None:
        """Take in what an event says of its choices."""
        if event.failed:
            self.error = event.document
            self.broken = "upstream_error"
            return
        if event.usage is not None:
            self.usage = event.usage
        self._seen.update(event.seen)
        if self._finished:
            self._take_back(event)
        for index in event.said:
            if index not in event.finished:
                self._spoke.add(index)
            elif index not in self._spoke:
                self._began_with_reason = True
        self._finished.update(event.finished)
        if event.content:
            self.committed = True
            self.content_events += 1

    def _take_back(self, event: Event) -> None:
        """Content behind a reason takes the reason back."""
        if not self._finished.isdisjoint(event.said):
            self._finished.difference_update(event.said)
            self._was_taken_back = True

    def _take_done(self, raw: bytes, out: list[bytes]) -> None:
        if self._continuing is not None and self._continuing.skipping:
            self.broken = "resume_diverged"
        elif not self.committed:
            self.broken = "upstream_protocol"
        elif self._is_whole():
            self.done = True
            out.append(raw)
        else:
            self.broken = "upstream_truncated"
