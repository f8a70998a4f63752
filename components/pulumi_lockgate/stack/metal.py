"""Machines outside the cluster that serve a model: `lockgate:metal`, as types, with every fault.

They are Macs with Apple silicon, which run llama.cpp under launchd.
"""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, Final

from attrs import evolve, fields, frozen
from lockgate.policy.reading.document import Member, from_plain
from lockgate.policy.reading.placing import MACHINE_PORT, Machine
from lockgate.policy.reading.placing import METAL as KEY
from lockgate.policy.reading.problem import Problem
from lockgate.policy.reading.structure import INVALID, Builder
from lockgate.policy.reading.suggestions import worded
from lockgate.policy.spec.backends import SecretRef
from lockgate.policy.spec.fields import spec_field
from lockgate.policy.spec.model_router import RouterSpec

from pulumi_lockgate.manifests.metal import Metal
from pulumi_lockgate.manifests.quantities import quantity

PRIVATE: Final = tuple(
    ip_network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
"""Where such a machine may be; 100.64.0.0/10 is that of overlays such as Tailscale's."""
_NAME: Final = re.compile(r"[a-z]([-a-z0-9]{0,55}[a-z0-9])?\Z")
_USER: Final = re.compile(r"[a-z_][a-z0-9_-]{0,30}\Z")
_PATH: Final = re.compile(r"/[^\0\n]+\Z")


@frozen
class DeclarationSettings:
    """Who says that a machine is local, and where it stands: `attestedLocal` is made of it."""

    owner: str = spec_field("who runs it and answers for it")
    place: str = spec_field("where it stands")


@frozen
class TlsSettings:
    """Files on the machine with which it serves HTTPS: PEM, for its address."""

    certificate: str = spec_field("path of the chain on the machine")
    key: str = spec_field("path of the key on the machine, which its user may read")
    ca_secret_ref: SecretRef | None = spec_field(
        "Secret whose `ca.crt` holds the only authorities that are trusted for it", default=None
    )


@frozen
class MetalSettings:
    """A Mac outside the cluster that serves one model."""

    address: str = spec_field("its IP address, in private space")
    model: str = spec_field("path of the GGUF file on the machine")
    memory: Any = spec_field("its whole memory, like 64Gi")
    user: str = spec_field("user on the machine that the server runs as; not root")
    declaration: DeclarationSettings = spec_field("who answers for it, and where it stands")
    port: int = spec_field("port that it serves on", default=MACHINE_PORT)
    memory_fraction: float | None = spec_field(
        "share of the memory that the GPU may have: a changed one is set at each start of the "
        "machine. Left out: macOS's own, 0.67 up to 36Gi, else 0.75",
        default=None,
    )
    context_size: int | None = spec_field("context window in tokens", default=None)
    parallel_slots: int | None = spec_field("requests served at once", default=None)
    extra_args: tuple[str, ...] = spec_field("further arguments of llama-server", default=())
    server: str = spec_field(
        "path of llama-server on the machine", default="/opt/homebrew/bin/llama-server"
    )
    tls: TlsSettings | None = spec_field(
        "serves HTTPS; without it, prompts cross the network as plain text", default=None
    )
    api_key_file: str | None = spec_field(
        "path on the machine of the key that callers must have; its Secret is "
        "`credentialsSecretRef`",
        default=None,
    )
    credentials_secret_ref: SecretRef | None = spec_field(
        "Secret that holds the key of `apiKeyFile`, as OPENAI_API_KEY", default=None
    )
    apple_power_enabled: bool = spec_field(
        "also log the power of CPU and GPU each ten seconds, by Apple's powermetrics",
        default=False,
    )


def read_metal(name: str, settings: Mapping[str, Any]) -> tuple[Metal | None, tuple[Problem, ...]]:
    """Return the machine `name` out of plain `settings`, or None and every fault."""
    builder, faults = Builder(MetalSettings), list[Problem]()
    found = metal_of(builder, faults, Member(name, None, from_plain(dict(settings))), "")
    above = f"{KEY}.{name}."
    problems = [*worded(builder.refusals), *faults]
    own = tuple(evolve(problem, path=problem.path.removeprefix(above)) for problem in problems)
    return (None if problems else found), own


def metal_of(
    builder: Builder, faults: list[Problem], member: Member, namespace: str
) -> Metal | None:
    """Return a machine as it stands in a tree; `faults` gets what its values may not say."""
    path = f"{KEY}.{member.key}"
    stated: Any = builder.build(MetalSettings, member.node, path)
    if stated is INVALID:
        return None
    found = [*_named(member.key), *_faults(stated)]
    for field, message, suggestion in found:
        place = f"{path}.{field}" if field else path
        if place not in builder.reported:
            line = builder.line_of(place) or member.line
            faults.append(Problem(place, line, message, suggestion))
    return None if found else _metal(member.key, namespace, stated)


def double_faults(
    metal: Mapping[str, Any], models: Mapping[str, Any], builder: Builder
) -> Iterator[Problem]:
    """Yield a fault for each machine that is called as a model server: their Services are one."""
    for name in metal.keys() & models.keys():
        place = f"{KEY}.{name}"
        message = "is a model server of this stack already"
        yield Problem(place, builder.line_of(place), message, "give it another name")


def backend_faults(metal: Mapping[str, Any], spec: RouterSpec) -> Iterator[Problem]:
    """Yield what a policy, before it is placed, may not say of a backend that is a machine."""
    for number, backend in enumerate(spec.backends):
        service = backend.inference_service_ref
        if service is None or service.name not in metal:
            continue
        if backend.served_model == "caller":
            message = "is for servers in the cluster, and this is a machine outside"
            mend = "leave it out: it is asked for its own model"
            yield Problem(f"backends[{number}].servedModel", None, message, mend)


def _metal(name: str, namespace: str, stated: MetalSettings) -> Metal:
    secret, tls = stated.credentials_secret_ref, stated.tls
    machine = Machine(
        name,
        stated.address,
        stated.port,
        stated.declaration.owner,
        stated.declaration.place,
        tls is not None,
        None if secret is None else secret.name,
        None if tls is None or tls.ca_secret_ref is None else tls.ca_secret_ref.name,
    )
    kept = {field.name for field in fields(Metal)} & {field.name for field in fields(MetalSettings)}
    same = {key: getattr(stated, key) for key in kept - {"memory", "tls"}}
    files = None if tls is None else (tls.certificate, tls.key)
    whole = int(quantity(stated.memory))
    return Metal(machine=machine, namespace=namespace, memory=whole, tls=files, **same)


def _named(name: str) -> Iterator[tuple[str, str, str]]:
    if not _NAME.match(name):
        message = f"{name!r} is no name of a Service"
        yield "", message, "use at most 57 small letters, digits and dashes, a letter first"


def _faults(stated: MetalSettings) -> Iterator[tuple[str, str, str]]:
    """Yield (field, what is wrong, the mend)."""
    yield from _address(stated.address)
    if not 1024 <= stated.port <= 65535:
        message = f"{stated.port} is not a port that a user may open"
        yield "port", message, "write `port: 8080`: from 1024 to 65535"
    if not _USER.match(stated.user) or stated.user == "root":
        yield "user", f"{stated.user!r} is no user that a server runs as", "write `user: _llama`"
    yield from _memory(stated)
    yield from _paths(stated)
    if (stated.api_key_file is None) != (stated.credentials_secret_ref is None):
        missing = "apiKeyFile" if stated.api_key_file is None else "credentialsSecretRef"
        yield missing, "is missing: the other half of it is there", "write both, or none"
    for field, text in (("owner", stated.declaration.owner), ("place", stated.declaration.place)):
        if not text.strip() or not text.isprintable() or len(text) > 200:
            message = "is no line of text"
            yield f"declaration.{field}", message, f"write `{field}: WORDS`, on one line"
    for number, word in enumerate(stated.extra_args):
        flag = word.partition("=")[0]
        if flag in {"--host", "--port"}:
            message = f"{flag} is the machine's address, which the policy is proved with"
            yield f"extraArgs[{number}]", message, "leave it out"


def _address(address: str) -> Iterator[tuple[str, str, str]]:
    try:
        found = ip_address(address)
    except ValueError:
        message = f"{address!r} is no IP address: an EndpointSlice knows no names"
        yield "address", message, "write `address: 10.20.0.7`"
        return
    if str(found) != address:
        yield "address", f"{address!r} has a shorter form", f"write `address: {found}`"
        return
    if not any(found.version == block.version and found in block for block in PRIVATE):
        message = f"{address} is not in private address space"
        mend = "write one of RFC 1918, 100.64.0.0/10 or fc00::/7"
        yield "address", message, mend


def _memory(stated: MetalSettings) -> Iterator[tuple[str, str, str]]:
    try:
        whole = quantity(stated.memory)
    except ValueError as problem:
        yield "memory", str(problem), "write `memory: 64Gi`"
        return
    if not 8 * 2**30 <= whole <= 2 * 2**40:
        yield "memory", f"{stated.memory} is no Mac's", "write `memory: 64Gi`"
    fraction = stated.memory_fraction
    if fraction is not None and not 0.3 <= fraction <= 0.95:
        message = f"{fraction} is not from 0.3 to 0.95"
        yield "memoryFraction", message, "write `memoryFraction: 0.8`, or leave it out"


def _paths(stated: MetalSettings) -> Iterator[tuple[str, str, str]]:
    paths = {"model": stated.model, "server": stated.server}
    if stated.tls is not None:
        paths |= {"tls.certificate": stated.tls.certificate, "tls.key": stated.tls.key}
    if stated.api_key_file is not None:
        paths["apiKeyFile"] = stated.api_key_file
    for field, path in paths.items():
        if not _PATH.match(path) or not path.isprintable():
            yield field, f"{path!r} is no path on the machine", "write it from its root: `/...`"
