"""The stack's configuration under ``lockgate:``, as types; with every fault at once."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import evolve, fields, frozen
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.document import Member, Node
from lockgate.policy.reading.load import STACK_KEY, load_tree, place
from lockgate.policy.reading.nearest import nearest
from lockgate.policy.reading.paths import joined
from lockgate.policy.reading.placing import Surroundings
from lockgate.policy.reading.problem import PolicyRefusedError, Problem
from lockgate.policy.reading.structure import INVALID, Builder
from lockgate.policy.reading.suggestions import worded
from lockgate.policy.spec.fields import spec_field, wire_name

from pulumi_lockgate.manifests.audit import claim_faults
from pulumi_lockgate.manifests.metal import Metal
from pulumi_lockgate.manifests.model_server import Inference
from pulumi_lockgate.manifests.pools import Pool
from pulumi_lockgate.manifests.site import route_faults
from pulumi_lockgate.stack.metal import backend_faults, double_faults, metal_of
from pulumi_lockgate.stack.models import inference_of
from pulumi_lockgate.stack.pools import place_models, pool_of
from pulumi_lockgate.stack.secrets import KEY as SECRETS
from pulumi_lockgate.stack.secrets import StackSecret, key_faults, read_secrets
from pulumi_lockgate.stack.site import SiteSettings, at_home, site_faults, ways_out
from pulumi_lockgate.stand_ins import Missing, decides, without_secrets

PROJECT: Final = "lockgate"
_ACCEPTANCE: Final = re.compile(r"widening:[0-9a-f]{64}\Z")


@frozen
class NamespaceSettings:
    """A namespace that is not simply made: `lockgate:namespace` as an object."""

    name: str = spec_field("namespace of every object")
    create: bool = spec_field(
        "false: it exists already, and is neither made nor deleted", default=True
    )


@frozen
class StackSettings:
    """Everything that a stack file may say under ``lockgate:``, the policy aside."""

    name: str = spec_field("the router's name", default="lockgate", wire="lockgate:name")
    namespace: str = spec_field(
        "namespace of every object", default="lockgate", wire="lockgate:namespace"
    )
    litellm_url: str | None = spec_field(
        "base URL of the cluster's LiteLLM, for litellm backends without a url",
        default=None,
        wire="lockgate:litellmUrl",
    )
    models: Mapping[str, Any] = spec_field(
        "model servers, by name", default={}, wire="lockgate:models"
    )
    site: SiteSettings = spec_field(
        "what the site asks of all pods", default=SiteSettings(), wire="lockgate:site"
    )
    metal: Mapping[str, Any] = spec_field(
        "Macs outside the cluster that serve a model, by name: a backend is one of them by "
        "`inferenceServiceRef: { name: NAME }`",
        default={},
        wire="lockgate:metal",
    )
    pools: Mapping[str, Any] = spec_field(
        "nodes for model servers, by name", default={}, wire="lockgate:pools"
    )
    secrets: Mapping[str, Any] = spec_field(
        "Secrets to make, by name and key: `pulumi config set --secret --path "
        "'lockgate:secrets.NAME.KEY'` writes a value encrypted",
        default={},
        wire="lockgate:secrets",
    )
    accept_widening: str | None = spec_field(
        "digest of the one list of widenings, of one policy, that may be deployed",
        default=None,
        wire="lockgate:acceptWidening",
    )


@frozen
class Stack:
    """A stack's configuration as it was read: settings, model servers, the placed policy.

    `missing` are secrets that a file does not show; they have stand-ins in everything else.
    `secret` are the keys whose values the engine keeps secret.
    """

    settings: StackSettings
    models: Mapping[str, Inference]
    policy: LoadedPolicy
    creates_namespace: bool = True
    missing: tuple[Missing, ...] = ()
    secrets: tuple[StackSecret, ...] = ()
    secret: frozenset[str] = frozenset()
    pools: Mapping[str, Pool] = {}
    metal: Mapping[str, Metal] = {}


def read_stack_tree(
    config: Node, path: str, name: str, secret: frozenset[str] = frozenset()
) -> Stack:
    """Return what the tree `config` says; `path` is its place in the file `name`.

    `secret` are the keys whose values the engine keeps secret and gives in clear.
    PolicyRefusedError has every fault of settings, models and policy, in the file's order.
    """
    found: list[Missing] = []
    members = config.value if config.is_mapping else ()
    all_ours = [m for m in members if m.key.startswith(f"{PROJECT}:")]
    stated = next((m for m in all_ours if m.key == SECRETS), None)
    ours = [
        evolve(m, node=without_secrets(m.node, m.key, found)) for m in all_ours if m is not stated
    ]
    _refuse_hidden(decides(found), path, name)
    router = next((member for member in ours if member.key == STACK_KEY), None)
    misspelt = None if router else _misspelt(ours)
    others = tuple(m for m in ours if m not in {router, misspelt})
    rest = Node(others, config.line, is_mapping=True)
    builder = Builder(StackSettings)
    rest, creates = _namespace(builder, rest)
    settings: StackSettings = builder.build(StackSettings, rest, "")
    faults: list[Problem] = []
    secrets = read_secrets(stated, faults, hidden="secrets" in secret)
    pools = {m.key: pool_of(builder, faults, m) for m in _entries(rest, "pools")}
    models: Mapping[str, Inference | None] = {
        m.key: inference_of(builder, faults, m, settings.namespace)
        for m in _entries(rest, "models")
    }
    models = place_models(models, pools, builder, faults)
    metal = {
        m.key: metal_of(builder, faults, m, settings.namespace) for m in _entries(rest, "metal")
    }
    faults += double_faults(metal, models, builder)
    site = settings.site
    models = at_home(models, site)
    faults += site_faults(site, models, builder)
    faults += _acceptance(builder, settings)
    problems = [_within(problem, path) for problem in (*worded(builder.refusals), *faults)]
    policy: LoadedPolicy | None = None
    if router is None:
        problems.append(_within(_no_router(misspelt, config.line), path))
    else:
        machines = {host.name: host.machine for host in metal.values() if host}
        around = Surroundings(settings.namespace, settings.litellm_url, machines, site.asked)
        policy, refused = _policy(router, around, path, name, airgapped=site.airgapped)
        problems += refused
        if policy is not None:
            problems += [_within(fault, path) for fault in key_faults(secrets, policy.spec)]
    if problems or policy is None:
        raise PolicyRefusedError(name, tuple(sorted(problems, key=lambda p: p.line or 0)))
    good = {n: m for n, m in models.items() if m}
    gaps = tuple(evolve(m, path=joined(path, m.path)) for m in found)
    known = {n: pool for n, pool in pools.items() if pool}
    hosts = {n: host for n, host in metal.items() if host}
    return Stack(settings, good, policy, creates, gaps, secrets, secret, known, hosts)


def _policy(
    router: Member, around: Surroundings, path: str, name: str, *, airgapped: bool
) -> tuple[LoadedPolicy | None, list[Problem]]:
    """Return the stack's policy in its place, and every fault of it there."""
    inner = joined(path, STACK_KEY)
    try:
        loaded = load_tree(router.node, inner, name)
        policy = place(loaded, around, inner, name)
    except PolicyRefusedError as refused:
        return None, list(refused.problems)
    found = [*backend_faults(around.machines, loaded.spec), *claim_faults(policy.spec)]
    found += route_faults(policy.spec)
    found += ways_out(policy) if airgapped else ()
    return policy, [_of_router(one, router, path) for one in found]


def _refuse_hidden(found: tuple[Missing, ...], path: str, name: str) -> None:
    """Refuse secrets without which nothing can be proved."""
    message = "is a secret, which a file does not show, and the proof depends on it"
    suggestion = "run `pulumi preview`, which reads it, or keep this value plain"
    problems = (Problem(joined(path, m.path), m.line, message, suggestion) for m in found)
    if found:
        raise PolicyRefusedError(name, tuple(problems))


def _namespace(builder: Builder, rest: Node) -> tuple[Node, bool]:
    """Return the settings with the namespace's name as a text, and whether it is to be made."""
    key = f"{PROJECT}:namespace"
    stated = next((m for m in rest.value if m.key == key and m.node.is_mapping), None)
    if stated is None:
        return rest, True
    namespace: Any = builder.build(NamespaceSettings, stated.node, key)
    others = tuple(m for m in rest.value if m is not stated)
    if namespace is INVALID:
        return evolve(rest, value=others), True
    text = evolve(stated, node=Node(namespace.name, stated.node.line))
    return evolve(rest, value=(*others, text)), namespace.create


def _acceptance(builder: Builder, settings: StackSettings) -> Iterator[Problem]:
    digest, key = settings.accept_widening, f"{PROJECT}:acceptWidening"
    if digest is not None and not _ACCEPTANCE.match(digest):
        suggestion = "write the line that the preview names, `pulumi config set {key} widening:...`"
        message = f"{digest!r} accepts no list (widening: and 64 hexadecimal digits)"
        yield Problem(key, builder.line_of(key), message, suggestion.format(key=key))


def _misspelt(ours: list[Member]) -> Member | None:
    """Return the key that was meant to be the router's."""
    return next((m for m in ours if nearest(m.key, KEYS) == STACK_KEY), None)


def _no_router(misspelt: Member | None, line: int | None) -> Problem:
    if misspelt is None:
        return Problem(
            STACK_KEY, line, "is missing", f"write `{STACK_KEY}:` and the policy under it"
        )
    suggestion = f"did you mean {STACK_KEY}? write `{STACK_KEY}:`"
    return Problem(misspelt.key, misspelt.line, "is not a field", suggestion)


def _entries(rest: Node, key: str) -> tuple[Member, ...]:
    """Return the named things under a key."""
    found = next((m.node for m in rest.value if m.key == f"{PROJECT}:{key}"), None)
    return found.value if found is not None and found.is_mapping else ()


def _of_router(problem: Problem, router: Member, path: str) -> Problem:
    """Return a problem of the placed policy with its place and line in the stack file."""
    node, line = router.node, router.node.line
    for key in problem.path.split("."):
        found = next((m for m in node.value if m.key == key), None) if node.is_mapping else None
        if found is None:
            break
        node, line = found.node, found.line or line
    return _within(evolve(problem, path=f"{STACK_KEY}.{problem.path}", line=line), path)


def _within(problem: Problem, path: str) -> Problem:
    return evolve(problem, path=joined(path, problem.path))


KEYS: Final = (STACK_KEY, *(wire_name(f) for f in fields(StackSettings)))
"""The configuration keys there are."""
