"""The descriptor that audit lines go out by: each line is there whole, or not at all.

A full disk cuts a write anywhere. What is left of a line is taken out of the file again at once, so
that whatever comes after it (a crash, another worker's record) finds a whole last line. Workers
that share a file write under a lock, so that none of them takes out another's line. Where nothing
can be taken out (a pipe, a file that only grows) the line's rest goes first when there is room.
"""

import fcntl
import os
import stat
from pathlib import Path
from typing import Final, final

PATIENCE: Final = 20
"""So often is a lock waited for, a flush each; then somebody else holds it, and we go on."""


@final
class Outlet:
    """One open descriptor; stdout where `path` is None. OSError when `path` cannot be opened."""

    def __init__(self, path: Path | None) -> None:
        self._owned: Final = path is not None
        self.descriptor: Final = 1 if path is None else _open(path)
        found = _stat(self.descriptor)
        self._regular: Final = found is not None and stat.S_ISREG(found.st_mode)
        self.place: Final = (found.st_dev, found.st_ino) if found is not None else None
        self._appends: Final = path is not None or _appends(1)
        self._end = -1
        self._waited = 0
        if self._owned and self._regular:
            self._end_torn_line()

    def is_same(self, other: "Outlet") -> bool:
        """Whether both lead to one file or pipe."""
        return self.place is not None and self.place == other.place

    def close(self) -> None:
        """Close it; stdout stays."""
        if self._owned:
            os.close(self.descriptor)

    def put(self, data: bytes, begun: int) -> tuple[int, OSError | None]:
        """Write whole lines, the first `begun` bytes of which are out already.

        Return how many bytes are out, and what went wrong. BlockingIOError: not now, and nobody's
        fault.
        """
        if not self._regular:
            done, problem = _write(self.descriptor, data[begun:])
            return begun + done, problem
        locked = self._lock()
        if locked is None:
            return begun, BlockingIOError("another worker writes")
        try:
            return self._put(data, begun, locked=locked)
        except OSError as problem:
            return begun, problem
        finally:
            if locked:
                fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def _put(self, data: bytes, begun: int, *, locked: bool) -> tuple[int, OSError | None]:
        start = os.lseek(self.descriptor, 0, os.SEEK_END if self._appends else os.SEEK_CUR)
        mark = b""
        if begun and start != self._end:  # somebody wrote behind our half: begin the line again
            mark, begun = b"" if self._ends_whole(start) else b"\n", 0
        done, problem = _write(self.descriptor, mark + data[begun:])
        if problem is None:
            return len(data), None
        out = begun + max(done - len(mark), 0)
        whole = data.rfind(b"\n", 0, out) + 1
        kept = start + done - (out - whole)
        if kept >= start and self._take_out(start + done, kept, locked=locked):
            return whole, problem
        self._end = start + done
        return out, problem

    def _take_out(self, end: int, kept: int, *, locked: bool) -> bool:
        """Cut the file where its last whole line ends; return whether it is so."""
        try:
            size = os.fstat(self.descriptor).st_size
            if size == kept:
                return True
            if size < kept or (size != end and not locked):
                return False
            os.ftruncate(self.descriptor, kept)
            os.lseek(self.descriptor, kept, os.SEEK_SET)
        except OSError:
            return False
        return True

    def _lock(self) -> bool | None:
        """Return whether the file is locked by us; None while another writes."""
        if not self._owned:
            return False
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._waited += 1
            return None if self._waited < PATIENCE else False
        except OSError:  # this file system has no locks
            return False
        self._waited = 0
        return True

    def _end_torn_line(self) -> None:
        """End the line that a process left half when it was killed, unless another does it now."""
        if self._lock() is None:
            return
        try:
            size = os.fstat(self.descriptor).st_size
            if not self._ends_whole(size):
                os.write(self.descriptor, b"\n")
        except OSError:
            pass  # the next record cannot be written either, and says so
        finally:
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def _ends_whole(self, size: int) -> bool:
        if size == 0:
            return True
        try:
            return os.pread(self.descriptor, 1, size - 1) == b"\n"
        except OSError:  # it may be written and not read
            return True


def _open(path: Path) -> int:
    flags = os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        regular = True
    if regular:
        try:
            return os.open(path, os.O_RDWR | flags, 0o600)
        except PermissionError:
            pass
    return os.open(path, os.O_WRONLY | flags, 0o600)


def _stat(descriptor: int) -> os.stat_result | None:
    try:
        return os.fstat(descriptor)
    except OSError:
        return None


def _appends(descriptor: int) -> bool:
    try:
        return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND)
    except OSError:
        return False


def _write(descriptor: int, data: bytes) -> tuple[int, OSError | None]:
    """Write as much as can be; return how much it was, and what ended it."""
    done = 0
    try:
        while done < len(data):
            done += os.write(descriptor, data[done:] if done else data)
    except OSError as problem:
        return done, problem
    return done, None
