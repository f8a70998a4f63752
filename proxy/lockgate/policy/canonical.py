"""Writes a spec in its wire form, and as the canonical policy.json that drives a proxy."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, get_args, get_origin

import attrs

from lockgate.policy.spec.fields import Rate, Seconds, wire_name
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.units import format_duration, format_rate

DEPLOYMENT_ONLY: Final = frozenset(
    {
        "replicas",
        "autoscaling",
        "image",
        "imagePullSecrets",
        "resources",
        "revisionHistoryLimit",
        "nodeSelector",
        "rollout",
        "drainDelay",
        "drainGrace",
        "egress",
    }
)
"""Fields of `proxy` that shape the Deployment: they are no part of the policy's digest."""
ENDPOINT_ACTS: Final = frozenset({"cors", "keepAlive"})
"""Fields of `endpoint` that act in the proxy; the others shape the Service."""


def to_wire(value: Any) -> dict[str, Any]:
    """Return an attrs value of the spec as camelCase data, without what equals its default."""
    out: dict[str, Any] = {}
    for field in attrs.fields(attrs.resolve_types(type(value))):
        content = getattr(value, field.name)
        if field.default is attrs.NOTHING or content != field.default:
            out[wire_name(field)] = _plain(content, field.type)
    return out


def policy_json(spec: RouterSpec) -> bytes:
    """Return the canonical bytes: what a proxy reads, and what the digest is taken of."""
    document = to_wire(spec)
    for written, backend in zip(document["backends"], spec.backends, strict=True):
        if backend.external is not None:
            written["tier"] = backend.tier  # it must be stated, also where it is the default
    endpoint = {k: v for k, v in document.pop("endpoint", {}).items() if k in ENDPOINT_ACTS}
    if endpoint:
        document["endpoint"] = endpoint
    proxy = {k: v for k, v in document.pop("proxy", {}).items() if k not in DEPLOYMENT_ONLY}
    if proxy:
        document["proxy"] = proxy
    governance = document.get("policy", {})
    governance.get("auditLog", {}).pop("volumeClaim", None)  # what the file lies on: the pods'
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode() + b"\n"


def digest_of(data: bytes) -> str:
    """Return ``sha256:`` and the SHA-256 of `data` in hex."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _plain(value: Any, kind: Any) -> Any:
    if attrs.has(type(value)):
        return to_wire(value)
    if isinstance(value, tuple):
        return [_plain(item, get_args(kind)[0]) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    if value is not None and _is_seconds(kind):
        return format_duration(value)
    if kind is Rate:
        return format_rate(value)
    return value


def _is_seconds(kind: Any) -> bool:
    return kind is Seconds or (get_origin(kind) is not None and Seconds in get_args(kind))
