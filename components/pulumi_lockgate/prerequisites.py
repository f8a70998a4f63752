"""What must be in the cluster before a plan can run there: Secrets, volumes, namespaces, images.

The program makes none of these, and Kubernetes names what is missing only in a pod's events.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final

import click
from attrs import evolve, frozen
from lockgate.cli.shown import secret_line
from lockgate.policy.spec.model_router import RouterSpec

from pulumi_lockgate.manifests.audit import MANY, access_mode
from pulumi_lockgate.manifests.common import Manifest
from pulumi_lockgate.manifests.pools import API_VERSION
from pulumi_lockgate.stack.evaluate import Plan
from pulumi_lockgate.stack.secrets import CA_KEY, TLS_KEYS, secret_needs

DEFINITION: Final = "CustomResourceDefinition"


@frozen
class Prerequisite:
    """One object that must exist, or an image that must be there to be pulled.

    `keys` are those that a Secret must have, `modes` how a claim lets itself be mounted;
    `command` makes it, None where no single line does. `blocks`: pods do not start without it.
    """

    kind: str
    name: str
    namespace: str | None = None
    keys: tuple[str, ...] = ()
    used_by: tuple[str, ...] = ()
    command: str | None = None
    modes: tuple[str, ...] = ()
    blocks: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "keys": list(self.keys),
            "accessModes": list(self.modes),
            "usedBy": list(self.used_by),
            "command": self.command,
        }

    @property
    def line(self) -> str:
        """It, as a line."""
        has = (*self.keys, *self.modes)
        keys = f" with {' and '.join(has)}" if has else ""
        place = f" in {self.namespace}" if self.namespace else ""
        return f"{self.kind} {self.name}{keys}{place}: for {', '.join(self.used_by)}"


def prerequisites(plan: Plan, *, rendered: bool = False) -> tuple[Prerequisite, ...]:
    """Return what the plan needs and does not make, each once.

    What is `rendered` to files makes no Secret: their values are the engine's.
    """
    manifests = [m for m in plan.manifests if not (rendered and m["kind"] == "Secret")]
    return needed(manifests, _policies(plan))


def needed(
    manifests: Sequence[Manifest], policies: Iterable[tuple[RouterSpec, str | None]]
) -> tuple[Prerequisite, ...]:
    """Return what `manifests` and routers' `policies`, by namespace, need and do not make."""
    names = [(m["kind"], m["metadata"]) for m in manifests]
    made = {(kind, named.get("namespace"), named["name"]) for kind, named in names}
    found: dict[tuple[str, str | None, str], Prerequisite] = {}
    of_policies = chain.from_iterable(_of_spec(spec, space) for spec, space in policies)
    for one in (*_of_pools(manifests), *_of_pods(manifests), *of_policies):
        key = (one.kind, one.namespace, one.name)
        if key in made:
            continue
        other = found.get(key, one)
        found[key] = evolve(
            one,
            keys=tuple(dict.fromkeys((*other.keys, *one.keys))),
            used_by=tuple(dict.fromkeys((*other.used_by, *one.used_by))),
            command=other.command or one.command,
            modes=tuple(dict.fromkeys((*other.modes, *one.modes))),
            blocks=other.blocks or one.blocks,
        )
    return tuple(sorted(found.values(), key=_rank))


def _rank(one: Prerequisite) -> int:
    order = (DEFINITION, "Namespace", "Secret", "ConfigMap", "PersistentVolumeClaim", "image")
    return order.index(one.kind) if one.kind in order else 1  # a node class, after its definition


def render(needed: Iterable[Prerequisite], out: Callable[[str], object]) -> None:
    """Give `out` the lines that say what must exist, if anything must."""
    needed = tuple(needed)
    if not needed:
        return
    out("")
    out(click.style("must exist in the cluster:", bold=True))
    for one in needed:
        out(f"  {one.line}")
        if one.command is not None:
            out(f"    {one.command}")


def _of_pools(manifests: Iterable[dict[str, Any]]) -> Iterator[Prerequisite]:
    for manifest in manifests:
        if manifest.get("apiVersion") == API_VERSION and manifest["kind"] == "NodePool":
            user = (f"NodePool {manifest['metadata']['name']}",)
            brings = (*user, "installing Karpenter makes it")
            yield Prerequisite(DEFINITION, "nodepools.karpenter.sh", used_by=brings, blocks=True)
            ref = manifest["spec"]["template"]["spec"]["nodeClassRef"]
            yield Prerequisite(ref["kind"], ref["name"], used_by=user)


def _of_pods(manifests: Iterable[dict[str, Any]]) -> Iterator[Prerequisite]:
    for manifest in manifests:
        namespace = manifest["metadata"].get("namespace")
        pod = _pod_of(manifest)
        user = (f"{manifest['kind']} {manifest['metadata']['name']}",)
        if pod and namespace:
            command = f"kubectl create namespace {namespace}"
            kind = "Namespace"
            yield Prerequisite(kind, namespace, used_by=user, command=command, blocks=True)
        for volume in pod.get("volumes", ()):
            claim = volume.get("persistentVolumeClaim")
            if claim is not None:
                kind = "PersistentVolumeClaim"
                yield Prerequisite(kind, claim["claimName"], namespace, used_by=user, blocks=True)
            yield from _of_volume(volume, namespace, user)
        for ref in pod.get("imagePullSecrets", ()):
            command = (
                f"kubectl -n {namespace} create secret docker-registry {ref['name']} "
                "--docker-server=REGISTRY --docker-username=USER --docker-password=PASSWORD"
            )
            keys = (".dockerconfigjson",)
            yield Prerequisite("Secret", ref["name"], namespace, keys, user, command)
        for container in (*pod.get("initContainers", ()), *pod.get("containers", ())):
            if isinstance(container.get("image"), str):
                yield Prerequisite("image", container["image"], used_by=user)


def _of_volume(
    volume: dict[str, Any], namespace: str | None, user: tuple[str, ...]
) -> Iterator[Prerequisite]:
    """Yield what a pod does not start without: a Secret or a ConfigMap that is not optional."""
    secret, config = volume.get("secret"), volume.get("configMap")
    at = f"kubectl -n {namespace} create"
    if secret is not None and not secret.get("optional"):
        command = f"{at} secret generic {secret['secretName']} --from-literal=KEY=VALUE"
        named = secret["secretName"]
        yield Prerequisite("Secret", named, namespace, (), user, command, blocks=True)
    if config is not None and not config.get("optional"):
        keys = tuple(item["key"] for item in config.get("items", ()))
        files = " ".join(f"--from-file={key}" for key in keys)
        makes = f"{at} configmap {config['name']} {files}" if files else None
        yield Prerequisite("ConfigMap", config["name"], namespace, keys, user, makes, blocks=True)


def _pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what a manifest says of its pods, nothing where that is none, or not known yet."""
    found: Any = manifest
    for key in ("spec", "template", "spec"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _policies(plan: Plan) -> Iterator[tuple[RouterSpec, str | None]]:
    for router in plan.routers:
        if router.proved is not None:
            deployment = f"Deployment {router.name}-router-proxy"
            namespaces = [
                m["metadata"].get("namespace")
                for m in plan.manifests
                if f"{m['kind']} {m['metadata']['name']}" == deployment
            ]
            yield router.proved.policy.spec, (namespaces or [None])[0]


def _of_spec(spec: RouterSpec, namespace: str | None) -> Iterator[Prerequisite]:
    stated = spec.policy.audit_log.volume_claim
    if stated is not None and stated.existing is not None and access_mode(spec) == MANY:
        user = (f"the records of {spec.proxy.most_replicas} pods",)
        kind, modes = "PersistentVolumeClaim", (MANY,)
        named = stated.existing
        yield Prerequisite(kind, named, namespace, used_by=user, modes=modes, blocks=True)
    at = f"kubectl -n {namespace or 'NAMESPACE'} create secret"
    for need in secret_needs(spec):
        if need.keys == TLS_KEYS:
            command = f"{at} tls {need.name} --cert=tls.crt --key=tls.key"
        elif need.keys == (CA_KEY,):
            command = f"{at} generic {need.name} --from-file={CA_KEY}={CA_KEY}"
        else:
            command = secret_line(namespace or "NAMESPACE", need.name, need.keys[0])
        yield Prerequisite("Secret", need.name, namespace, need.keys, (need.used_by,), command)
