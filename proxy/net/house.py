"""Builds one proxy out of its parts: the only place where they are put together."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define
from twisted.internet.tcp import Port
from twisted.logger import Logger

from proxy.exchange.breaker import Closed, HalfOpen
from proxy.exchange.memory import MemoryBudget
from proxy.govern.credentials import Credentials
from proxy.govern.sink import Sink
from proxy.net.admin import Admin
from proxy.net.certificate import Certificate
from proxy.net.desk import Desk
from proxy.net.gate import Gate
from proxy.net.lifeline import report_page, report_policy
from proxy.net.limits import cgroup_limit, connection_limit, memory_budget, raise_descriptors
from proxy.net.lookout import Lookout
from proxy.net.names import CAres, Names
from proxy.net.notices import Notices
from proxy.net.policy_file import PolicyFile
from proxy.net.recorder import Recorder
from proxy.net.service import Service
from proxy.net.wheel import Wheel
from proxy.observe.metrics import Metrics
from proxy.policy.loaded import LoadedPolicy

if TYPE_CHECKING:
    from proxy.cli.serve import ServeOptions

_log = Logger("lockgate.serve")


@define(eq=False)
class House:
    """A proxy, ready to start."""

    reactor: Any
    options: "ServeOptions"
    service: Service
    sink: Sink
    desk: Desk
    metrics: Metrics
    lookout: Lookout
    admin_port: Port | None = None

    def start(self) -> tuple[int, int]:
        """Listen on both ports and return them; CannotListenError when one is taken."""
        host, port = self.options.listen
        served = self.service.start(host, port)
        site = Admin(self.reactor, self.metrics.page, self.unready)
        admin_host, admin = self.options.admin
        self.admin_port = self.reactor.listenTCP(admin, site, interface=admin_host)
        self.service.stopped.addCallback(self._stop_admin)
        admin = self.admin_port.getHost().port
        for backend, url in self.options.addresses.items():
            _log.warn(
                "backend {backend} is NOT resolved: {url} stands in", backend=backend, url=url
            )
        _log.info(
            "serving {digest} on {host}:{port}, admin on {admin_host}:{admin}",
            digest=self.desk.gate.policy.digest,
            host=host,
            port=served,
            admin_host=admin_host,
            admin=admin,
        )
        self.lookout.begin(self.desk.gate.policy)
        if self.options.worker is not None:
            report_page(admin)
            report_policy(self.service.policy_file.text)
        return served, admin

    def hang_up(self) -> None:
        """SIGHUP: the policy again, and the audit file after a rotation."""
        self.sink.reopen()
        if self.service.certificate is not None:
            self.service.certificate.reload()
        self.service.reload()

    def unready(self) -> list[str]:
        """Name what keeps this proxy from taking requests."""
        reasons = []
        if self.desk.draining:
            reasons.append("draining")
        if not self.sink.writable:
            reasons.append("audit not writable")
        return reasons

    def _stop_admin(self, _: None) -> Any:
        return self.admin_port.stopListening() if self.admin_port is not None else None


def build(
    reactor: Any,
    options: "ServeOptions",
    file: PolicyFile,
    policy: LoadedPolicy,
    next_request_id: Callable[[], str],
) -> House:
    """Put a proxy together on `reactor`, whose clock must be monotonic; `file` held `policy`."""
    from proxy.cli.serve import check_again  # noqa: PLC0415 - serve imports this module

    audit = policy.spec.policy.audit_log
    sink = Sink(reactor, Path(audit.file_path) if audit.file_path else None)
    metrics = Metrics()
    metrics.policy(policy.digest)
    credentials = Credentials(options.secrets, reactor.seconds)
    budget = MemoryBudget(_budget_bytes(policy, options), reactor.seconds)
    gate = Gate(reactor.seconds, policy, credentials, budget)
    recorder = Recorder(
        sink,
        metrics,
        time.time,  # noqa: TID251 - the one place: audit records are read by people
        reactor.seconds,
        lambda: gate.policy.digest,
        worker=options.worker,
    )
    desk = Desk(
        reactor,
        Wheel(reactor),
        gate,
        credentials,
        recorder,
        names=Names(reactor, CAres(options.resolver).ask),
        next_request_id=next_request_id,
        addresses=options.addresses,
        max_connections=_most_callers(),
        listens_on=options.listen[0],
    )
    service = Service(
        reactor=reactor,
        desk=desk,
        metrics=metrics,
        policy_file=file,
        drain_delay_s=options.drain_delay_s,
        drain_grace_s=_grace_s(policy, options),
        check=lambda loaded: check_again(loaded, options, audit),
        certificate=_certificate(options, metrics),
        shared=options.worker is not None,
    )
    lookout = Lookout(Notices(reactor.seconds), desk, options)
    recorder.alarmed = lookout.notices.alarmed
    _follow_policy(service, lookout, options)
    _watch(metrics, desk, sink)
    return House(reactor, options, service, sink, desk, metrics, lookout)


def _follow_policy(service: Service, lookout: Lookout, options: "ServeOptions") -> None:
    """Let what is no part of a decision follow the policy in force too."""

    def adopted(loaded: LoadedPolicy) -> None:
        service.desk.memory.limit_bytes = _budget_bytes(loaded, options)
        service.drain_grace_s = _grace_s(loaded, options)
        lookout.begin(loaded)
        if options.worker is not None:
            report_policy(service.policy_file.text)

    service.adopted = adopted
    service.look = lookout.look


def _most_callers() -> int:
    before, descriptors = raise_descriptors()
    callers = connection_limit(descriptors)
    _log.info(
        "descriptors: {descriptors} (were {before}), callers: at most {callers}",
        descriptors=descriptors,
        before=before,
        callers=callers,
    )
    return callers


def _certificate(options: "ServeOptions", metrics: Metrics) -> Certificate | None:
    if options.tls_cert is None or options.tls_key is None:
        return None
    return Certificate(options.tls_cert, options.tls_key, metrics)


def _budget_bytes(policy: LoadedPolicy, options: "ServeOptions") -> int:
    return memory_budget(policy.spec.proxy.memory_budget, cgroup_limit(), options.workers)


def _grace_s(policy: LoadedPolicy, options: "ServeOptions") -> float:
    stated = options.drain_grace_s
    return policy.spec.proxy.drain_grace if stated is None else stated


def _watch(metrics: Metrics, desk: Desk, sink: Sink) -> None:
    """Add the gauges that are read when the page is asked for."""
    gate = desk.gate

    def breakers() -> dict[str, float]:
        return {name: _number(b.state) for name, b in gate.breakers.items()}

    def missing() -> dict[str, float]:
        backends = gate.policy.spec.backends
        return {b.name: float(gate.credentials.is_missing(b)) for b in backends}

    metrics.watch("lockgate_in_flight", "Exchanges under way", lambda: len(desk.runs))
    metrics.watch("lockgate_connections", "Callers connected", lambda: len(desk.fronts))
    memory, callers = gate.memory, desk.fronts
    metrics.watch("lockgate_memory_budget_bytes", "The budget", lambda: memory.limit_bytes)
    metrics.watch("lockgate_memory_held_bytes", "Held of it", lambda: memory.held_bytes)
    metrics.watch("lockgate_memory_refused", "Requests without room", lambda: memory.refused)
    text = "Kept connections to upstreams"
    metrics.watch("lockgate_idle_upstreams", text, lambda: _idle(desk))
    text = "Connections without room"
    metrics.watch("lockgate_connections_turned_away", text, lambda: callers.turned_away)
    text = "Idle connections closed for others"
    metrics.watch("lockgate_connections_closed_idle", text, lambda: callers.closed_idle)
    metrics.watch("lockgate_audit_lost", "Audit lines lost", lambda: sink.lost)
    metrics.watch("lockgate_permits_out", "Breaker permits in use", lambda: gate.permits_out)
    metrics.watch("lockgate_timers", "Deadlines armed", lambda: len(desk.wheel))
    text = "Times that this process stood still for more than a second"
    metrics.watch("lockgate_stalls", text, lambda: desk.wheel.stalls)
    metrics.watch("lockgate_stalled_seconds", "How long in all", lambda: desk.wheel.stalled_s)
    metrics.watch("lockgate_shadows_running", "Shadow copies under way", lambda: len(desk.shadows))
    text = "Failures counted by the breaker"
    metrics.watch_each(
        "lockgate_breaker_failures", text, "backend", lambda: dict(gate.failures_counted)
    )
    text = "1 healthy, 0 out"
    metrics.watch_each("lockgate_backend_healthy", text, "backend", desk.health.states)
    text = "0 closed, 1 half-open, 2 open"
    metrics.watch_each("lockgate_breaker_state", text, "backend", breakers)
    text = "1 where the p95 to first token is over three times the tier's median"
    metrics.watch_each(
        "lockgate_backend_outlier", text, "backend", lambda: gate.outliers(gate.now())
    )
    text = "1 where a named Secret is not mounted"
    metrics.watch_each("lockgate_credentials_missing", text, "backend", missing)


def _idle(desk: Desk) -> int:
    return sum(dialler.idle for dialler in desk.diallers.values())


def _number(state: object) -> float:
    return 0.0 if isinstance(state, Closed) else 1.0 if isinstance(state, HalfOpen) else 2.0
