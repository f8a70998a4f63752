"""What `policy.auditLog` may not say."""

import re
from collections.abc import Iterator
from typing import Final

from lockgate.policy.reading.validate import Fault
from lockgate.policy.spec.model_router import RouterSpec, VolumeClaim

CLAIM_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\Z")
SIZE: Final = re.compile(r"[1-9][0-9]{0,11}(\.[0-9]{1,3})?([kMGTP]|[KMGTP]i)?\Z")
"""A quantity of storage (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/)."""
_PLACE: Final = "policy.auditLog"


def audit_faults(spec: RouterSpec) -> Iterator[Fault]:
    """Yield every fault of `policy.auditLog`."""
    audit = spec.policy.audit_log
    if audit.sink == "file" and audit.file_path is None:
        suggestion = "add `filePath: /var/log/lockgate/audit.jsonl`, or write `sink: stdout`"
        yield f"{_PLACE}.filePath", "is missing: sink is file", suggestion
    if audit.sink != "file" and audit.file_path is not None:
        suggestion = "write `sink: file`, or leave filePath out"
        yield f"{_PLACE}.filePath", f"means nothing with sink {audit.sink}", suggestion
    if audit.volume_claim is not None:
        if audit.sink != "file":
            suggestion = "write `sink: file`, or leave volumeClaim out"
            yield f"{_PLACE}.volumeClaim", f"means nothing with sink {audit.sink}", suggestion
        yield from _claim(audit.volume_claim, f"{_PLACE}.volumeClaim")


def _claim(claim: VolumeClaim, place: str) -> Iterator[Fault]:
    if (claim.existing is None) == (claim.size is None):
        both = "neither" if claim.size is None else "both"
        suggestion = "write `volumeClaim: { size: 10Gi }`, or `{ existing: NAME }`"
        yield place, f"has {both} of existing and size", suggestion
    elif claim.existing is not None and claim.storage_class is not None:
        why = "is for a claim that is made, and this one exists"
        yield f"{place}.storageClass", why, "leave it out"
    if claim.existing is not None and not CLAIM_NAME.match(claim.existing):
        why = f"{claim.existing!r} is no name of a claim"
        yield f"{place}.existing", why, "write the name that `kubectl get pvc` shows"
    if claim.size is not None and not SIZE.match(claim.size):
        yield f"{place}.size", f"{claim.size!r} is no size", "write `size: 10Gi`, for example"
    if claim.storage_class is not None and not CLAIM_NAME.match(claim.storage_class):
        why = f"{claim.storage_class!r} is no name of a storage class"
        suggestion = "write the name that `kubectl get storageclass` shows"
        yield f"{place}.storageClass", why, suggestion
