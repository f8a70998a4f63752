"""JSON Schema of a stack file, for editors: Pulumi's own keys, and every key of ``lockgate:``."""

from typing import Final

from attrs import fields, resolve_types
from lockgate.policy.reading.load import STACK_KEY
from lockgate.policy.reading.schema import DIALECT, Schema, schema_of
from lockgate.policy.spec.fields import doc_of, wire_name
from lockgate.policy.spec.model_router import RouterSpec

from pulumi_lockgate.stack.metal import MetalSettings
from pulumi_lockgate.stack.models import ModelSettings
from pulumi_lockgate.stack.pool_settings import PoolSettings
from pulumi_lockgate.stack.settings import (
    PROJECT,
    NamespaceSettings,
    StackSettings,
)

_SECURE: Final[Schema] = {
    "type": "object",
    "properties": {"secure": {"type": "string"}},
    "required": ["secure"],
    "additionalProperties": False,
    "description": "a secret, as `pulumi config set --secret` writes it",
}
_MODEL: Final = schema_of(ModelSettings, "")
_MODEL["properties"]["modelRef"]["pattern"] = "^(pvc://[^/]+/.|file:///.|(hf|https|s3|oci)://.)"
_GENERIC: Final = {
    "properties": {"runtime": {"const": "generic"}},
    "required": ["runtime", "image"],
}
_MODEL["anyOf"] = [{"required": ["modelRef"]}, _GENERIC]
_WHOLE: Final[dict[str, Schema]] = {
    f"{PROJECT}:models": {"type": "object", "additionalProperties": _MODEL},
    f"{PROJECT}:pools": {
        "type": "object",
        "additionalProperties": schema_of(PoolSettings, ""),
    },
    f"{PROJECT}:metal": {
        "type": "object",
        "additionalProperties": schema_of(MetalSettings, ""),
    },
    f"{PROJECT}:namespace": {
        "anyOf": [{"type": "string", "minLength": 1}, schema_of(NamespaceSettings, "")]
    },
    f"{PROJECT}:secrets": {
        "type": "object",
        "additionalProperties": {"type": "object", "additionalProperties": _SECURE},
    },
    f"{PROJECT}:acceptWidening": {"type": "string", "pattern": "^widening:[0-9a-f]{64}$"},
}
"""Keys whose schema is not that of their field's type."""


def stack_schema() -> Schema:
    """Return the schema of ``Pulumi.<stack>.yaml``; keys of other projects are left alone."""
    ours: Schema = {
        wire_name(field): {
            **_WHOLE.get(wire_name(field), schema_of(field.type, "")),
            "description": doc_of(field),
            **({"default": field.default} if isinstance(field.default, str | int) else {}),
        }
        for field in fields(resolve_types(StackSettings))
    }
    ours[STACK_KEY] = {**schema_of(RouterSpec, "", _or_secret), "description": "the policy"}
    config: Schema = {
        "type": "object",
        "properties": ours,
        "required": [STACK_KEY],
        "patternProperties": {f"^(?!{PROJECT}:)": True},
        "additionalProperties": False,
    }
    return {
        "$schema": DIALECT,
        "title": "A stack of Lockgate",
        "type": "object",
        "properties": {"config": config},
        "required": ["config"],
    }


def _or_secret(value: Schema) -> Schema:
    return {"anyOf": [value, _SECURE]}
