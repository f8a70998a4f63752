"""The supervisor of several workers: starts them, restarts them, drains and reloads them.

Each worker is a whole proxy on the same port (SO_REUSEPORT: the kernel shares connections out).
What they share and what is each one's own:
- each has its own breakers, retry budget and latency windows, and an equal share of the memory
  budget; a backend that fails is found out by each worker for itself;
- each has its own sequence of audit records, and says which worker it is; the parent passes their
  lines on whole, so that lines of several workers never mix;
- the admin page is the parent's: metrics of all of them with a label `worker`, ready when all are,
  asked for at most once a second;
- the parent keeps the text of the last policy that a worker served, and hands it to each that it
  starts: with a file that does not load, a new worker serves what the others serve.

A worker that dies is started again after 0.1 s, twice as long each time it dies within ten seconds,
at most ten. One that refuses to start (exit status 2) ends the parent with that status, unless one
has served before: then what is wrong now may be mended while the others go on.
"""

import signal
import socket
import sys
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from http.client import HTTPException
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.python.failure import Failure

from lockgate.amount import amount
from lockgate.audit.sink import BOUND_BYTES, Sink
from lockgate.server.admin import Admin, Kept
from lockgate.server.options import ServeOptions
from lockgate.server.parent_watch import REPORTS, BrokenMessageError, Messages, to_hand
from lockgate.server.readiness import ALARM, Check

FIRST_RESTART_S: Final = 0.1
LAST_RESTART_S: Final = 10.0
STABLE_S: Final = 10.0
SCRAPE_S: Final = 2.0
LOST: Final = "lockgate_audit_lost"
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks without the proxies that the environment may name: a worker is on this machine."""
_log = Logger("lockgate.supervisor")


class Supervisor:
    """Runs the workers. `arguments` makes the command line of a worker out of its number.

    `sink` is where their records go, `policy` the text of the policy that loaded.
    """

    def __init__(
        self,
        reactor: Any,
        options: ServeOptions,
        arguments: Callable[[int], list[str]],
        sink: Sink,
        policy: bytes,
    ) -> None:
        self.reactor = reactor
        self.options = options
        self.arguments = arguments
        self.sink = sink
        self.policy = policy
        self.served = False
        self.stopped: Deferred[int] = Deferred()
        self.draining = False
        self.admin_ports: list[int | None] = [None] * options.workers
        self._workers: dict[int, _Worker] = {}
        self._delays = [FIRST_RESTART_S] * options.workers
        self._status = 0
        self._admin: Any = None
        self._readiness = Kept(reactor, self._check_workers)
        self._own = CollectorRegistry(auto_describe=True)
        self._restarts = Counter(
            "lockgate_worker_restarts", "Workers started again", ["worker"], registry=self._own
        )

    def start(self) -> None:
        """Start every worker and listen on the admin port; CannotListenError when it is taken."""
        site = Admin(self.reactor, self._page, self._checks)
        host, port = self.options.admin
        self._admin = self.reactor.listenTCP(port, site, interface=host)
        for number in range(self.options.workers):
            self._spawn(number)
        _log.info("{workers}", workers=amount(self.options.workers, "worker"))

    def signal(self, number: int) -> None:
        """Pass a signal on to every worker."""
        for worker in list(self._workers.values()):
            worker.signal(number)

    def drain(self) -> None:
        """Begin to stop; a second call stops at once."""
        self.draining = True
        self.signal(signal.SIGTERM)
        if not self._workers:
            self._finish()

    def _spawn(self, number: int) -> None:
        if self.draining:
            return
        command = self.arguments(number)
        worker = self._workers[number] = _Worker(self, number, self.reactor.seconds())
        pipes = {0: "w", 1: "r", 2: 2, REPORTS: "r"}
        self.reactor.spawnProcess(worker, sys.executable, command, env=None, childFDs=pipes)
        worker.hand(self.policy, self.options.keys)

    def reported(self, worker: "_Worker", text: bytes) -> None:
        """Take a worker's message: its admin port or its policy; ValueError for another."""
        kind, content = text[:1], text[1:]
        if kind == b"a":
            self.admin_ports[worker.number] = int(content)
        elif kind == b"p":
            self.served = True
            self.policy = content
        else:
            raise BrokenMessageError(kind)

    def ended(self, worker: "_Worker", status: int) -> None:
        """A worker is gone."""
        number = worker.number
        del self._workers[number]
        self.admin_ports[number] = None
        if self.draining:
            if not self._workers:
                self._finish()
            return
        if status == 2 and not self.served:  # it said why
            self._status = status
            self.drain()
            return
        lived_s = self.reactor.seconds() - worker.since_s
        delay_s = FIRST_RESTART_S if lived_s >= STABLE_S else self._delays[number]
        self._delays[number] = min(delay_s * 2, LAST_RESTART_S)
        self._restarts.labels(str(number)).inc()
        _log.error(
            "worker {number} ended; started again in {delay} s", number=number, delay=delay_s
        )
        self.reactor.callLater(delay_s, self._spawn, number)

    def _finish(self) -> None:
        if self._admin is not None:
            self._admin.stopListening()
        if not self.stopped.called:
            self.stopped.callback(self._status)

    # -- the admin page

    def _page(self) -> "Deferred[bytes]":
        scraped = [deferToThread(_scrape, port, "metrics") for port in self.admin_ports]
        lost = self.sink.lost

        def merged(pages: list[str | None]) -> "Deferred[bytes]":
            return deferToThread(self._merged, pages, lost)

        return gatherResults(scraped).addCallback(merged)

    def _merged(self, pages: list[str | None], lost: int) -> bytes:
        registry = CollectorRegistry()
        registry.register(_Merged(dict(enumerate(pages)), lost))
        return generate_latest(self._own) + generate_latest(registry)

    def _checks(self) -> "list[Check] | Deferred[list[Check]]":
        if self.draining:
            return [Check("accepting", "draining")]
        if not self.sink.writable:
            return [Check("accepting"), Check("audit", "audit not writable")]
        return self._readiness.get()

    def _check_workers(self) -> "Deferred[list[Check]]":
        """Return whether each worker is ready, and the alarms of all, each once."""
        pages = [deferToThread(_scrape, port, "readyz?verbose") for port in self.admin_ports]

        def checked(pages: list[str | None]) -> list[Check]:
            workers = [
                Check(f"worker {n}", f"worker {n} is not ready" if page is None else None)
                for n, page in enumerate(pages)
            ]
            lines = [line for page in pages for line in (page or "").splitlines()]
            alarms = [line[len(ALARM) :].partition(": ") for line in lines if line[:4] == ALARM]
            found = {name: Check(name, why, is_alarm=True) for name, _, why in alarms}
            return [Check("accepting"), Check("audit"), *workers, *found.values()]

        return gatherResults(pages).addCallback(checked)


class _Worker(ProcessProtocol):
    """One worker process: its audit lines, and its messages."""

    transport: Any  # Twisted's interfaces have methods without self

    def __init__(self, supervisor: Supervisor, number: int, since_s: float) -> None:
        self.number = number
        self.since_s = since_s
        self._supervisor = supervisor
        self._begun = b""
        self._skips = False  # the rest of a line that is too long
        self._messages: Messages | None = Messages()

    def hand(self, policy: bytes, keys: Mapping[str, str]) -> None:
        """Hand the process the last policy that loaded, and the keys that were given."""
        if self.transport is not None:
            self.transport.writeToChild(0, to_hand(policy, keys))

    def signal(self, number: int) -> None:
        """Signal the process."""
        if self.transport is not None and self.transport.pid:
            self.transport.signalProcess(signal.Signals(number).name.removeprefix("SIG"))

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Pass whole audit lines on, and hear which policy is served."""
        if childFD != REPORTS:
            self._audit(data)
        elif self._messages is not None:
            try:
                for text in self._messages.take(data):
                    self._supervisor.reported(self, text)
            except ValueError:
                self._messages = None
                _log.error("worker {number} sent a message that cannot be read", number=self.number)

    def _audit(self, data: bytes) -> None:
        lines = data.split(b"\n")
        lines[0] = self._begun + lines[0]
        self._begun = lines.pop()
        for line in lines:
            if self._skips:
                self._skips = False
            else:
                self._supervisor.sink.write(line + b"\n")
        if len(self._begun) > BOUND_BYTES:
            self._lost("an audit line that is too long")
            self._skips = True
        if self._skips:
            self._begun = b""

    def _lost(self, what: str) -> None:
        self._supervisor.sink.lost += 1
        _log.error("worker {number} ended in {what}, which is lost", number=self.number, what=what)

    def processEnded(self, reason: Failure) -> None:
        """The process is gone and its output read."""
        if self._begun:
            self._lost("the middle of an audit line")
        self._supervisor.ended(self, getattr(reason.value, "exitCode", None) or 0)


class _Merged(Collector):
    """The metrics of several pages, each sample with its worker's number.

    `lost` audit lines are the parent's, under the name that workers use for theirs.
    """

    def __init__(self, pages: dict[int, str | None], lost: int) -> None:
        self._pages = pages
        self._lost = lost

    def collect(self) -> list[Metric]:
        """Return every family once."""
        ours = Metric(LOST, "Audit lines lost", "gauge")
        ours.add_sample(LOST, {"worker": "parent"}, self._lost)
        families = {LOST: ours}
        for number, page in self._pages.items():
            for scraped in text_string_to_metric_families(page or ""):
                family = families.get(scraped.name)
                if family is None:
                    family = families[scraped.name] = Metric(
                        scraped.name, scraped.documentation, scraped.type
                    )
                for sample in scraped.samples:
                    labels = {**sample.labels, "worker": str(number)}
                    family.add_sample(sample.name, labels, sample.value)
        return list(families.values())


def _scrape(port: int | None, page: str) -> str | None:
    """Return a worker's admin page, None when there is none; runs in a thread."""
    if port is None:
        return None
    try:
        with _DIRECT.open(f"http://127.0.0.1:{port}/{page}", timeout=SCRAPE_S) as response:
            return str(response.read().decode())
    except (OSError, HTTPException):
        return None


def free_port() -> int:
    """Return a loopback port that nobody listens on: the one that workers share must be known."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_supervisor(reactor: Any, supervisor: Supervisor) -> int:
    """Run until every worker has ended; return the exit status."""
    status: list[int] = []

    def stop(exit_status: int) -> None:
        status.append(exit_status)
        reactor.stop()

    supervisor.stopped.addCallback(stop)
    handlers = {
        signal.SIGTERM: supervisor.drain,
        signal.SIGINT: supervisor.drain,
        signal.SIGHUP: partial(supervisor.signal, signal.SIGHUP),
    }
    for number, handler in handlers.items():
        reactor.callWhenRunning(_handle, reactor, number, handler)
    for number in (signal.SIGUSR1, signal.SIGUSR2):  # they mean nothing, and would kill
        reactor.callWhenRunning(signal.signal, number, signal.SIG_IGN)
    reactor.run(installSignalHandlers=True)
    return status[0] if status else 0


def _handle(reactor: Any, number: signal.Signals, handler: Callable[[], None]) -> None:
    def on_signal(*_: object) -> None:
        reactor.callFromThread(handler)

    signal.signal(number, on_signal)
