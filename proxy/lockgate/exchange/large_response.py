"""A whole response that is too large to be held: followed on its way down, judged at its end."""

from typing import Final, final

from lockgate.bodies.lexer import Lexer, unescaped

_TAIL_BYTES: Final = 16
"""Kept of the slice before: a finish reason may be cut."""
_FAILED: Final = b'"error"'


@final
class LargeResponse(Lexer):
    """Follows one response. `is_response` once it ended: it has a choice, and none that failed."""

    def __init__(self) -> None:
        super().__init__(constants=True, watched=3)
        self._choices = 0
        self._failed = False
        self._top_key = ""
        self._choice_key = ""
        self._window = b""  # the slice under way and the end of the one before
        self._window_at = 0
        self._fed = 0

    @property
    def is_response(self) -> bool:
        """Whether what came is what the door promises."""
        return self.whole and self._choices > 0 and not self._failed

    def keyed(self, raw: bytes) -> None:
        """A key of the response or of a choice."""
        depth = len(self.stack)
        if depth == 1:
            self._top_key = unescaped(raw)
        elif depth == 3:
            self._choice_key = unescaped(raw)

    def opened(self, start: int) -> None:  # noqa: ARG002
        """A choice begins."""
        stack = self.stack
        if len(stack) == 3 and self._top_key == "choices" and stack[1:] == b"[{":
            self._choices += 1

    def valued(self, start: int, stop: int) -> None:
        """A field of a choice ends."""
        if len(self.stack) != 3 or start < self._window_at:
            return
        if self._top_key == "choices" and self._choice_key == "finish_reason":
            said = self._window[start - self._window_at : stop - self._window_at]
            self._failed = self._failed or said == _FAILED

    def _slice(self, data: bytes) -> None:
        tail = self._window[-_TAIL_BYTES:]
        self._window, self._window_at = tail + data, self._fed - len(tail)
        self._fed += len(data)
        super()._slice(data)
