"""The parent of workers: what it passes on, whom it starts again, what it hands to them."""

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lockgate.audit.sink import BOUND_BYTES, Sink
from lockgate.server.parent_watch import REPORTS, BrokenMessageError, Messages, message, to_hand
from lockgate.server.supervisor import FIRST_RESTART_S, LOST, Supervisor, _Merged, _Worker
from twisted.internet.task import Clock


class Machine(Clock):
    """A reactor that starts nothing, and remembers what it was to start."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[Any] = []

    def spawnProcess(self, protocol: Any, *_: Any, **__: Any) -> None:
        """Start nothing."""
        protocol.transport = Process()
        self.started.append(protocol)


class Process:
    """A process that hears."""

    pid = 1

    def __init__(self) -> None:
        self.heard: list[tuple[int, bytes]] = []
        self.signals: list[str] = []

    def writeToChild(self, descriptor: int, data: bytes) -> None:
        """Hear."""
        self.heard.append((descriptor, data))

    def signalProcess(self, name: str) -> None:
        """Be signalled."""
        self.signals.append(name)


def ended(worker: _Worker, status: int) -> None:
    worker.processEnded(SimpleNamespace(value=SimpleNamespace(exitCode=status)))  # type: ignore[arg-type]


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def parent(machine: Machine, tmp_path: Path) -> Supervisor:
    options: Any = SimpleNamespace(workers=2, keys={"openai-key": "sk-x"})
    sink = Sink(machine, tmp_path / "out")
    made = Supervisor(machine, options, lambda _: [], sink, b"first")
    for number in range(2):
        made._spawn(number)
    return made


def test_r64_status_2_ends_the_parent_before_anybody_served(
    parent: Supervisor, machine: Machine
) -> None:
    ended(machine.started[0], 2)
    assert machine.started[1].transport.signals == ["TERM"]
    ended(machine.started[1], 0)
    assert parent.stopped.result == 2


def test_r64_status_2_is_a_death_like_others_once_one_served(
    parent: Supervisor, machine: Machine
) -> None:
    """benoitc/gunicorn#2595."""
    machine.started[1].childDataReceived(REPORTS, message(b"a1234") + message(b"pfirst"))
    ended(machine.started[0], 2)
    machine.advance(FIRST_RESTART_S)
    assert len(machine.started) == 3
    assert machine.started[1].transport.signals == []
    assert not parent.stopped.called
    assert parent.admin_ports == [None, 1234]


def test_r64_a_new_worker_is_handed_what_was_served_last(
    parent: Supervisor, machine: Machine
) -> None:
    assert machine.started[0].transport.heard == [(0, to_hand(b"first", {"openai-key": "sk-x"}))]
    for byte in message(b"psecond"):
        machine.started[1].childDataReceived(REPORTS, bytes([byte]))
    ended(machine.started[0], -signal.SIGKILL)
    machine.advance(FIRST_RESTART_S)
    assert machine.started[2].transport.heard == [(0, to_hand(b"second", {"openai-key": "sk-x"}))]


def test_r64_a_worker_that_says_nonsense_is_not_listened_to(
    parent: Supervisor, machine: Machine
) -> None:
    for worker, nonsense in zip(machine.started, (b"what?\n", message(b"x")), strict=True):
        worker.childDataReceived(REPORTS, nonsense)
        worker.childDataReceived(REPORTS, message(b"psecond"))
    assert parent.policy == b"first"


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_r64_messages_come_in_any_pieces(size: int) -> None:
    data = message(b"one") + message(b"") + message(b"t\nwo" * 50)
    messages, found = Messages(), []
    for start in range(0, len(data), size):
        found += messages.take(data[start : start + size])
    assert found == [b"one", b"", b"t\nwo" * 50]


@pytest.mark.parametrize("data", [b"x\n", b"-1\nx", b"\n", b"99999999\n", b"123456789"])
def test_r64_what_is_no_message_is_said_so(data: bytes) -> None:
    with pytest.raises(BrokenMessageError):
        Messages().take(data)


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_r60_lines_of_two_workers_never_mix(
    parent: Supervisor, machine: Machine, tmp_path: Path, size: int
) -> None:
    data = [b"".join(b"%b %d\n" % (name * 3, n) for n in range(9)) for name in (b"a", b"b")]
    for start in range(0, max(map(len, data)), size):
        for worker, lines in zip(machine.started, data, strict=True):
            worker.childDataReceived(1, lines[start : start + size])
    parent.sink.flush()
    written = (tmp_path / "out").read_bytes().splitlines(keepends=True)
    assert sorted(written) == sorted(b"".join(data).splitlines(keepends=True))
    assert parent.sink.lost == 0


def test_r60_half_a_line_of_a_dead_worker_is_lost_and_counted(
    parent: Supervisor, machine: Machine, tmp_path: Path
) -> None:
    machine.started[0].childDataReceived(1, b"whole\nhal")
    ended(machine.started[0], -9)
    machine.started[1].childDataReceived(1, b"other\n")
    parent.sink.flush()
    assert (tmp_path / "out").read_bytes() == b"whole\nother\n"
    assert parent.sink.lost == 1


def test_r60_a_line_without_an_end_is_given_up_at_the_bound(
    parent: Supervisor, machine: Machine, tmp_path: Path
) -> None:
    worker = machine.started[0]
    for _ in range(BOUND_BYTES // (1 << 20) * 3):
        worker.childDataReceived(1, b"x" * (1 << 20))
        assert len(worker._begun) <= BOUND_BYTES
    worker.childDataReceived(1, b"the rest\nnext\n")
    parent.sink.flush()
    assert (tmp_path / "out").read_bytes() == b"next\n"
    assert parent.sink.lost == 1


def test_r60_what_the_parent_lost_is_beside_what_workers_lost() -> None:
    page = f"# HELP {LOST} Audit lines lost\n# TYPE {LOST} gauge\n{LOST} 2.0\n"
    (family,) = _Merged({0: page, 1: None, 2: page}, 3).collect()
    counts = {sample.labels["worker"]: sample.value for sample in family.samples}
    assert counts == {"parent": 3, "0": 2.0, "2": 2.0}
