"""What the cluster runs and lacks, read before anything is registered.

The engine compares a program with the stack's state. What a rollback by hand, or an update that
went on after it was stopped, left running is not in it; nor is what a pod will wait for in vain.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pulumi
import yaml
from attrs import asdict, frozen
from lockgate.policy.canonical import digest_of
from lockgate.policy.loaded import LoadedPolicy
from pulumi.runtime import mocks, settings

from pulumi_lockgate.manifests.inference import inference_manifests
from pulumi_lockgate.manifests.pools import node_pool
from pulumi_lockgate.manifests.router import (
    DIGEST_ANNOTATION,
    POLICY_VOLUME,
    Router,
    router_manifests,
)
from pulumi_lockgate.prerequisites import DEFINITION, Prerequisite, needed
from pulumi_lockgate.quotas import Quota, shortages
from pulumi_lockgate.rendering import SUFFIX
from pulumi_lockgate.stack.settings import Stack
from pulumi_lockgate.widening import Record, Unknown

_TIMEOUT_S: Final = (3, 5)
"""To connect to the API server, and for its answer."""
_FORBIDDEN, _NOT_FOUND = 403, 404
_NO_ROOM: Final = (
    "\nThe pods would wait for room until `up` gives up: have the quota raised, or state less "
    "under `resources` and `replicas`."
)


class AbsentError(pulumi.RunError):
    """Pods would wait for something that does not exist. The text names it and what makes it."""


@frozen
class Place:
    """How a stack's cluster is found: the `kubernetes:` configuration, else as kubectl finds it.

    Explicit providers do not read that configuration by themselves.
    """

    kubeconfig: str | None = None
    context: str | None = None
    cluster: str | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """It, as arguments of a provider: a kubeconfig may hold credentials."""
        stated = {key: value for key, value in asdict(self).items() if value is not None}
        if self.kubeconfig is not None:
            stated["kubeconfig"] = pulumi.Output.secret(self.kubeconfig)
        return stated


@frozen
class Live:
    """What stands in a cluster. `digest`: of the policy its router runs, None for no router.

    `quotas` and the names of `deployments` are those of the stack's namespace.
    """

    server: str
    digest: str | None
    absent: tuple[Prerequisite, ...] = ()
    quotas: tuple[Quota, ...] = ()
    deployments: frozenset[str] = frozenset()


@frozen
class NotRead:
    """The cluster could not be read, and why."""

    why: str


def place_of_stack() -> Place:
    """Return where the stack's objects go, as its configuration says."""
    config = pulumi.Config("kubernetes")
    return Place(config.get("kubeconfig"), config.get("context"), config.get("cluster"))


def is_under_engine() -> bool:
    """Whether an engine runs this program, and not `lockgate plan` or a test."""
    return not isinstance(settings.get_monitor(), mocks.MockMonitor)


def look(stack: Stack, policy: LoadedPolicy, last: Record | Unknown | None, place: Place) -> None:
    """Say what the cluster runs besides what the stack put out `last`, and what it lacks.

    Raises AbsentError in `up` where pods would wait for what is not there.
    """
    last_digest = digest_of(last.policy.encode()) if isinstance(last, Record) else None
    namespace, name = stack.settings.namespace, stack.settings.name + SUFFIX
    router = router_manifests(Router(name, namespace, policy))
    models = (inference_manifests(model) for model in stack.models.values())
    manifests = [m for group in (router, *models) for m in group.values()]
    pools = stack.pools.values()
    manifests += [node_pool(p, p.node_class) for p in pools if p.node_class is not None]
    needs = needed(manifests, [(policy.spec, namespace)])
    found = read_live(place, namespace, name, needs)
    if isinstance(found, NotRead):
        why = f"the cluster could not be read ({found.why})"
        pulumi.log.warn(f"{why}: what it runs, and what it lacks, is not said here")
        return
    for line in told(found, last_digest, f"Deployment {name} in {namespace}"):
        pulumi.log.warn(line)
    new = [m for m in manifests if m["kind"] == "Deployment"]
    new = [m for m in new if m["metadata"]["name"] not in found.deployments]
    full = list(shortages(new, found.quotas))
    made = {("Secret", secret.name) for secret in stack.secrets}
    if stack.creates_namespace:
        made.add(("Namespace", namespace))
    absent = [one for one in found.absent if (one.kind, one.name) not in made]
    if not absent and not full:
        return
    text = "\n".join([*([_listed(absent)] if absent else []), *full])
    blocks = full or any(one.blocks for one in absent)
    if pulumi.runtime.is_dry_run() or not blocks:
        pulumi.log.warn(text)
        return
    raise AbsentError(text + (_NO_ROOM if full else _how_to_begin(stack)))


def told(live: Live, last_digest: str | None, deployment: str) -> Iterable[str]:
    """Yield a line where the cluster runs something else than the stack last put out."""
    if last_digest is None or live.digest == last_digest:
        return
    runs = "no router" if live.digest is None else live.digest
    yield (
        f"the cluster runs {runs}, the stack says {last_digest}: {deployment}, or its ConfigMap, "
        "was changed past this stack, by hand or by an update that went on after it was stopped; "
        "`up` puts it right"
    )


def read_live(
    place: Place, namespace: str, deployment: str, needs: Iterable[Prerequisite]
) -> Live | NotRead:
    """Read the router's Deployment, and which of `needs` the cluster lacks; images are not asked.

    What may not be read counts as being there.
    """
    if place.cluster is not None:
        return NotRead("kubernetes:cluster is set")
    try:
        return _read(_client(place), namespace, deployment, needs)
    except Exception as why:  # noqa: BLE001 - of the client, TLS, the network, a credential helper
        return NotRead(str(why).splitlines()[0] if str(why) else type(why).__name__)


def _client(place: Place) -> Any:
    """Return a client of the API server that the provider will speak to."""
    from kubernetes import client  # noqa: PLC0415 - only where an engine runs
    from kubernetes import config as untyped  # noqa: PLC0415 - the same

    config: Any = untyped
    if place.kubeconfig is None:
        try:
            api = config.new_client_from_config(context=place.context)
        except config.ConfigException:
            inside = client.Configuration()
            config.load_incluster_config(client_configuration=inside)
            api = client.ApiClient(inside)
    elif _is_file(place.kubeconfig):
        api = config.new_client_from_config(place.kubeconfig, context=place.context)
    else:
        text = yaml.safe_load(place.kubeconfig)
        api = config.new_client_from_config_dict(text, context=place.context)
    api.configuration.retries = 0
    return client.ApiClient(api.configuration)


def _is_file(kubeconfig: str) -> bool:
    return "\n" not in kubeconfig and Path(kubeconfig).expanduser().is_file()


def _read(api: Any, namespace: str, deployment: str, needs: Iterable[Prerequisite]) -> Live:
    from kubernetes import client  # noqa: PLC0415 - only where an engine runs

    core = client.CoreV1Api(api)
    definitions = client.ApiextensionsV1Api(api)
    readers: Mapping[str, Callable[[Prerequisite], Any]] = {
        DEFINITION: lambda one: definitions.read_custom_resource_definition(
            one.name,
            _request_timeout=_TIMEOUT_S,
            _preload_content=False,  # its schema is large, and only whether it is there is asked
        ),
        "Namespace": lambda one: core.read_namespace(one.name, _request_timeout=_TIMEOUT_S),
        "Secret": lambda one: core.read_namespaced_secret(
            one.name, str(one.namespace), _request_timeout=_TIMEOUT_S
        ),
        "ConfigMap": lambda one: core.read_namespaced_config_map(
            one.name, str(one.namespace), _request_timeout=_TIMEOUT_S
        ),
        "PersistentVolumeClaim": lambda one: core.read_namespaced_persistent_volume_claim(
            one.name, str(one.namespace), _request_timeout=_TIMEOUT_S
        ),
    }

    def lacks(one: Prerequisite) -> bool:
        if one.kind not in readers:
            return False
        try:
            found = readers[one.kind](one)
        except client.ApiException as error:
            if error.status in {_FORBIDDEN, _NOT_FOUND}:
                return bool(error.status == _NOT_FOUND)
            raise
        if one.modes:
            return not set(one.modes) <= set(found.spec.access_modes or ())
        return not set(one.keys) <= (found.data or {}).keys() if one.keys else False

    absent = tuple(one for one in needs if lacks(one))
    apps = client.AppsV1Api(api)
    try:
        found = apps.read_namespaced_deployment(deployment, namespace, _request_timeout=_TIMEOUT_S)
    except client.ApiException as error:
        if error.status != _NOT_FOUND:
            raise
        digest = None
    else:
        digest = _digest_run(core, found)
    quotas, names = _room(core, apps, namespace)
    return Live(api.configuration.host, digest, absent, quotas, names)


def _room(core: Any, apps: Any, namespace: str) -> tuple[tuple[Quota, ...], frozenset[str]]:
    """Return the quotas and the Deployments' names, nothing where they may not be read."""
    from kubernetes import client  # noqa: PLC0415 - only where an engine runs

    try:
        held = core.list_namespaced_resource_quota(namespace, _request_timeout=_TIMEOUT_S).items
        if not held:
            return (), frozenset()
        there = apps.list_namespaced_deployment(namespace, _request_timeout=_TIMEOUT_S).items
    except client.ApiException as error:
        if error.status in {_FORBIDDEN, _NOT_FOUND}:
            return (), frozenset()
        raise
    # one that is only for some pods (its scopes) may not be about these
    plain = [q for q in held if not q.spec.scopes and not q.spec.scope_selector]
    found = (
        Quota(q.metadata.name, q.spec.hard or {}, (q.status.used if q.status else None) or {})
        for q in plain
    )
    return tuple(found), frozenset(one.metadata.name for one in there)


def _digest_run(core: Any, deployment: Any) -> str | None:
    """Return the digest of the policy that a router's pods read, None where they say none."""
    from kubernetes import client  # noqa: PLC0415 - only where an engine runs

    pods = deployment.spec.template
    annotations = (pods.metadata.annotations if pods.metadata else None) or {}
    if DIGEST_ANNOTATION in annotations:
        return str(annotations[DIGEST_ANNOTATION])
    # `rollout: hot`: the one ConfigMap says it, and anybody's edit of it counts
    volumes = pods.spec.volumes or ()
    names = [v.config_map.name for v in volumes if v.name == POLICY_VOLUME and v.config_map]
    if not names:
        return None
    space = deployment.metadata.namespace
    try:
        held = core.read_namespaced_config_map(names[0], space, _request_timeout=_TIMEOUT_S)
    except client.ApiException as error:
        if error.status == _NOT_FOUND:
            return None
        raise
    text = (held.data or {}).get("policy.json")
    return None if text is None else digest_of(text.encode())


def _listed(absent: Iterable[Prerequisite]) -> str:
    lines = ["must exist in the cluster, and does not:"]
    for one in absent:
        lines.append(f"  {one.line}")
        if one.command is not None:
            lines.append(f"    {one.command}")
    return "\n".join(lines)


def _how_to_begin(stack: Stack) -> str:
    text = "\nMake it first: the pods would wait for it until `up` gives up."
    if not stack.creates_namespace:
        return text
    name = stack.settings.namespace
    return (
        f"{text} What lies in a namespace that this stack makes goes with it in `destroy`; to keep "
        f"yours:\n  kubectl create namespace {name}\n"
        f"  pulumi config set --path lockgate:namespace.name {name}\n"
        "  pulumi config set --path lockgate:namespace.create false"
    )
