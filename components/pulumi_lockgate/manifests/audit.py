"""Where the audit file lies in a cluster: on a claim, in which each pod has a folder of its own.

A folder by the pod's name is what `subPathExpr` makes, so that no two pods write one file
(https://kubernetes.io/docs/concepts/storage/volumes/#using-subpath-expanded-environment). The
records of pods that are gone stay where they are.
"""

from collections.abc import Iterator
from typing import Any, Final

from lockgate.policy.reading.problem import Problem
from lockgate.policy.spec.model_router import AuditLog, RouterSpec

from pulumi_lockgate.manifests.common import Manifest, labels, metadata
from pulumi_lockgate.manifests.openings import ROUTER

MANY: Final = "ReadWriteMany"
ONE: Final = "ReadWriteOnce"
POD_NAME: Final = "POD_NAME"
VOLUME: Final = "audit"


def claim_faults(spec: RouterSpec) -> Iterator[Problem]:
    """Yield what a cluster cannot keep records with; a file of `lockgate serve` lies anywhere."""
    audit = spec.policy.audit_log
    if audit.sink != "file":
        return
    if audit.volume_claim is None:
        yield Problem(
            "policy.auditLog.volumeClaim",
            None,
            "is missing: records on a pod's own disk are gone with the pod",
            "write `volumeClaim: { size: 10Gi }`, or `{ existing: NAME }`, or `sink: stdout`",
        )
    if not folder(audit).strip("/"):
        yield Problem(
            "policy.auditLog.filePath",
            None,
            f"{audit.file_path!r} is in no folder that a claim could be mounted as",
            "write `filePath: /var/log/lockgate/audit.jsonl`",
        )


def folder(audit: AuditLog) -> str:
    """Return the folder that the claim is mounted as."""
    return (audit.file_path or "").rpartition("/")[0]


def is_on_a_claim(spec: RouterSpec) -> bool:
    """Whether the records lie on a claim."""
    audit = spec.policy.audit_log
    return audit.sink == "file" and audit.volume_claim is not None


def access_mode(spec: RouterSpec) -> str:
    """Return how the claim must let itself be mounted: by one node, or by many."""
    return MANY if spec.proxy.most_replicas > 1 else ONE


def claim_name(router: str, spec: RouterSpec) -> str:
    """Return the claim's name, be it made or there already."""
    stated = spec.policy.audit_log.volume_claim
    return (stated.existing if stated else None) or f"{router}-audit"


def claim(router: str, namespace: str, spec: RouterSpec) -> Manifest | None:
    """Return the claim to make, None where there is none to make."""
    stated = spec.policy.audit_log.volume_claim
    if stated is None or stated.size is None:
        return None
    made: dict[str, Any] = {
        "accessModes": [access_mode(spec)],
        "resources": {"requests": {"storage": stated.size}},
    }
    if stated.storage_class is not None:
        made["storageClassName"] = stated.storage_class
    # a class may bind it only when a pod comes, which the engine would wait for in vain
    waits = {"pulumi.com/skipAwait": "true"}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(claim_name(router, spec), namespace, labels(router, ROUTER), waits),
        "spec": made,
    }


def volumes(router: str, spec: RouterSpec) -> list[dict[str, Any]]:
    """Return the pods' volume for the records, if they lie on a claim."""
    if not is_on_a_claim(spec):
        return []
    return [{"name": VOLUME, "persistentVolumeClaim": {"claimName": claim_name(router, spec)}}]


def mounts(spec: RouterSpec) -> list[dict[str, Any]]:
    """Return the container's mount: of the folder that has the pod's own name."""
    if not is_on_a_claim(spec):
        return []
    path = folder(spec.policy.audit_log)
    return [{"name": VOLUME, "mountPath": path, "subPathExpr": f"$({POD_NAME})"}]


def environment(spec: RouterSpec) -> list[dict[str, Any]]:
    """Return the variable that the mount's folder is named by."""
    if not is_on_a_claim(spec):
        return []
    own = {"fieldRef": {"fieldPath": "metadata.name"}}
    return [{"name": POD_NAME, "valueFrom": own}]


def surge(spec: RouterSpec) -> dict[str, int]:
    """Return how pods are replaced: before the old one goes, where two can mount the claim."""
    if is_on_a_claim(spec) and access_mode(spec) == ONE:
        return {"maxSurge": 0, "maxUnavailable": 1}
    return {"maxSurge": 1, "maxUnavailable": 0}


def said(spec: RouterSpec) -> list[str]:
    """Return the lines that every preview shows of it."""
    if not is_on_a_claim(spec):
        return []
    lines = []
    stated = spec.policy.audit_log.volume_claim
    if stated is not None and stated.size is not None:
        lines.append(
            "the audit claim is left in the cluster by `destroy`, with its records; it goes with "
            "its namespace"
        )
    if access_mode(spec) == ONE:
        lines.append(
            "one pod, whose audit claim one node mounts: each change of the pod is a pause, in "
            "which nobody serves; `replicas: 2` and a ReadWriteMany claim have none"
        )
    return lines
