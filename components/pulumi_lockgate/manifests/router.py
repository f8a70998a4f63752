"""The manifests of one ModelRouter.

With `rollout: rolling` a pod sees one policy for life: its ConfigMap is immutable and named by its
content. With `hot` there is one ConfigMap, changed in place, which the proxies read again.
"""

from importlib.metadata import version
from typing import Any, Final

from attrs import frozen
from lockgate.policy.canonical import digest_of
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.spec.units import format_duration

from pulumi_lockgate.manifests import audit
from pulumi_lockgate.manifests.common import (
    Manifest,
    container_security_context,
    disruption_budget,
    labels,
    metadata,
    pod_security_context,
    probe,
    scaler,
    selector,
    service_account,
)
from pulumi_lockgate.manifests.network import router_network_policies
from pulumi_lockgate.manifests.openings import ADMIN_PORT, ROUTER, SERVICE_PORT
from pulumi_lockgate.manifests.site import at_site, route

DEFAULT_IMAGE: Final = f"ghcr.io/lockgate/lockgate-proxy:{version('pulumi-lockgate')}"
"""The proxy of this very version: the two distributions and the image are released as one."""
DIGEST_ANNOTATION: Final = "lockgate.dev/policy-digest"
AUDIT_ANNOTATION: Final = "lockgate.dev/audit-log"
"""The one part of a policy that a running proxy does not change: a changed one rolls the pods."""
POLICY_FOLDER: Final = "/etc/lockgate/policy"
SECRETS_FOLDER: Final = "/etc/lockgate/secrets"
POLICY_VOLUME: Final = "policy"
START_S: Final = 60
"""How long a proxy may take from its start to ready; it takes one."""
PULL_S: Final = 120
"""To schedule a pod and to pull its image."""
STOP_MARGIN_S: Final = 5
"""Between the end of the drain's grace and the kubelet's kill."""
SCALER: Final = "autoscaler"
AUDIT_CLAIM: Final = "audit-claim"
DEFAULT_RESOURCES: Final = {
    "requests": {"cpu": "250m", "memory": "128Mi"},
    "limits": {"memory": "512Mi"},
}
"""No CPU limit: throttling shows as latency; memory is bounded."""


@frozen
class Router:
    """One router to deploy. `name` is the objects' name, with its suffix."""

    name: str
    namespace: str
    policy: LoadedPolicy

    @property
    def config_map_name(self) -> str:
        """The ConfigMap's name; each policy has one of its own, but for `rollout: hot`."""
        return self.name if self.is_hot else f"{self.name}-{short(self.policy.digest)}"

    @property
    def is_hot(self) -> bool:
        """Whether running proxies take up a changed policy."""
        return self.policy.spec.proxy.rollout == "hot"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The names of the Secrets that backends need, each once."""
        backends = self.policy.spec.backends
        refs = [b.external.credentials_secret_ref for b in backends if b.external is not None]
        for tls in (b.tls for b in backends if b.tls is not None):
            refs += [tls.ca_secret_ref, tls.client_cert_secret_ref]
        return tuple(dict.fromkeys(ref.name for ref in refs if ref is not None))


def router_manifests(router: Router) -> dict[str, Manifest]:
    """Return every manifest of a router, by a stable short name."""
    claim = audit.claim(router.name, router.namespace, router.policy.spec)
    site = router.policy.spec.proxy.site
    made = {
        "policy": config_map(router),
        **({} if claim is None else {AUDIT_CLAIM: claim}),
        "account": service_account(router.name, router.namespace, ROUTER),
        "deployment": deployment(router),
        "service": service(router),
        "disruption-budget": disruption_budget(router.name, router.namespace, ROUTER),
        **_scaler(router),
        **router_network_policies(router.name, router.namespace, router.policy.spec),
        **route(router.name, router.namespace, router.policy.spec),
    }
    return at_site(site, made)


def config_map(router: Router) -> Manifest:
    """Return the ConfigMap that holds policy.json."""
    made = policy_config_map(router.name, router.namespace, router.policy.json.decode())
    if router.is_hot:
        del made["immutable"]
        made["metadata"]["name"] = router.config_map_name
        # the proved text wins over whoever wrote the field since
        made["metadata"]["annotations"]["pulumi.com/patchForce"] = "true"
    return made


def policy_config_map(router: str, namespace: str, policy: str) -> Manifest:
    """Return the immutable ConfigMap of any policy.json, named by its content."""
    digest = digest_of(policy.encode())
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(
            f"{router}-{short(digest)}",
            namespace,
            labels(router, ROUTER),
            {DIGEST_ANNOTATION: digest},
        ),
        "data": {"policy.json": policy},
        "immutable": True,
    }


def short(digest: str) -> str:
    """Return the part of a policy's digest that names its objects."""
    return digest.removeprefix("sha256:")[:10]


def deployment(router: Router) -> Manifest:
    """Return the proxy's Deployment; a changed policy is a changed pod template, unless hot."""
    proxy = router.policy.spec.proxy
    spec: dict[str, Any] = {
        "progressDeadlineSeconds": PULL_S + START_S,
        "selector": {"matchLabels": selector(router.name, ROUTER)},
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": audit.surge(router.policy.spec),
        },
        "template": {
            "metadata": {
                "labels": labels(router.name, ROUTER),
                "annotations": _marks(router),
            },
            "spec": _pod(router),
        },
    }
    if proxy.autoscaling is None:  # else they are the autoscaler's, and stated by nobody here
        spec["replicas"] = proxy.least_replicas
    if proxy.revision_history_limit is not None:
        spec["revisionHistoryLimit"] = proxy.revision_history_limit
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(router.name, router.namespace, labels(router.name, ROUTER)),
        "spec": spec,
    }


def _marks(router: Router) -> dict[str, str]:
    """Return the annotations of the pods: what changes them rolls the pods."""
    if router.is_hot:
        return {AUDIT_ANNOTATION: router.policy.spec.policy.audit_log.file_path or "stdout"}
    return {DIGEST_ANNOTATION: router.policy.digest}


def rollout_s(replicas: int) -> int:
    """Return how long a rollout may take, in seconds: a pod at a time, each as its probes allow."""
    return PULL_S + START_S * max(replicas, 1)


def _pod(router: Router) -> dict[str, Any]:
    proxy = router.policy.spec.proxy
    pod: dict[str, Any] = {
        "serviceAccountName": router.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security_context(),
        "terminationGracePeriodSeconds": (
            int(proxy.drain_delay + proxy.drain_grace) + STOP_MARGIN_S
        ),
        "topologySpreadConstraints": [_spread(router)],
        "containers": [_container(router)],
        "volumes": _volumes(router),
    }
    if proxy.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": ref.name} for ref in proxy.image_pull_secrets]
    if proxy.node_selector:
        pod["nodeSelector"] = dict(proxy.node_selector)
    return pod


def _spread(router: Router) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(router.name, ROUTER)},
    }


def _container(router: Router) -> dict[str, Any]:
    proxy = router.policy.spec.proxy
    environment = audit.environment(router.policy.spec)
    return {
        "name": "proxy",
        "image": proxy.image or DEFAULT_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": _arguments(router),
        **({"env": environment} if environment else {}),
        "ports": [
            {"name": "http", "containerPort": SERVICE_PORT, "protocol": "TCP"},
            {"name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP"},
        ],
        "resources": dict(proxy.resources) if proxy.resources else DEFAULT_RESOURCES,
        "securityContext": container_security_context(),
        "startupProbe": probe("/readyz", "admin", period=1, failures=START_S),
        "readinessProbe": probe("/readyz", "admin", period=5, failures=2),
        "livenessProbe": probe("/healthz", "admin", period=10, failures=6, timeout=5),
        "volumeMounts": _mounts(router),
    }


def _arguments(router: Router) -> list[str]:
    proxy = router.policy.spec.proxy
    return [
        "serve",
        *("--policy", f"{POLICY_FOLDER}/policy.json"),
        *("--listen", f"0.0.0.0:{SERVICE_PORT}"),
        *("--admin", f"0.0.0.0:{ADMIN_PORT}"),
        *("--secrets", SECRETS_FOLDER),
        *("--drain-delay", format_duration(proxy.drain_delay)),
        *("--drain-grace", format_duration(proxy.drain_grace)),
    ]


def _volumes(router: Router) -> list[dict[str, Any]]:
    policy = {"name": POLICY_VOLUME, "configMap": {"name": router.config_map_name}}
    # optional: a missing key takes its backend out of service, not the whole proxy
    secrets = [
        {
            "name": f"secret-{number}",
            "secret": {"secretName": name, "optional": True, "defaultMode": 0o440},
        }
        for number, name in enumerate(router.secrets)
    ]
    return [policy, *secrets, *audit.volumes(router.name, router.policy.spec)]


def _mounts(router: Router) -> list[dict[str, Any]]:
    secrets = [
        {"name": f"secret-{number}", "mountPath": f"{SECRETS_FOLDER}/{name}", "readOnly": True}
        for number, name in enumerate(router.secrets)
    ]
    policy = {"name": POLICY_VOLUME, "mountPath": POLICY_FOLDER, "readOnly": True}
    return [policy, *secrets, *audit.mounts(router.policy.spec)]


def service(router: Router) -> Manifest:
    """Return the Service, whose URL agents use."""
    endpoint = router.policy.spec.endpoint
    port: dict[str, Any] = {
        "name": "http",
        "port": endpoint.port,
        "targetPort": "http",
        "protocol": "TCP",
    }
    if endpoint.node_port is not None:
        port["nodePort"] = endpoint.node_port
    # the Deployment is waited for; a Service without endpoints would hold `up` for ten minutes
    # more, and a load balancer that gets no address would fail a router that serves
    waits = {"pulumi.com/skipAwait": "true"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(router.name, router.namespace, labels(router.name, ROUTER), waits),
        "spec": {
            "type": endpoint.type,
            "selector": selector(router.name, ROUTER),
            "ports": [port],
        },
    }


def _scaler(router: Router) -> dict[str, Manifest]:
    """Return the autoscaler if there is one: by CPU, which is what a proxy runs out of."""
    stated = router.policy.spec.proxy.autoscaling
    if stated is None or stated.by != "hpa":
        return {}
    pods = (stated.min_replicas, stated.max_replicas)
    return {SCALER: scaler(router.name, router.namespace, ROUTER, pods, stated.cpu_percent)}
