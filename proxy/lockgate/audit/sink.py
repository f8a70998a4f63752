"""Where audit lines go: a buffer in front of stdout or a file.

Written when 64 KiB wait, 50 ms after the first line that waits, and at the stop. What cannot be
written waits and is tried again; at most 8 MiB wait, and beyond that the oldest lines are lost and
counted. stdout that is a pipe nobody reads blocks the process, as it does any program: a container
runtime reads it.
"""

import select
from collections import deque
from pathlib import Path
from typing import Any, Final

from twisted.logger import Logger

from lockgate.audit.outlet import Outlet
from lockgate.clock import Clock

FLUSH_S: Final = 0.05
FLUSH_BYTES: Final = 64 * 1024
BOUND_BYTES: Final = 8 * 1024 * 1024
CLOSE_TRIES: Final = 20

_log = Logger("lockgate.audit")


class Sink:
    """Buffered lines to one descriptor.

    `lost` counts lines given up; `writable` is for readiness. OSError when `path` cannot be opened.
    """

    def __init__(self, clock: Clock, path: Path | None) -> None:
        self._clock = clock
        self._path = path
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._begun = 0  # bytes of the first line that are out
        self._stuck = False
        self._timer: Any | None = None
        self.lost = 0
        self.writable = True
        self._outlet = Outlet(path)

    def write(self, line: bytes) -> None:
        """Take one line, with its line end."""
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= FLUSH_BYTES:
            if self._stuck:
                self._shed()
            else:
                self.flush()
        if self._timer is None and self._lines:
            self._timer = self._clock.callLater(FLUSH_S, self._on_timer)

    def flush(self) -> None:
        """Write what waits; keep what cannot be written now."""
        self._stuck = False
        while self._lines and not self._stuck:
            batch = self._batch()
            out, problem = self._outlet.put(batch, self._begun)
            self._drop(out)
            self._judge(problem)

    def reopen(self) -> None:
        """Open the file anew after a rotation; stdout stays.

        Where it cannot be opened the old one is written on: no record is lost, and the log says so.
        """
        self.flush()
        if self._path is None:
            return
        try:
            opened = Outlet(self._path)
        except OSError as problem:
            _log.error("audit file kept: {problem}", problem=problem)
            return
        if not opened.is_same(self._outlet):
            self._begun = 0  # a line that the old file has half of goes whole into the new one
        self._outlet.close()
        self._outlet = opened

    def close(self) -> None:
        """Write what waits and leave no timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()
        tries = CLOSE_TRIES if self.writable else 0
        while self._lines and tries:  # a pipe that is full for the moment
            tries -= 1
            select.select([], [self._outlet.descriptor], [], FLUSH_S)
            self.flush()
        if self._lines:
            self.lost += len(self._lines)
            _log.error("{count} audit records could not be written", count=len(self._lines))
        self._outlet.close()

    def _on_timer(self) -> None:
        self._timer = None
        self.flush()
        if self._lines:
            self._timer = self._clock.callLater(FLUSH_S, self._on_timer)

    def _batch(self) -> bytes:
        """Join what is written at once: all of it, but where much has waited."""
        if self._bytes <= 4 * FLUSH_BYTES:
            return b"".join(self._lines)
        taken: list[bytes] = []
        size = 0
        for line in self._lines:
            taken.append(line)
            size += len(line)
            if size >= FLUSH_BYTES:
                break
        return b"".join(taken)

    def _drop(self, out: int) -> None:
        """Forget the lines that are out, as far as `out` bytes go."""
        lines = self._lines
        if out >= self._bytes:
            lines.clear()
            self._bytes = self._begun = 0
            return
        while lines and out >= len(lines[0]):
            size = len(lines.popleft())
            out -= size
            self._bytes -= size
        self._begun = out

    def _judge(self, problem: OSError | None) -> None:
        if problem is None:
            if not self.writable:
                _log.warn("audit sink: writes again; {lost} records lost so far", lost=self.lost)
            self.writable = True
            return
        self._stuck = True
        if not isinstance(problem, BlockingIOError):
            if self.writable:
                _log.error("audit sink: {problem}", problem=problem)
            self.writable = False
        self._shed()

    def _shed(self) -> None:
        """Give up the oldest lines beyond the bound; not one that is half out."""
        lines = self._lines
        half = lines.popleft() if self._begun else b""
        while lines and self._bytes > BOUND_BYTES:
            self._bytes -= len(lines.popleft())
            self.lost += 1
        if half:
            lines.appendleft(half)
