"""One core of Lockgate on other event loops and under Twisted's transports, in one run.

Medians of rounds of two seconds, alternating; `x` is CPU a request against the shipped loop's in
the same round, which stands where others use the machine. uvloop where it is installed. Twisted's
transports answer here only what the protocols ask of one, and that not to the byte.
"""

import statistics
import sys
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twisted.internet import asyncioreactor, epollreactor, main, tcp
from twisted.python.failure import Failure

sys.path.insert(0, str(Path(__file__).parent))
from lockgate.cli.main import main as lockgate
from lockgate.eventloop import outbox, reactor, sockets, transport
from proxying import measured
from rig import bench, build_name, need

SERVERS = ("shipped", "epoll+twisted", "asyncio+twisted", "uvloop+twisted", "asyncio", "uvloop")
"""A loop, and whose transports; ours are told of events by the loop itself, not by Twisted."""


class Room:
    """What a `Transport` asks of a reactor, out of an asyncio loop's public calls."""

    def __init__(self, loop: Any, later: Any) -> None:
        self.loop, self.callLater, self.outbox = loop, later, outbox.Outbox()
        self.watched: dict[Any, int] = {}
        self.addReader = partial(self._add, loop.add_reader, "doRead")
        self.addWriter = partial(self._add, loop.add_writer, "doWrite")
        self.removeReader = partial(self._remove, loop.remove_reader, "doRead")
        self.removeWriter = partial(self._remove, loop.remove_writer, "doWrite")

    def _add(self, ask: Any, act: str, one: Any) -> None:
        if (act, one) not in self.watched:
            self.watched[act, one] = one.fileno()
            ask(one.fileno(), self._told, one, getattr(one, act))
            self.loop.call_soon(self.outbox.empty)  # a new one is written to at once

    def _remove(self, ask: Any, act: str, one: Any) -> None:
        if (act, one) in self.watched:
            ask(self.watched.pop((act, one)))

    def _told(self, one: Any, act: Any) -> None:
        if why := act():
            self.removeReader(one)
            self.removeWriter(one)
            one.connectionLost(Failure(why))
        if len(self.outbox.written) == 1:
            self.loop.call_soon(self.outbox.empty)


class Counts:
    """What `ClientConnection` and `Upstream` ask of a transport beyond ITransport."""

    sent_bytes = unsent_bytes = taken_bytes = 0
    send_now = staticmethod(lambda: None)  # it leaves in the next turn

    def writeSomeData(self, data: bytes) -> Any:  # noqa: D102 - Twisted's
        sent: Any = super().writeSomeData(data)  # type: ignore[misc]
        if isinstance(sent, int):
            self.sent_bytes = self.taken_bytes = self.sent_bytes + sent
            self.unsent_bytes = len(data) - sent
        return sent


def serve(kind: str, whose: str) -> None:
    """Be `lockgate serve` on a loop with its or Twisted's transports."""

    def install() -> None:
        if kind == "epoll":
            return epollreactor.install()
        loop = import_module(kind).new_event_loop()
        made: Any = asyncioreactor.AsyncioSelectorReactor(loop)
        room = Room(loop, made.callLater)
        sockets.Transport = lambda _, *more: transport.Transport(room, *more)
        return main.installReactor(made)

    if kind != "shipped":
        reactor.install = install
    if whose:
        client = type("Client", (Counts, tcp.Client), {})
        sockets.ListeningPort.transport = type("Server", (Counts, tcp.Server), {})
        sockets.Connector._makeTransport = lambda own: client(  # noqa: SLF001 - as sockets itself does
            own.host, own.port, own.bindAddress, own, own.reactor
        )
    lockgate()


def compare() -> None:
    """Print a line for each server, at 32 connections and at one."""
    need("nginx", "wrk", "taskset")
    print(build_name())
    with bench() as held:
        upstream, servers = held.upstream(), {}
        for name in (n for n in SERVERS if find_spec("uvloop") or "uvloop" not in n):
            port, process = held.lockgate(upstream, program=(__file__, name))
            servers[name] = port, process.pid
            measured(held, port, process.pid, 32, 2)
        for count in (32, 1):
            rounds = [
                {n: measured(held, *at, count, 2) for n, at in servers.items()} for _ in range(7)
            ]
            for name in servers:
                of = [statistics.median(r[name][part] for r in rounds) for part in range(3)]
                times = statistics.median(r[name].cpu_us / r["shipped"].cpu_us for r in rounds)
                rest = "{:>6.0f} requests/s  p50 {:>5.0f} us  CPU {:>4.0f} us".format(*of)
                print(f"  {count:>2} {name:<16} {rest}  x {times:.2f}")


if __name__ == "__main__":
    serve(*sys.argv.pop(1).partition("+")[::2]) if len(sys.argv) > 1 else compare()
