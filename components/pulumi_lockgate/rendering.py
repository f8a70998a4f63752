"""A router's objects as arguments for Pulumi, with what is unknown or secret marked."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen
from pulumi import Output
from pulumi.output import UNKNOWN

from pulumi_lockgate.draft import WHOLE
from pulumi_lockgate.manifests.common import labels, metadata
from pulumi_lockgate.manifests.enforcer import enforcer_of
from pulumi_lockgate.manifests.network import CILIUM
from pulumi_lockgate.manifests.openings import ROUTER
from pulumi_lockgate.manifests.router import Router, rollout_s, router_manifests, short
from pulumi_lockgate.proved_policy import ProvedPolicy
from pulumi_lockgate.resource import body
from pulumi_lockgate.stand_ins import shapes_network
from pulumi_lockgate.widening import Earlier

SUFFIX: Final = "-router-proxy"
"""LLMKube's own, so that the URLs of its clients go on working."""
_KUBERNETES_KEEPS: Final = 10
"""Old ReplicaSets of a Deployment that says nothing of them."""
MOST_REPLICAS: Final = 10
ARGUMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "account": ("metadata", "automount_service_account_token"),
    "policy": ("metadata", "data", "immutable"),
    "network-policy": ("metadata", "spec"),
    CILIUM: ("metadata", "spec"),
    "deployment": ("metadata", "spec"),
    "service": ("metadata", "spec"),
    "disruption-budget": ("metadata", "spec"),
}
"""The arguments of each object, by its short name. Not every router has every one."""
_NETWORK: Final[tuple[str, ...]] = ("network-policy", CILIUM)


@frozen
class Rendered:
    """What a router's resources and outputs are made of; some values are unknown or secret."""

    objects: Mapping[str, Mapping[str, Any]]
    address: Any
    policy: Any
    digest: Any
    verdict: str
    enforcer: Any
    current: Earlier | None = None
    """The policy as the next deployment finds it among the earlier ones; None: not known."""
    kept: int = 0
    """How many earlier policies stay for a rollback by hand."""
    rollout_s: int = rollout_s(MOST_REPLICAS)
    """How long the pods may take, in seconds."""
    is_hot: bool = False
    """Whether the one ConfigMap is changed in place."""


def rendered(name: str, namespace: str, proved: ProvedPolicy) -> Rendered:
    """Return the router called `name` as its resources and outputs."""
    router = Router(name + SUFFIX, namespace, proved.policy)
    marks = _marks(proved)
    objects = {key: body(manifest) for key, manifest in router_manifests(router).items()}
    objects = {key: _marked(value, marks) for key, value in objects.items()}
    text = _policy(proved)
    objects["policy"]["data"] = {"policy.json": text}
    networks = [key for key in _NETWORK if key in objects]
    if shapes_network(proved.missing):
        for key in networks:
            objects[key]["spec"] = _unknown()
    for key in (*networks, "deployment"):
        if hides(proved, network=key in networks):
            objects[key]["spec"] = Output.secret(objects[key]["spec"])
    port = proved.policy.spec.endpoint.port
    address = f"http://{router.name}.{namespace}.svc.cluster.local:{port}/v1"
    digest = proved.policy.digest if proved.is_known else _unknown()
    proxy = proved.policy.spec.proxy
    limit = proxy.revision_history_limit
    return Rendered(
        objects,
        _marked(address, marks),
        text,
        digest,
        proved.verdict,
        _enforcer(proved),
        current=Earlier(proved.policy.json.decode(), bool(proved.secrets))
        if proved.is_known
        else None,
        rollout_s=rollout_s(proxy.most_replicas),
        kept=0 if router.is_hot else _KUBERNETES_KEEPS if limit is None else limit,
        is_hot=router.is_hot,
    )


def unproved(name: str, namespace: Any, verdict: str) -> Rendered:
    """Return a router of which nothing is known but `verdict`, and which objects it has."""
    whole = name + SUFFIX
    known = {"metadata": metadata(whole, namespace, labels(whole, ROUTER))}
    objects = {key: dict.fromkeys(names, UNKNOWN) | known for key, names in ARGUMENTS.items()}
    objects["policy"]["metadata"] = {**known["metadata"], "name": _unknown()}
    return Rendered(objects, UNKNOWN, UNKNOWN, UNKNOWN, verdict, UNKNOWN)


def hides(proved: ProvedPolicy, *, network: bool) -> bool:
    """Whether the pods' specification, or the network's, may show a secret that is not one text."""
    whole = any(secret.path == WHOLE for secret in proved.secrets)
    return whole or (network and shapes_network(one.as_missing for one in proved.secrets))


def _unknown() -> Output[Any]:
    return Output.from_input(UNKNOWN)


def _marks(proved: ProvedPolicy) -> dict[str, bool]:
    """Return texts whose bearers are unknown (True) or secret (False)."""
    marks = {secret.text: False for secret in proved.secrets if secret.text}
    if not proved.is_known:
        marks |= {value.text: True for value in proved.missing if value.text}
        marks[short(proved.policy.digest)] = True  # also in the ConfigMap's name
    return marks


def _marked(value: Any, marks: Mapping[str, bool]) -> Any:
    if isinstance(value, Mapping):
        return {key: _marked(one, marks) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_marked(one, marks) for one in value]
    if isinstance(value, str):
        found = [unknown for text, unknown in marks.items() if text in value]
        if any(found):
            return _unknown()
        return Output.secret(value) if found else value
    return value


def _policy(proved: ProvedPolicy) -> Any:
    if not proved.is_known:
        return _unknown()
    text = proved.policy.json.decode()
    return Output.secret(text) if proved.secrets else text


def _enforcer(proved: ProvedPolicy) -> Any:
    if not proved.is_known:
        return _unknown()
    text = enforcer_of(proved.policy).to_text()
    return Output.secret(text) if proved.secrets else text
