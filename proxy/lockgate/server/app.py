"""Assembles one proxy out of its parts: the only place where they are put together."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define
from twisted.internet.tcp import Port
from twisted.logger import Logger

from lockgate.audit.sink import Sink
from lockgate.connections.credentials import Credentials
from lockgate.connections.resolver import CAres, Resolver
from lockgate.connections.timer_wheel import TimerWheel
from lockgate.exchange.breaker import Closed, HalfOpen
from lockgate.exchange.memory import MemoryBudget
from lockgate.policy.loaded import LoadedPolicy
from lockgate.server.admin import Admin
from lockgate.server.availability import AvailabilityLog
from lockgate.server.backend_log import BackendLog
from lockgate.server.certificate import Certificate
from lockgate.server.lifecycle import Lifecycle
from lockgate.server.metrics import Metrics
from lockgate.server.options import ServeOptions, check_reloaded
from lockgate.server.parent_watch import report_page, report_policy
from lockgate.server.policy_file import PolicyFile
from lockgate.server.process_limits import (
    cgroup_limit,
    connection_limit,
    memory_budget,
    raise_descriptors,
)
from lockgate.server.readiness import Check
from lockgate.server.recorder import Recorder
from lockgate.server.router import RequestRouter
from lockgate.server.upstream_state import UpstreamState
from lockgate.server.upstreams import Upstreams

_log = Logger("lockgate.serve")


@define(eq=False)
class App:
    """One proxy, ready to start."""

    reactor: Any
    options: ServeOptions
    lifecycle: Lifecycle
    sink: Sink
    router: RequestRouter
    metrics: Metrics
    availability: AvailabilityLog
    admin_port: Port | None = None

    def start(self) -> tuple[int, int]:
        """Listen on both ports and return them; CannotListenError when one is taken."""
        host, port = self.options.listen
        served = self.lifecycle.start(host, port)
        site = Admin(self.reactor, self.metrics.page, self.checks)
        admin_host, admin = self.options.admin
        self.admin_port = self.reactor.listenTCP(admin, site, interface=admin_host)
        self.lifecycle.stopped.addCallback(self._stop_admin)
        admin = self.admin_port.getHost().port
        for backend, url in self.options.addresses.items():
            _log.warn(
                "backend {backend} is NOT resolved: --address sends it to {url}",
                backend=backend,
                url=url,
            )
        _log.info(
            "serving {digest} on {host}:{port}, admin on {admin_host}:{admin}",
            digest=self.router.upstream_state.policy.digest,
            host=host,
            port=served,
            admin_host=admin_host,
            admin=admin,
        )
        self.availability.begin(self.router.upstream_state.policy)
        if self.options.worker is not None:
            report_page(admin)
            report_policy(self.lifecycle.policy_file.text)
        return served, admin

    def hang_up(self) -> None:
        """Read the policy and the certificate again, and open the audit file anew: SIGHUP."""
        self.sink.reopen()
        if self.lifecycle.certificate is not None:
            self.lifecycle.certificate.reload()
        self.lifecycle.reload()

    def checks(self) -> list[Check]:
        """Return what a readiness probe looks at; a backend without its Secret is an alarm."""
        state = self.router.upstream_state
        keyed = [(b.name, state.credentials.why_missing(b)) for b in state.policy.spec.backends]
        return [
            Check(f"policy {state.policy.digest}"),
            Check("accepting", "draining" if self.router.draining else None),
            Check("audit", None if self.sink.writable else "audit not writable"),
            *(Check(f"Secrets of {name}", why, is_alarm=True) for name, why in keyed),
        ]

    def _stop_admin(self, _: None) -> Any:
        if self.admin_port is None:
            return None
        return self.admin_port.stopListening()  # type: ignore[no-untyped-call] # Twisted has no types for it


def build(
    reactor: Any,
    options: ServeOptions,
    file: PolicyFile,
    policy: LoadedPolicy,
    next_request_id: Callable[[], str],
) -> App:
    """Return a proxy on `reactor`, whose clock must be monotonic; `policy` was read from `file`."""
    audit = policy.spec.policy.audit_log
    sink = Sink(reactor, Path(audit.file_path) if audit.file_path else None)
    metrics = Metrics()
    metrics.policy(policy.digest)
    credentials = Credentials(options.secrets, reactor.seconds, options.keys)
    budget = MemoryBudget(_budget_bytes(policy, options), reactor.seconds)
    upstream_state = UpstreamState(reactor.seconds, policy, credentials, budget)
    recorder = Recorder(
        sink,
        metrics,
        time.time,  # noqa: TID251 - the one place: audit records are read by people
        reactor.seconds,
        lambda: upstream_state.policy.digest,
        worker=options.worker,
    )
    resolver = Resolver(reactor, CAres(options.resolver).ask)
    router = RequestRouter(
        reactor,
        TimerWheel(reactor),
        upstream_state,
        Upstreams(reactor, resolver, credentials, options.addresses),
        recorder,
        next_request_id=next_request_id,
        max_connections=_client_limit(),
        listens_on=options.listen[0],
    )
    lifecycle = Lifecycle(
        reactor=reactor,
        router=router,
        metrics=metrics,
        policy_file=file,
        drain_delay_s=options.drain_delay_s,
        drain_grace_s=_grace_s(policy, options),
        check=lambda loaded: check_reloaded(loaded, options, audit),
        certificate=_certificate(options, metrics),
        shared=options.worker is not None,
    )
    availability = AvailabilityLog(BackendLog(reactor.seconds), router, options)
    recorder.alarmed = availability.backend_log.alarmed
    _follow_policy(lifecycle, availability, options)
    _watch(metrics, router, sink)
    return App(reactor, options, lifecycle, sink, router, metrics, availability)


def _follow_policy(
    lifecycle: Lifecycle, availability: AvailabilityLog, options: ServeOptions
) -> None:
    """Let what is no part of a decision follow the policy in force too."""

    def adopted(loaded: LoadedPolicy) -> None:
        lifecycle.router.memory.limit_bytes = _budget_bytes(loaded, options)
        lifecycle.drain_grace_s = _grace_s(loaded, options)
        availability.begin(loaded)
        if options.worker is not None:
            report_policy(lifecycle.policy_file.text)

    lifecycle.adopted = adopted
    lifecycle.look = availability.look


def _client_limit() -> int:
    before, descriptors = raise_descriptors()
    clients = connection_limit(descriptors)
    _log.info(
        "file descriptors: {descriptors} (were {before}), clients: at most {clients}",
        descriptors=descriptors,
        before=before,
        clients=clients,
    )
    return clients


def _certificate(options: ServeOptions, metrics: Metrics) -> Certificate | None:
    if options.tls_cert is None or options.tls_key is None:
        return None
    return Certificate(options.tls_cert, options.tls_key, metrics)


def _budget_bytes(policy: LoadedPolicy, options: ServeOptions) -> int:
    return memory_budget(policy.spec.proxy.memory_budget, cgroup_limit(), options.workers)


def _grace_s(policy: LoadedPolicy, options: ServeOptions) -> float:
    stated = options.drain_grace_s
    return policy.spec.proxy.drain_grace if stated is None else stated


def _watch(metrics: Metrics, router: RequestRouter, sink: Sink) -> None:
    """Add the gauges that are read when the page is asked for."""
    upstream_state = router.upstream_state

    def breakers() -> dict[str, float]:
        return {name: _number(b.state) for name, b in upstream_state.breakers.items()}

    def missing() -> dict[str, float]:
        backends = upstream_state.policy.spec.backends
        return {b.name: float(upstream_state.credentials.is_missing(b)) for b in backends}

    metrics.watch("lockgate_in_flight", "Exchanges under way", lambda: len(router.drivers))
    metrics.watch("lockgate_connections", "Clients connected", lambda: len(router.connections))
    memory, clients = upstream_state.memory, router.connections
    metrics.watch("lockgate_memory_budget_bytes", "The budget", lambda: memory.limit_bytes)
    metrics.watch("lockgate_memory_held_bytes", "Held of it", lambda: memory.held_bytes)
    metrics.watch("lockgate_memory_refused", "Requests without room", lambda: memory.refused)
    text = "Kept connections to upstreams"
    metrics.watch("lockgate_idle_upstreams", text, lambda: router.upstreams.idle)
    text = "Connections without room"
    metrics.watch("lockgate_connections_turned_away", text, lambda: clients.turned_away)
    text = "Idle connections closed for others"
    metrics.watch("lockgate_connections_closed_idle", text, lambda: clients.closed_idle)
    metrics.watch("lockgate_audit_lost", "Audit lines lost", lambda: sink.lost)
    metrics.watch(
        "lockgate_permits_out", "Breaker permits in use", lambda: upstream_state.permits_out
    )
    metrics.watch("lockgate_timers", "Deadlines armed", lambda: len(router.wheel))
    text = "Times that this process stood still for more than a second"
    metrics.watch("lockgate_stalls", text, lambda: router.wheel.stalls)
    metrics.watch("lockgate_stalled_seconds", "How long in all", lambda: router.wheel.stalled_s)
    metrics.watch(
        "lockgate_shadows_running", "Shadow copies under way", lambda: len(router.shadows)
    )
    text = "Failures counted by the breaker"
    metrics.watch_each(
        "lockgate_breaker_failures", text, "backend", lambda: dict(upstream_state.failures_counted)
    )
    text = "1 healthy, 0 out"
    metrics.watch_each("lockgate_backend_healthy", text, "backend", router.health.states)
    text = "0 closed, 1 half-open, 2 open"
    metrics.watch_each("lockgate_breaker_state", text, "backend", breakers)
    text = "1 where the p95 to first token is over three times the tier's median"
    metrics.watch_each(
        "lockgate_backend_outlier",
        text,
        "backend",
        lambda: upstream_state.outliers(upstream_state.now()),
    )
    text = "1 where a named Secret is not mounted"
    metrics.watch_each("lockgate_credentials_missing", text, "backend", missing)


def _number(state: object) -> float:
    return 0.0 if isinstance(state, Closed) else 1.0 if isinstance(state, HalfOpen) else 2.0
