"""What every manifest shares: labels, metadata, and a security context that `restricted` admits.

Pod Security Standards, profile restricted:
https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from typing import Any, Final

Manifest = dict[str, Any]

PART_OF: Final = "lockgate"
USER: Final = 65532
"""The `nonroot` user of the common distroless images."""


def labels(name: str, component: str) -> dict[str, str]:
    """Return the recommended labels for one instance of a component."""
    return {
        "app.kubernetes.io/name": PART_OF,
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": PART_OF,
    }


def selector(name: str, component: str) -> dict[str, str]:
    """Return the labels that select one instance's pods; they never change."""
    return {
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": component,
    }


def metadata(
    name: str, namespace: str, shown: dict[str, str], annotations: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return an object's metadata."""
    out: dict[str, Any] = {"name": name, "namespace": namespace, "labels": shown}
    if annotations:
        out["annotations"] = annotations
    return out


def pod_security_context(user: int = USER) -> dict[str, Any]:
    """Return the pod's half of the restricted profile."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security_context() -> dict[str, Any]:
    """Return the container's half of the restricted profile, with a read-only root."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }


def probe(path: str, port: str, *, period: int, failures: int, timeout: int = 2) -> dict[str, Any]:
    """Return an HTTP probe; times in seconds."""
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def service_account(name: str, namespace: str, component: str) -> Manifest:
    """Return a ServiceAccount that mounts no token."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(name, namespace, labels(name, component)),
        "automountServiceAccountToken": False,
    }


def disruption_budget(name: str, namespace: str, component: str) -> Manifest:
    """Return the budget that lets a node drain take one pod at a time."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(name, namespace, labels(name, component)),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector(name, component)},
        },
    }


def scaler(
    name: str, namespace: str, component: str, pods: tuple[int, int], cpu_percent: int
) -> Manifest:
    """Return the autoscaler of a Deployment, from so many pods to so many, by the CPU they use.

    https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v2/
    """
    least, most = pods
    target = {"type": "Utilization", "averageUtilization": cpu_percent}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(name, namespace, labels(name, component)),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }
