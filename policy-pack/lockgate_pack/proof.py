"""No router without a proof: what runs is the very policy whose proof the component put out.

Policies of before lie beside it, for a rollback by hand; no pod of this program mounts them.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

from lockgate_pack.resources import ROUTER, Resource, kind_of, made_by, pod_of

_COMPONENT: Final = "app.kubernetes.io/component"


def unproved(resources: Iterable[Resource]) -> Iterator[tuple[str, str]]:
    """Yield sentence and URN for each router without a proof of the policy that it runs."""
    held = list(resources)
    digests = set()
    for router in (r for r in held if r.resource_type == ROUTER):
        digest, verdict = router.props.get("digest"), router.props.get("verdict")
        if not digest or not str(verdict or "").startswith("PROVED"):
            yield "the router has no proof among its outputs (verdict, digest)", router.urn
        digests.add(digest)
    mounted = set(_mounted(held))
    for resource in held:
        yield from ((fault, resource.urn) for fault in _faults(resource, digests, mounted))


def _mounted(resources: Iterable[Resource]) -> Iterator[object]:
    """Yield the names of the ConfigMaps that pods mount."""
    for pod in (pod_of(one.resource_type, one.props) for one in resources):
        for volume in (pod.spec.get("volumes") if pod else None) or ():
            yield (volume.get("configMap") or {}).get("name")


def _faults(resource: Resource, digests: set[object], mounted: set[object]) -> Iterator[str]:
    ours = made_by(resource.urn, ROUTER)
    pod = pod_of(resource.resource_type, resource.props)
    if pod is not None and pod.labels.get(_COMPONENT) == "router" and not ours:
        yield "its pods are labelled as a router, and no ModelRouter made them"
    named = (resource.props.get("metadata") or {}).get("name")
    if kind_of(resource.resource_type) == "ConfigMap" and ours and named in {*mounted, None}:
        text = (resource.props.get("data") or {}).get("policy.json") or ""
        digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        if digest not in digests:
            yield f"its policy.json is {digest}, which is not the policy that was proved"
