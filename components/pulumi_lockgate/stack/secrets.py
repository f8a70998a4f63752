"""Secrets that the stack makes itself: `lockgate:secrets`, whose values the engine encrypts.

Shapes of names and keys: https://kubernetes.io/docs/concepts/configuration/secret/
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from attrs import field, frozen
from lockgate.policy.reading.document import Member, Node
from lockgate.policy.reading.problem import Problem
from lockgate.policy.spec.backends import KEY_FILES
from lockgate.policy.spec.model_router import RouterSpec

KEY: Final = "lockgate:secrets"
TLS_KEYS: Final = ("tls.crt", "tls.key")
CA_KEY: Final = "ca.crt"
PULL_KEY: Final = ".dockerconfigjson"
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\Z")
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}\Z")
_TYPES: Final = {
    frozenset({PULL_KEY}): "kubernetes.io/dockerconfigjson",
    frozenset(TLS_KEYS): "kubernetes.io/tls",
}


@frozen
class StackSecret:
    """One Secret to make. A value is None where a file shows it encrypted."""

    name: str
    values: Mapping[str, str | None] = field(repr=False)
    line: int | None = None

    @property
    def type(self) -> str:
        """Its type, by its keys."""
        return _TYPES.get(frozenset(self.values), "Opaque")


@frozen
class SecretNeed:
    """A Secret that a router reads: by whom, and which keys it must have."""

    name: str
    keys: tuple[str, ...]
    used_by: str


def secret_needs(spec: RouterSpec) -> Iterator[SecretNeed]:
    """Yield each Secret that the backends of a policy read."""
    for backend in spec.backends:
        user, external, tls = f"backend {backend.name}", backend.external, backend.tls
        if external is not None and external.credentials_secret_ref is not None:
            key = KEY_FILES[external.provider]
            yield SecretNeed(external.credentials_secret_ref.name, (key,), user)
        if tls is not None and tls.ca_secret_ref is not None:
            yield SecretNeed(tls.ca_secret_ref.name, (CA_KEY,), user)
        if tls is not None and tls.client_cert_secret_ref is not None:
            yield SecretNeed(tls.client_cert_secret_ref.name, TLS_KEYS, user)


def read_secrets(
    stated: Member | None, faults: list[Problem], *, hidden: bool
) -> tuple[StackSecret, ...]:
    """Return the Secrets of a stack; `faults` gets what is wrong with them.

    `hidden` says that the engine keeps the values secret, which it gives in clear; in a file they
    stand encrypted, as `secure:`.
    """
    if stated is None:
        return ()
    if not stated.node.is_mapping:
        faults.append(_fault(KEY, stated.node, "is no mapping of Secrets", "NAME.KEY"))
        return ()
    made = (_secret(member, faults, hidden=hidden) for member in stated.node.value)
    return tuple(one for one in made if one is not None)


def key_faults(secrets: Iterable[StackSecret], spec: RouterSpec) -> Iterator[Problem]:
    """Yield a fault for each key that a backend reads and a Secret of the stack has not."""
    by_name = {one.name: one for one in secrets}
    for need in secret_needs(spec):
        made = by_name.get(need.name)
        for key in need.keys if made is not None else ():
            if made is not None and key not in made.values:
                path = f"{KEY}.{need.name}"
                message = f"has no {key}, which {need.used_by} reads"
                yield Problem(path, made.line, message, _write(f"{need.name}.{key}"))


def _secret(member: Member, faults: list[Problem], *, hidden: bool) -> StackSecret | None:
    path, node = f"{KEY}.{member.key}", member.node
    if not _NAME.match(member.key):
        message = f"{member.key!r} is no name of a Secret"
        faults.append(_fault(path, node, message, "openai-key.OPENAI_API_KEY"))
        return None
    if not node.is_mapping or not node.value or _is_secure(node):
        message = "is no mapping of keys to values"
        faults.append(_fault(path, node, message, f"{member.key}.KEY"))
        return None
    values: dict[str, str | None] = {}
    for inner in node.value:
        where = f"{member.key}.{inner.key}"
        value = None if _is_secure(inner.node) else inner.node.value
        if not _KEY.match(inner.key):
            message = f"{inner.key!r} is no key of a Secret"
            faults.append(_fault(f"{KEY}.{where}", inner.node, message, f"{member.key}.KEY"))
        elif value is not None and not (hidden and isinstance(value, str)):
            message = "stands in clear, where everybody reads it who reads the stack"
            faults.append(_fault(f"{KEY}.{where}", inner.node, message, where))
        values[inner.key] = value if isinstance(value, str) else None
    return StackSecret(member.key, values, node.line)


def _is_secure(node: Node) -> bool:
    return node.is_mapping and [member.key for member in node.value] == ["secure"]


def _fault(path: str, node: Node, message: str, where: str) -> Problem:
    return Problem(path, node.line, message, _write(where))


def _write(where: str) -> str:
    name, _, key = where.partition(".")
    place = (
        f"{name}.{key}" if key.replace("_", "").replace("-", "").isalnum() else f'{name}["{key}"]'
    )
    return f"run `pulumi config set --secret --path '{KEY}.{place}'`, which asks for the value"
