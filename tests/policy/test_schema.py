"""An editor marks what the loader refuses for its shape, and nothing that loads."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from jsonschema import Draft202012Validator
from lockgate.policy.canonical import to_wire
from lockgate.policy.reading.document import parse
from lockgate.policy.reading.problem import PolicyRefusedError
from lockgate.policy.reading.schema import policy_schema
from lockgate.policy.reading.structure import plain
from lockgate.policy.spec.model_router import RouterSpec
from pulumi_lockgate.stack.read import load_source
from pulumi_lockgate.stack.schema import stack_schema

from tests.cli.test_refusals import BROKEN, GOOD
from tests.properties.policies import specs

ROOT = Path(__file__).parents[2]
POLICY = Draft202012Validator(policy_schema())
STACK = Draft202012Validator(stack_schema())
STACKS = [*ROOT.glob("stacks/Pulumi.*.yaml"), *ROOT.glob("examples/**/Pulumi.*.yaml")]
STACKS = [path for path in STACKS if "lockgate:router" in path.read_text()]


def read(text: str) -> Any:
    """Read a file as the loader does: YAML 1.2's plain scalars."""
    return plain(parse(text.encode(), "f")[0])


@pytest.mark.parametrize("schema", [policy_schema(), stack_schema()])
def test_it_is_a_schema(schema: Any) -> None:
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", STACKS, ids=lambda path: path.name)
def test_each_stack_file_is_valid(path: Path) -> None:
    assert list(STACK.iter_errors(read(path.read_text()))) == []


@given(specs())
def test_what_loads_is_valid(spec: RouterSpec) -> None:
    document = to_wire(spec)
    assert [error.message for error in POLICY.iter_errors(document)] == []


SHAPES = (
    "is not a field", "is not one of", "not a text", "not an object", "is a list, not",
    "is not a duration", "is not a list", "is missing", "is not implemented",
)  # fmt: skip
"""Words of the loader for what a schema can see."""
MEANT = (
    "[1].tier: is missing", "failClosed: is missing", "model: is missing", "url: is missing",
    "filePath: is missing", "never: is missing", "modelRef: 'pvc",
)  # fmt: skip
"""Refused by their meaning."""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (old, new)
        for old, new, said in BROKEN
        if any(shape in said[0] for shape in SHAPES) and not any(m in said[0] for m in MEANT)
    ],
)
def test_what_is_refused_for_its_shape_is_marked(old: str, new: str) -> None:
    text = GOOD.replace(old, new, 1)
    with pytest.raises(PolicyRefusedError):
        load_source(text.encode(), "f")
    assert list(STACK.iter_errors(yaml.safe_load(text))), text


@pytest.mark.parametrize(
    ("document", "valid"),
    [
        ({"config": {"lockgate:router": {"backends": []}}}, True),
        ({"config": {"lockgate:router": {"backends": []}, "aws:region": "eu"}}, True),
        ({"config": {"lockgate:router": {"backends": []}, "lockgate:models": {"m": {}}}}, False),
        ({"config": {"lockgate:router": {"backends": []}, "lockgate:modles": {}}}, False),
        ({"config": {"lockgate:router": {"backends": []}, "lockgate:namespace": {"name": "n", "create": False}}}, True),
        ({"config": {"lockgate:router": {"backends": []}, "lockgate:namespace": {"create": False}}}, False),
        ({"config": {"lockgate:router": {"backends": []}, "lockgate:acceptWidening": "yes"}}, False),
        ({"config": {"lockgate:router": {"backends": [{"name": {"secure": "v1:x"}}]}}}, True),
        ({"config": {}}, False),
    ],
)  # fmt: skip
def test_a_stack_has_pulumis_keys_and_ours(document: Any, *, valid: bool) -> None:
    assert (not list(STACK.iter_errors(document))) == valid
