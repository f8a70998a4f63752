"""The reference page of a stack file, out of its schema.

``python -m pulumi_lockgate.stack.reference`` writes it.
"""

import json
from collections.abc import Iterator
from typing import Final

from lockgate.policy.reading.load import STACK_KEY
from lockgate.policy.reading.schema import Schema

from pulumi_lockgate.stack.schema import stack_schema

HEAD: Final = """\
# The stack file, key by key

Generated from the schema by `make docs`. `NAME` stands for a name of your own, `[]` for any index.
A key under `lockgate:` that is not here is refused, with the nearest one that is. `lockgate schema
stack` prints the schema itself, for editors.

Keys of Pulumi's own that act: `kubernetes:context` and `kubernetes:kubeconfig` say which cluster it
is, else it is the one that `kubectl` would take. Any value may be a secret (`pulumi config set
--secret --path KEY`): `check` and `plan` then prove with a stand-in and name it, and refuse where
the proof depends on it.

| key | type | default | effect |
| --- | --- | --- | --- |
"""
_WORDS: Final = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true, false",
    "object": "object",
}


def page() -> str:
    """Return the page as Markdown."""
    config = stack_schema()["properties"]["config"]
    found = (row for name in config["properties"] for row in _of_key(config, name))
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in found)


def _of_key(config: Schema, name: str) -> Iterator[tuple[str, str, str, str]]:
    value = config["properties"][name]
    required = name in config["required"]
    if name == STACK_KEY:
        yield f"`{name}`", "object", "required", "the policy: [every field](spec.md)"
    else:
        yield from _rows(name, value, required=required)


def _rows(path: str, value: Schema, *, required: bool) -> Iterator[tuple[str, str, str, str]]:
    yield f"`{path}`", _type(value), _default(value, required=required), _effect(value)
    for inner in (value, *value.get("anyOf", ())):
        yield from _within(path, inner)


def _within(path: str, value: Schema) -> Iterator[tuple[str, str, str, str]]:
    needed = value.get("required", ())
    for name, inner in value.get("properties", {}).items():
        yield from _rows(f"{path}.{name}", inner, required=name in needed)
    more = value.get("additionalProperties")
    if isinstance(more, dict):
        yield from _entries(f"{path}.NAME", more)
    items = value.get("items")
    if isinstance(items, dict):
        yield from _within(f"{path}[]", items)


def _entries(path: str, value: Schema) -> Iterator[tuple[str, str, str, str]]:
    """Yield the rows of each entry of a mapping, without one for the entry itself."""
    if _is_secure(value):
        yield f"`{path}`", "secret", "", str(value.get("description", ""))
    else:
        yield from _within(path, value)


def _is_secure(value: Schema) -> bool:
    return list(value.get("properties", {})) == ["secure"]


def _type(value: Schema) -> str:
    if "anyOf" in value:
        return " or ".join(_type(one) for one in value["anyOf"])
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if "const" in value:
        return f"`{json.dumps(value['const'])}`"
    if value.get("type") == "array":
        return (
            f"list of {_type(value['items'])}" if isinstance(value.get("items"), dict) else "list"
        )
    if value.get("type") == "object" and "properties" not in value:
        return "mapping"
    kinds = value.get("type", "any")
    named = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join(_WORDS.get(kind, kind) for kind in named)


def _default(value: Schema, *, required: bool) -> str:
    if required:
        return "required"
    default = value.get("default")
    if default is None:
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _effect(value: Schema) -> str:
    return str(value.get("description", "")).replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - the page is its output
