"""Every manifest of every stack, as it was reviewed. `make golden` writes what a change makes of them: read the diff.

A `ConfigMap`'s policy.json has a digest of its own; what is compared is the whole text all the same.
"""

import difflib
import re
from pathlib import Path

import pytest
import yaml
from pulumi_lockgate.stack.evaluate import evaluate, read_stack

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
STACKS = sorted(path.name.split(".")[1] for path in (ROOT / "stacks").glob("Pulumi.*.yaml"))


def manifests(stack: str) -> str:
    """Every manifest of a stack, as one text."""
    plan = evaluate(stack, read_stack(ROOT / "stacks" / f"Pulumi.{stack}.yaml"))
    return yaml.safe_dump_all(plan.manifests, sort_keys=True, width=100)


@pytest.mark.parametrize("stack", STACKS)
def test_a_stacks_manifests_are_those_that_were_reviewed(stack: str) -> None:
    held, made = (GOLDEN / f"{stack}.yaml").read_text(), manifests(stack)
    diff = difflib.unified_diff(held.splitlines(), made.splitlines(), "reviewed", "now", n=2, lineterm="")  # fmt: skip
    assert held == made, "\n".join(["`make golden` accepts this:", *diff])


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_file_is_in_the_form_that_pulumi_writes(stack: str) -> None:
    """So that `stack init` and `config set` change their own line, and the diff shows nothing else."""
    text = (ROOT / "stacks" / f"Pulumi.{stack}.yaml").read_text()
    assert "{ " not in text
    assert " }" not in text
    assert not re.search(r"^( *)[^ #-].*:\n\1- ", text, re.MULTILINE), "lists stand two columns in"


def test_there_is_none_for_a_stack_that_is_gone() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.yaml")) == STACKS


if __name__ == "__main__":
    for name in STACKS:
        (GOLDEN / f"{name}.yaml").write_text(manifests(name))
