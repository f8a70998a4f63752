"""Where audit lines go: a buffer in front of stdout or a file.

Written when 64 KiB wait, 50 ms after the first line that waits, and at the stop. A write that fails
is tried again with the next; what waits is bounded, and beyond the bound the oldest lines are lost
and counted. stdout that is a pipe nobody reads blocks the process, as it does any program: a
container runtime reads it.
"""

import os
from pathlib import Path
from typing import Any, Final

from twisted.logger import Logger

from proxy.govern.clock import Clock

FLUSH_S: Final = 0.05
FLUSH_BYTES: Final = 64 * 1024
BOUND_BYTES: Final = 8 * 1024 * 1024

_log = Logger("lockgate.audit")


class Sink:
    """Buffered lines to one descriptor.

    `lost` counts lines given up; `writable` is for readiness. OSError when `path` cannot be opened.
    """

    def __init__(self, clock: Clock, path: Path | None) -> None:
        self._clock = clock
        self._path = path
        self._lines: list[bytes] = []
        self._bytes = 0
        self._partial = b""
        self._timer: Any | None = None
        self.lost = 0
        self.writable = True
        self._descriptor = self._open()

    def write(self, line: bytes) -> None:
        """Take one line, with its line end."""
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= FLUSH_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = self._clock.callLater(FLUSH_S, self._on_timer)

    def flush(self) -> None:
        """Write what waits; keep what cannot be written now."""
        data = self._partial + b"".join(self._lines)
        self._lines = []
        self._partial = self._write(data)
        self._bytes = len(self._partial)
        if self._bytes > BOUND_BYTES:
            self._shed()

    def reopen(self) -> None:
        """Open the file anew after a rotation; stdout stays.

        Where it cannot be opened the old one is written on: no record is lost, and the log says so.
        """
        self.flush()
        if self._path is None:
            return
        try:
            opened = self._open()
        except OSError as problem:
            _log.error("audit file kept: {problem}", problem=problem)
            return
        os.close(self._descriptor)
        self._descriptor = opened

    def close(self) -> None:
        """Write what waits and leave no timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()
        if self._path is not None:
            os.close(self._descriptor)

    def _open(self) -> int:
        if self._path is None:
            return 1
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.open(self._path, flags, 0o600)

    def _on_timer(self) -> None:
        self._timer = None
        self.flush()
        if self._partial:
            self._timer = self._clock.callLater(FLUSH_S, self._on_timer)

    def _write(self, data: bytes) -> bytes:
        """Write as much as can be; return the rest."""
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as problem:
            if self.writable:
                _log.error("audit sink: {problem}", problem=problem)
            self.writable = False
        else:
            self.writable = True
        return data

    def _shed(self) -> None:
        lines = self._partial.splitlines(keepends=True)
        while lines and self._bytes > BOUND_BYTES:
            self._bytes -= len(lines.pop(0))
            self.lost += 1
        self._partial = b"".join(lines)
