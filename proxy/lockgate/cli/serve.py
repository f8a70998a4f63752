"""Run the proxy on a policy file."""

import gc
import os
import secrets
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve
from click.core import ParameterSource

from lockgate.cli.arguments import Address, HostPort, Key, is_address, parse_go_duration
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.problem import PolicyRefusedError
from lockgate.server.options import ServeOptions, check_addresses, check_keys, check_reloaded
from lockgate.server.policy_file import HeldPolicy, PolicyFile
from lockgate.server.request_ids import RequestIds

if TYPE_CHECKING:
    from lockgate.server.app import App


@click.command(name="serve")
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    help="Policy file: policy.json, or a spec in YAML.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="No file: route to what this machine has, as `lockgate init` finds it.",
)
@click.option(
    "--listen",
    default="127.0.0.1:8080",
    show_default=True,
    type=HostPort(),
    help="Address and port for clients.",
)
@click.option(
    "--admin",
    default="127.0.0.1:9090",
    show_default=True,
    type=HostPort(),
    help="Address and port for /metrics, /healthz and /readyz.",
)
@click.option(
    "--secrets",
    "secrets_dir",
    type=click.Path(path_type=Path),
    help="Directory of mounted Secrets: DIR/<secret name>/<key>.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=Key(),
    metavar="SECRET=env:VAR|@FILE",
    help="The key of a Secret, read once out of a variable or a file; may be repeated.",
)
@click.option(
    "--address",
    "addresses",
    multiple=True,
    type=Address(),
    metavar="BACKEND=URL",
    help="Send the requests of BACKEND to URL instead; logged as a warning.",
)
@click.option(
    "--resolver",
    type=HostPort(),
    help="DNS server to ask instead of those in /etc/resolv.conf.",
)
@click.option(
    "--tls-cert",
    type=click.Path(path_type=Path),
    help="Serve TLS with this PEM certificate chain; read again when it changes.",
)
@click.option("--tls-key", type=click.Path(path_type=Path), help="The PEM key of --tls-cert.")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Number of processes that share the port: one for each core.",
)
@click.option("--worker", type=int, hidden=True)
@click.option(
    "--drain-delay",
    default="0s",
    metavar="DURATION",
    callback=parse_go_duration,
    show_default=True,
    help="How long connections are still accepted after SIGTERM, like 5s.",
)
@click.option(
    "--drain-grace",
    default=None,
    metavar="DURATION",
    callback=parse_go_duration,
    help="How long running responses may take after that; else what the policy says.",
)
@click.pass_context
def command(  # noqa: PLR0913 - one parameter an option
    ctx: click.Context,
    *,
    policy: Path | None,
    quick: bool,
    listen: tuple[str, int],
    admin: tuple[str, int],
    secrets_dir: Path | None,
    keys: tuple[tuple[str, str], ...],
    addresses: tuple[tuple[str, str], ...],
    drain_delay: float,
    drain_grace: float | None,
    resolver: tuple[str, int] | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    workers: int,
    worker: int | None,
) -> None:
    """Run the proxy on a policy file, or on a policy made of what this machine has.

    SIGTERM drains it, a second one stops it at once; SIGHUP reads the policy file again, which
    also happens when it changes.

    Exit status: 0 drained after SIGTERM, 2 the policy does not load or a port is taken.
    """
    if (policy is None) != quick:
        raise click.UsageError("name a policy with --policy FILE, or take --quick: one of the two")
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key go together")
    if resolver is not None and not is_address(resolver[0]):
        raise click.UsageError(f"--resolver {resolver[0]} is not an address, like 10.96.0.10:53")
    options = ServeOptions(
        policy=policy,
        listen=listen,
        admin=admin,
        secrets=secrets_dir,
        addresses=dict(addresses),
        drain_delay_s=drain_delay,
        drain_grace_s=drain_grace,
        resolver=resolver,
        tls_cert=tls_cert,
        tls_key=tls_key,
        workers=workers,
        worker=worker,
        keys=dict(keys),
    )
    file = PolicyFile(policy) if policy is not None else HeldPolicy(b"")
    if worker is not None:
        sys.exit(_run_worker(options, file))
    if quick:
        options, file = _quick(ctx, options)
    loaded = file.load(lambda found: check_addresses(found, options.addresses))
    check_keys(loaded, options.keys)
    sys.exit(run_workers(options, file) if workers > 1 else run(options, file, loaded))


def _quick(ctx: click.Context, options: ServeOptions) -> tuple[ServeOptions, HeldPolicy]:
    """Return the policy of what this machine has, and the options with its keys and free ports."""
    from lockgate.cli.quick import free_place, quick_policy  # noqa: PLC0415 - a first run's alone

    usual = ParameterSource.DEFAULT  # a model server may have the usual port
    if ctx.get_parameter_source("listen") is usual:
        options = evolve(options, listen=free_place(options.listen))
    if ctx.get_parameter_source("admin") is usual:
        options = evolve(options, admin=free_place(options.admin))
    file, keys = quick_policy(options.listen)
    return evolve(options, keys={**keys, **options.keys}), file


def _run_worker(options: ServeOptions, file: PolicyFile) -> int:
    """Serve as one of several, on the policy in the file, or the last one that loaded."""
    from lockgate.server.parent_watch import handed  # noqa: PLC0415 - a worker's alone

    given = handed()
    if given is None:  # the parent is gone already
        return os.EX_OK
    text, keys = given
    options = evolve(options, keys=keys)
    last = file.take(text, lambda _: None)
    audit = last.spec.policy.audit_log
    try:
        loaded = file.load(lambda found: check_reloaded(found, options, audit))
    except (OSError, PolicyRefusedError) as problem:
        return run(options, file, last, kept_for=problem)
    return run(options, file, loaded)


def run_workers(options: ServeOptions, file: PolicyFile) -> int:
    """Serve with several processes until they have drained; return the exit status."""
    from twisted.internet import reactor  # noqa: PLC0415, TID251 - installed when it is needed
    from twisted.internet.error import CannotListenError  # noqa: PLC0415

    from lockgate.audit.sink import Sink  # noqa: PLC0415
    from lockgate.server.log import start_logging  # noqa: PLC0415
    from lockgate.server.supervisor import Supervisor, free_port, run_supervisor  # noqa: PLC0415

    start_logging()
    clock: Any = reactor
    clock.seconds = time.monotonic
    host, port = options.listen
    if port == 0:
        options = evolve(options, listen=(host, free_port()))
    sink = Sink(clock, None)
    supervisor = Supervisor(clock, options, options.arguments, sink, file.text)
    try:
        supervisor.start()
    except CannotListenError as problem:
        click.echo(f"cannot listen: {problem}", err=True)
        return 2
    status = run_supervisor(clock, supervisor)
    sink.close()
    return status


def run(
    options: ServeOptions,
    file: PolicyFile,
    policy: LoadedPolicy,
    kept_for: Exception | None = None,
) -> int:
    """Serve until drained; return the exit status.

    `kept_for`: why `file` was refused, and the policy that was in force before is served.
    """
    if sys.platform == "linux":
        from lockgate.eventloop.reactor import install  # noqa: PLC0415

        install()
    from twisted.internet import reactor  # noqa: PLC0415, TID251 - installed when it is needed
    from twisted.internet.error import CannotListenError  # noqa: PLC0415

    from lockgate.server.app import build  # noqa: PLC0415
    from lockgate.server.certificate import CertificateRefusedError  # noqa: PLC0415
    from lockgate.server.log import start_logging  # noqa: PLC0415

    start_logging()
    clock: Any = reactor
    clock.seconds = time.monotonic  # deadlines must not follow the wall clock (X9)
    try:
        ids = RequestIds(secrets.token_hex(6))
        app = build(clock, options, file, policy, ids.next)
    except CertificateRefusedError as problem:
        click.echo(f"cannot serve TLS: {problem}", err=True)
        return 2
    except OSError as problem:
        click.echo(f"cannot write audit records: {problem}", err=True)
        return 2

    if kept_for is not None:
        app.lifecycle.refused(kept_for)

    _hear_signals(clock, options, app)
    try:
        app.start()
    except CannotListenError as problem:
        click.echo(f"cannot listen: {problem}", err=True)
        app.sink.close()
        return 2

    app.lifecycle.stopped.addCallback(lambda _: clock.stop())
    gc.collect()
    gc.freeze()  # what lives as long as the process need not be looked at again
    clock.run(installSignalHandlers=True)
    app.sink.close()
    return os.EX_OK


def _hear_signals(clock: Any, options: ServeOptions, app: "App") -> None:
    from lockgate.server.parent_watch import ParentWatch  # noqa: PLC0415

    def on_term(*_: object) -> None:
        clock.callFromThread(app.lifecycle.drain)

    def on_hup(*_: object) -> None:
        clock.callFromThread(app.hang_up)

    signal.signal(signal.SIGTERM, on_term)  # taken up once it runs, where it is set again
    clock.callWhenRunning(signal.signal, signal.SIGTERM, on_term)
    if options.worker is None:
        clock.callWhenRunning(signal.signal, signal.SIGINT, on_term)
    else:
        clock.callWhenRunning(signal.signal, signal.SIGINT, signal.SIG_IGN)  # the parent's
        clock.callWhenRunning(clock.addReader, ParentWatch(clock, app.lifecycle.drain))
    clock.callWhenRunning(signal.signal, signal.SIGHUP, on_hup)
    for number in (signal.SIGUSR1, signal.SIGUSR2):  # they mean nothing, and would kill
        clock.callWhenRunning(signal.signal, number, signal.SIG_IGN)
