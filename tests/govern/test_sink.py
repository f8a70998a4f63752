"""The audit sink: when it writes, and what it does when it cannot."""

import os
from pathlib import Path

from twisted.internet.task import Clock

from proxy.govern.sink import BOUND_BYTES, FLUSH_BYTES, FLUSH_S, Sink


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
