"""What `lockgate serve` was asked to do, and what a policy must fit to be served so."""

import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from lockgate.connections.endpoint import NoAddressError, endpoint_of
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.problem import PolicyRefusedError, Problem
from lockgate.policy.spec.model_router import AuditLog


@frozen
class ServeOptions:
    """The options of one `lockgate serve`; `addresses` are its ``--address`` by backend name.

    `policy` is None where the policy stands in no file. `keys` are given by the names of their
    Secrets; no command line and no `repr` holds them. `worker` is the number of this process among
    `workers`, None where it serves alone.
    """

    policy: Path | None
    listen: tuple[str, int]
    admin: tuple[str, int]
    secrets: Path | None
    addresses: Mapping[str, str]
    drain_delay_s: float
    drain_grace_s: float | None
    resolver: tuple[str, int] | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    workers: int = 1
    worker: int | None = None
    keys: Mapping[str, str] = field(factory=dict, repr=False)

    @property
    def policy_name(self) -> str:
        """What messages call the policy."""
        return "(no file)" if self.policy is None else str(self.policy)

    def arguments(self, worker: int) -> list[str]:
        """Return the command line of one of several workers; its admin port is any."""
        policy = ["--quick"] if self.policy is None else ["--policy", str(self.policy)]
        line = [sys.executable, "-m", "lockgate.cli.main", "serve", *policy]
        line += ["--listen", "{}:{}".format(*self.listen), "--admin", "127.0.0.1:0"]
        line += ["--workers", str(self.workers), "--worker", str(worker)]
        line += ["--drain-delay", f"{self.drain_delay_s}s"] if self.drain_delay_s else []
        if self.drain_grace_s is not None:
            line += ["--drain-grace", f"{self.drain_grace_s}s"]
        if self.resolver is not None:
            line += ["--resolver", "{}:{}".format(*self.resolver)]
        files = {"--secrets": self.secrets, "--tls-cert": self.tls_cert, "--tls-key": self.tls_key}
        for option, path in files.items():
            line += [option, str(path)] if path is not None else []
        for name, url in self.addresses.items():
            line += ["--address", f"{name}={url}"]
        return line


def check_addresses(policy: LoadedPolicy, addresses: Mapping[str, str]) -> None:
    """Raise PolicyRefusedError unless every backend has an address and `addresses` fit them."""
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
            suggestion = "state external.url, or --address"
            problems.append(Problem(f"backends[{number}]", None, str(problem), suggestion))
    if problems:
        raise PolicyRefusedError("serve", tuple(problems))


def check_keys(policy: LoadedPolicy, keys: Mapping[str, str]) -> None:
    """Raise PolicyRefusedError unless each of `keys` is for a Secret that a backend names."""
    external = [backend.external for backend in policy.spec.backends if backend.external]
    named = [one.credentials_secret_ref.name for one in external if one.credentials_secret_ref]
    known = ", ".join(dict.fromkeys(named)) or "none: no backend has a credentialsSecretRef"
    problems = [
        Problem("", None, f"--key {name}: no backend names this Secret", f"they name {known}")
        for name in keys
        if name not in named
    ]
    if problems:
        raise PolicyRefusedError("serve", tuple(problems))


def check_reloaded(policy: LoadedPolicy, options: ServeOptions, audit: AuditLog) -> None:
    """Raise PolicyRefusedError unless `policy` may replace one whose audit log is `audit`."""
    if policy.spec.policy.audit_log != audit:  # one log, from the first record to the last
        suggestion = "restart the proxy to write elsewhere"
        text = "cannot change while the proxy runs"
        problem = Problem("policy.auditLog", None, text, suggestion)
        raise PolicyRefusedError(options.policy_name, (problem,))
    names = {backend.name for backend in policy.spec.backends}
    check_addresses(policy, {k: v for k, v in options.addresses.items() if k in names})
