"""Run the proxy on a policy file."""

import gc
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from proxy.cli.options import Address, HostPort, parse_go_duration
from proxy.policy.load import load_policy
from proxy.policy.loaded import LoadedPolicy
from proxy.policy.problem import PolicyRefusedError, Problem


@frozen
class ServeOptions:
    """What the command line said."""

    policy: Path
    listen: tuple[str, int]
    admin: tuple[str, int]
    secrets: Path | None
    addresses: Mapping[str, str]
    drain_delay_s: float
    drain_grace_s: float | None


@click.command(name="serve")
@click.option(
    "--policy",
    required=True,
    type=click.Path(path_type=Path),
    help="Policy file: policy.json, or a spec in YAML.",
)
@click.option("--listen", default="127.0.0.1:8080", show_default=True, type=HostPort())
@click.option("--admin", default="127.0.0.1:9090", show_default=True, type=HostPort())
@click.option(
    "--secrets",
    "secrets_dir",
    type=click.Path(path_type=Path),
    help="Directory of mounted Secrets: DIR/<secret name>/<key>.",
)
@click.option(
    "--address",
    "addresses",
    multiple=True,
    type=Address(),
    metavar="BACKEND=URL",
    help="Stand in for a cluster's name resolution; logged loudly.",
)
@click.option("--drain-delay", default="0s", callback=parse_go_duration, show_default=True)
@click.option("--drain-grace", default=None, callback=parse_go_duration)
def command(  # noqa: PLR0913 - one parameter an option
    *,
    policy: Path,
    listen: tuple[str, int],
    admin: tuple[str, int],
    secrets_dir: Path | None,
    addresses: tuple[tuple[str, str], ...],
    drain_delay: float,
    drain_grace: float | None,
) -> None:
    """Run the proxy on a policy file.

    Exit status: 0 drained after SIGTERM, 2 the policy does not load or a port is taken.
    """
    options = ServeOptions(
        policy, listen, admin, secrets_dir, dict(addresses), drain_delay, drain_grace
    )
    try:
        loaded = load_policy(policy.read_bytes(), str(policy))
        check_addresses(loaded, options.addresses)
    except OSError as problem:
        _refuse(f"{policy}: cannot be read: {problem.strerror}")
    except PolicyRefusedError as refused:
        _refuse(str(refused))
    sys.exit(run(options, loaded))


def _refuse(text: str) -> Any:
    click.echo(text, err=True)
    sys.exit(2)


def check_addresses(policy: LoadedPolicy, addresses: Mapping[str, str]) -> None:
    """Hold every backend to having an address; PolicyRefusedError otherwise."""
    from proxy.net.resolve import NoAddressError, endpoint_of  # noqa: PLC0415 - verbs load lazily

    problems = []
    names = [backend.name for backend in policy.spec.backends]
    for name in addresses:
        if name not in names:
            known = ", ".join(names)
            problems.append(
                Problem("", None, f"--address names no backend {name!r}", f"use one of {known}")
            )
    for number, backend in enumerate(policy.spec.backends):
        try:
            endpoint_of(backend, addresses.get(backend.name))
        except NoAddressError as problem:
            mend = "state external.url, or --address"
            problems.append(Problem(f"backends[{number}]", None, str(problem), mend))
    if problems:
        raise PolicyRefusedError("serve", tuple(problems))


def _request_ids() -> Callable[[], str]:
    """Return ids that are unique across replicas and restarts, and cheap."""
    prefix, numbers = secrets.token_hex(6), count(1)
    return lambda: f"req-{prefix}-{next(numbers):x}"


def run(options: ServeOptions, policy: LoadedPolicy) -> int:
    """Serve until drained; return the exit status."""
    if sys.platform == "linux":
        from proxy.net.reactor import install  # noqa: PLC0415

        install()
    from twisted.internet import reactor  # noqa: PLC0415, TID251 - installed when it is needed
    from twisted.internet.error import CannotListenError  # noqa: PLC0415

    from proxy.net.house import build  # noqa: PLC0415
    from proxy.observe.log import start_logging  # noqa: PLC0415

    start_logging()
    clock: Any = reactor
    clock.seconds = time.monotonic  # deadlines must not follow the wall clock (X9)
    house = build(clock, options, policy, _request_ids())
    try:
        house.start()
    except CannotListenError as problem:
        click.echo(f"cannot listen: {problem}", err=True)
        house.sink.close()
        return 2

    def on_term(*_: object) -> None:
        clock.callFromThread(house.service.drain)

    def on_hup(*_: object) -> None:
        clock.callFromThread(house.hang_up)

    house.service.stopped.addCallback(lambda _: clock.stop())
    clock.callWhenRunning(signal.signal, signal.SIGTERM, on_term)
    clock.callWhenRunning(signal.signal, signal.SIGINT, on_term)
    clock.callWhenRunning(signal.signal, signal.SIGHUP, on_hup)
    gc.collect()
    gc.freeze()  # what lives as long as the process need not be looked at again
    clock.run(installSignalHandlers=True)
    house.sink.close()
    return os.EX_OK
