"""The audit sink: when it writes, and what it does when it cannot."""

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from lockgate.audit.outlet import PATIENCE
from lockgate.audit.sink import BOUND_BYTES, FLUSH_BYTES, FLUSH_S, Sink
from twisted.internet.task import Clock


def test_lines_wait_for_the_timer_and_no_longer(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "audit"
    sink = Sink(clock, path)
    sink.write(b"one\n")
    assert path.read_bytes() == b""
    clock.advance(FLUSH_S)
    assert path.read_bytes() == b"one\n"
    assert clock.getDelayedCalls() == []


def test_many_lines_do_not_wait(tmp_path: Path) -> None:
    sink = Sink(Clock(), tmp_path / "audit")
    sink.write(b"x" * FLUSH_BYTES)
    assert (tmp_path / "audit").stat().st_size == FLUSH_BYTES


def test_stop_writes_what_waits_and_leaves_no_timer(tmp_path: Path) -> None:
    clock = Clock()
    sink = Sink(clock, tmp_path / "audit")
    sink.write(b"one\n")
    sink.close()
    assert (tmp_path / "audit").read_bytes() == b"one\n"
    assert clock.getDelayedCalls() == []


def test_a1_a_full_disk_is_told_kept_and_recovered_from(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "audit"
    path.symlink_to("/dev/full")
    sink = Sink(clock, path)
    sink.write(b"one\n")
    clock.advance(FLUSH_S)
    assert not sink.writable
    path.unlink()
    sink.reopen()
    clock.advance(FLUSH_S)
    assert sink.writable
    assert path.read_bytes() == b"one\n"
    assert sink.lost == 0


def test_beyond_the_bound_the_oldest_lines_are_lost_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    path.symlink_to("/dev/full")
    sink = Sink(Clock(), path)
    line = b"x" * (1 << 20) + b"\n"
    for _ in range(12):
        sink.write(line)
    assert sink.lost == 12 - BOUND_BYTES // len(line)
    assert os.path.lexists(path)


def test_a5_a_file_that_cannot_be_opened_anew_is_written_on(tmp_path: Path) -> None:
    clock, folder = Clock(), tmp_path / "held"
    folder.mkdir()
    sink = Sink(clock, folder / "audit")
    folder.rename(tmp_path / "gone")
    sink.reopen()
    other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)  # takes the lowest descriptor
    sink.write(b"one\n")
    clock.advance(FLUSH_S)
    assert (tmp_path / "gone" / "audit").read_bytes() == b"one\n"
    assert (tmp_path / "other").read_bytes() == b""
    os.close(other)
    folder.mkdir()
    sink.reopen()
    sink.write(b"two\n")
    sink.close()
    assert (folder / "audit").read_bytes() == b"two\n"


class Disk:
    """Room for so many bytes more, in whatever file; `refuses` is what a write beyond it says."""

    def __init__(self) -> None:
        self.room = 1 << 40
        self.refuses = errno.ENOSPC
        self.hidden = 0  # bytes that a failing write leaves all the same
        self._write = os.write

    def write(self, descriptor: int, data: bytes) -> int:
        """Write what there is room for."""
        if not self.room:
            self._write(descriptor, data[: self.hidden])
            raise OSError(self.refuses, os.strerror(self.refuses))
        done = self._write(descriptor, data[: self.room])
        self.room -= done
        return done


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    found = Disk()
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", found.write)
        yield found


LINES = [b'{"n":%d}\n' % number for number in range(10)]


@pytest.mark.parametrize("room", range(0, 80, 3))
def test_r60_a_disk_that_fills_in_a_line_leaves_no_torn_line_and_loses_none(
    tmp_path: Path, disk: Disk, room: int
) -> None:
    """can1357/oh-my-pi#8596: a full disk tore a line, and the next record was glued to it."""
    clock, path = Clock(), tmp_path / "audit"
    sink = Sink(clock, path)
    disk.room = room
    for line in LINES:
        sink.write(line)
    clock.advance(FLUSH_S)
    assert not sink.writable
    held = path.read_bytes()
    assert held == b"".join(LINES[: held.count(b"\n")])  # what is there is whole at every moment
    clock.advance(FLUSH_S)
    disk.room = 1 << 20
    clock.advance(FLUSH_S)
    assert path.read_bytes() == b"".join(LINES)
    assert (sink.lost, sink.writable) == (0, True)
    sink.close()


def test_r60_a_write_that_fails_after_it_wrote_leaves_nothing(tmp_path: Path, disk: Disk) -> None:
    clock, path = Clock(), tmp_path / "audit"
    sink = Sink(clock, path)
    disk.room, disk.refuses, disk.hidden = 0, errno.EIO, 5
    sink.write(LINES[0])
    clock.advance(FLUSH_S)
    assert path.read_bytes() == b""
    disk.room = 100
    clock.advance(FLUSH_S)
    assert path.read_bytes() == LINES[0]


def _only_grows(_: int, __: int) -> None:
    raise PermissionError


def test_r60_a_line_that_cannot_be_taken_out_is_finished(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "ftruncate", _only_grows)  # chattr +a
    clock, path = Clock(), tmp_path / "audit"
    sink = Sink(clock, path)
    disk.room = 12
    long = b"x" * (BOUND_BYTES // 4) + b"\n"
    for line in (*LINES[:2], *[long] * 5):
        sink.write(line)
    clock.advance(FLUSH_S)
    assert path.read_bytes() == b"".join(LINES)[:12]
    disk.room = 1 << 40
    clock.advance(FLUSH_S)
    lines = path.read_bytes().splitlines(keepends=True)
    assert lines[:2] == LINES[:2]  # the one that was half out is the last to be given up
    assert lines[2:] == [long] * 3
    assert sink.lost == 2


def test_r60_a_line_that_another_wrote_behind_is_begun_again(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "ftruncate", _only_grows)
    clock, path = Clock(), tmp_path / "audit"
    sink = Sink(clock, path)
    disk.room = 3
    sink.write(LINES[0])
    clock.advance(FLUSH_S)
    with path.open("ab") as other:
        other.write(b"other\n")
    disk.room = 100
    clock.advance(FLUSH_S)
    assert path.read_bytes() == LINES[0][:3] + b"other\n" + LINES[0]


def test_r60_a_torn_line_that_a_killed_process_left_is_ended_first(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    path.write_bytes(LINES[0] + b'{"n":')
    first, second = Sink(Clock(), path), Sink(Clock(), path)
    for sink in (first, second):
        sink.write(LINES[1])
        sink.close()
    assert path.read_bytes() == LINES[0] + b'{"n":\n' + LINES[1] * 2


def test_r60_a_rotation_while_a_line_is_half_out_gives_it_whole_to_the_new_file(
    tmp_path: Path, disk: Disk
) -> None:
    clock, path = Clock(), tmp_path / "audit"
    sink = Sink(clock, path)
    disk.room = 12
    for line in LINES:
        sink.write(line)
    clock.advance(FLUSH_S)
    path.rename(tmp_path / "audit.1")
    sink.reopen()
    disk.room = 1000
    sink.close()
    assert (tmp_path / "audit.1").read_bytes() + path.read_bytes() == b"".join(LINES)
    assert path.read_bytes().startswith(b"{")


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_r60_a_half_that_cannot_be_taken_out_is_no_part_of_the_next_file(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(os, "ftruncate", _only_grows)
    clock, path = Clock(), tmp_path / "audit"
    sink = Sink(clock, path)
    disk.room = 3
    sink.write(LINES[0])
    clock.advance(FLUSH_S)
    path.rename(tmp_path / "audit.1")
    if kind == "pipe":
        os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CREAT, 0o600)
    sink.reopen()
    disk.room = 100
    sink.close()
    assert os.read(reader, 100) == LINES[0]
    os.close(reader)


def test_r60_workers_that_share_a_full_file_take_out_their_own_lines_alone(
    tmp_path: Path, disk: Disk
) -> None:
    clock, path = Clock(), tmp_path / "audit"
    sinks = [Sink(clock, path), Sink(clock, path)]
    for round_ in range(20):
        disk.room = round_ * 5
        for sink in sinks:
            sink.write(LINES[round_ % 10])
        clock.advance(FLUSH_S)
    disk.room = 1000
    for sink in sinks:
        sink.close()
    assert sorted(path.read_bytes().splitlines(keepends=True)) == sorted(LINES * 4)


def test_r60_a_lock_that_somebody_else_holds_delays_and_does_not_stop(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "audit"
    sink = Sink(clock, path)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        sink.write(LINES[0])
        clock.advance(FLUSH_S)
        assert path.read_bytes() == b""
        assert sink.writable
        for _ in range(PATIENCE):
            clock.advance(FLUSH_S)
    assert path.read_bytes() == LINES[0]


def test_r60_a_pipe_that_is_full_or_gone(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "audit"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink = Sink(clock, path)
    os.set_blocking(sink._outlet.descriptor, False)
    lines = [b"%06d" % number + b"x" * 1000 + b"\n" for number in range(200)]
    for line in lines:
        sink.write(line)
    clock.advance(FLUSH_S)
    assert sink.writable  # full is not broken
    assert sink.lost == 0
    heard = b""
    while sum(map(len, lines)) > len(heard):
        heard += os.read(reader, 1 << 16)
        clock.advance(FLUSH_S)
    assert heard == b"".join(lines)
    os.close(reader)
    sink.write(LINES[0])
    clock.advance(FLUSH_S)
    assert not sink.writable
    sink.close()
    assert sink.lost == 1


def test_r60_everything_lost_is_counted(tmp_path: Path, disk: Disk) -> None:
    clock, path = Clock(), tmp_path / "audit"
    sink = Sink(clock, path)
    disk.room = 50_000
    line = b"y" * 40_000 + b"\n"
    for _ in range(600):
        sink.write(line)
    clock.advance(FLUSH_S)
    assert sink._bytes <= BOUND_BYTES
    disk.room = 1 << 40
    sink.close()
    written = path.read_bytes().splitlines(keepends=True)
    assert set(written) == {line}
    assert sink.lost > 300
    assert len(written) + sink.lost == 600
