"""`lockgate diff`: what is printed, and how it ends."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lockgate.cli.main import cli
from pulumi_lockgate import proved_policy
from pulumi_lockgate.proof import checks
from pulumi_lockgate.proof.report import ContradictionError

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
PUBLISHED = str(EXAMPLES / "llmkube-readme.yaml")
MENDED = str(EXAMPLES / "llmkube-readme-mended.yaml")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["diff", *arguments])


def test_a_widening_ends_with_3_and_a_curl_line() -> None:
    done = run(MENDED, PUBLISHED)
    assert done.exit_code == 3
    assert "WIDENS rule pii-stays-local => rule complex-to-cloud" in done.output
    assert any(line.startswith("curl ") for line in done.output.splitlines())


def test_a_narrowing_ends_with_0() -> None:
    done = run(PUBLISHED, MENDED)
    assert done.exit_code == 0
    assert "NARROWS" in done.output


def test_stacks_are_named_like_files() -> None:
    done = run("dev", "dev", "--json")
    assert (done.exit_code, json.loads(done.output)["changes"]) == (0, [])
    assert run("dev", "prod", "--json").exit_code == 3


def test_what_cannot_be_read_ends_with_2() -> None:
    done = run("dev", "prd")
    assert (done.exit_code, "did you mean prod?" in done.output) == (2, True)


def test_readings_that_contradict_each_other_end_with_5(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ContradictionError("the two disagree")

    assert proved_policy.prove is checks.prove  # what is imported later would keep the broken one
    monkeypatch.setattr("pulumi_lockgate.widening.compare", broken)
    monkeypatch.setattr("pulumi_lockgate.proof.checks.prove", broken)
    for line in (["diff", "dev", "dev"], ["check", "dev"]):
        done = CliRunner().invoke(cli, line)
        assert (done.exit_code, "CONTRADICTION" in done.output) == (5, True)
