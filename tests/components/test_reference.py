"""The page of a stack file's keys says every key that there is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import fields, resolve_types
from lockgate.policy.spec.fields import wire_name
from pulumi_lockgate.stack.reference import page
from pulumi_lockgate.stack.schema import stack_schema
from pulumi_lockgate.stack.settings import StackSettings

ROOT = Path(__file__).parent.parent.parent


def names(value: Any) -> Iterator[str]:
    """The name of every property at any depth."""
    if isinstance(value, dict):
        yield from value.get("properties", {})
        for inner in value.values():
            yield from names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names(inner)


def test_the_page_is_what_the_schema_says() -> None:
    assert (ROOT / "docs" / "stack.md").read_text() == page()


def test_every_key_of_the_schema_stands_on_it() -> None:
    said = page()
    config = stack_schema()["properties"]["config"]["properties"]
    rest = {key: value for key, value in config.items() if key != "lockgate:router"}
    for key in (*config, *names(rest)):
        assert key == "secure" or f"{key}`" in said, key
    for field in fields(resolve_types(StackSettings)):
        assert f"| `{wire_name(field)}` |" in said
    rows = [line for line in said.splitlines() if line.startswith("| `")]
    assert len(set(rows)) == len(rows)
    assert all(line.count(" | ") == 3 and not line.endswith("|  |") for line in rows)
