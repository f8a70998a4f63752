"""`lockgate plan` and `check` through their door: what they print, and how they end."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from lockgate.cli.main import cli
from lockgate.policy.reading import load
from lockgate.policy.reading.load import load_policy
from pulumi_lockgate import draft, proved_policy
from pulumi_lockgate.stack import settings

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"


def lockgate(*arguments: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    run = [sys.executable, "-m", "lockgate.cli.main", *arguments]
    return subprocess.run(run, capture_output=True, text=True, check=False, cwd=cwd, timeout=60)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of its own with the dev stack."""
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks")
    return tmp_path


def test_a_stack_is_planned_and_its_manifests_written(tmp_path: Path) -> None:
    done = lockgate("plan", "dev", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "PROVED" in done.stdout
    assert "+ Deployment" in done.stdout
    manifests = [yaml.safe_load(f.read_text()) for f in sorted((tmp_path / "out").glob("*.yaml"))]
    assert manifests[0]["kind"] == "Namespace"
    [config] = [m for m in manifests if m["kind"] == "ConfigMap"]
    policy = load_policy(config["data"]["policy.json"].encode(), "policy.json")
    assert policy.json.decode() == config["data"]["policy.json"]
    assert policy.digest in done.stdout


def test_a_plan_is_the_same_twice_and_as_json() -> None:
    first, second = lockgate("plan", "prod", "--json"), lockgate("plan", "prod", "--json")
    assert first.stdout == second.stdout
    assert json.loads(first.stdout)["outputs"]["url"].startswith("http://lockgate-router-proxy.")


def test_a_leaking_stack_ends_with_1_and_a_curl_line(project: Path) -> None:
    stack = project / "stacks" / "Pulumi.dev.yaml"
    stack.write_text(stack.read_text().replace("[pii, phi]", "[pii]"))
    for name in ("plan", "check"):
        done = lockgate(name, "dev", cwd=project)
        assert done.returncode == 1
        curl = next(line for line in done.stdout.splitlines() if line.startswith("curl "))
        assert "x-llmkube-classification: phi" in curl


def test_a_broken_stack_ends_with_2_and_its_lines(project: Path) -> None:
    stack = project / "stacks" / "Pulumi.dev.yaml"
    stack.write_text(stack.read_text().replace("failClosed: true", "failClosd: true"))
    line = next(i for i, t in enumerate(stack.read_text().splitlines(), 1) if "failClosd" in t)
    for name in ("plan", "check"):
        done = lockgate(name, "dev", cwd=project)
        assert done.returncode == 2
        assert f"Pulumi.dev.yaml:{line}: config.lockgate:router.rules[0].failClosd" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "lockgate:namespace",
            "lockgate:namepsace",
            "did you mean lockgate:namespace? write `lockgate:namespace: lockgate-dev`",
        ),
        ("pvc://models/", "ftp://models/", "no scheme that is known here"),
        ("parallelSlots: 2", "paralelSlots: 2", "did you mean parallelSlots?"),
    ],
)
def test_the_rest_of_the_stack_is_checked_too(project: Path, old: str, new: str, said: str) -> None:
    stack = project / "stacks" / "Pulumi.dev.yaml"
    stack.write_text(stack.read_text().replace(old, new))
    done = lockgate("plan", "dev", cwd=project)
    assert done.returncode == 2
    assert said in done.stderr


def test_an_unknown_stack_names_the_known_ones() -> None:
    done = lockgate("plan", "prd")
    assert done.returncode == 2
    assert "did you mean prod?" in done.stderr


def test_the_published_example_leaks_phi_with_complexity_complex() -> None:
    done = lockgate("check", str(EXAMPLES / "llmkube-readme.yaml"))
    assert done.returncode == 1
    assert "x-llmkube-classification: phi" in done.stdout
    assert "x-llmkube-task-complexity: complex" in done.stdout
    assert lockgate("check", str(EXAMPLES / "llmkube-readme-mended.yaml")).returncode == 0


def test_check_as_json() -> None:
    report = json.loads(lockgate("check", str(EXAMPLES / "llmkube-readme.yaml"), "--json").stdout)
    assert report["proved"] is False
    (leak,) = report["findings"]
    assert (leak["kind"], leak["path"], leak["labels"]) == ("leak", "rules[1]", ["phi"])
    assert leak["curl"].startswith("curl ")
    assert leak["test"]["expect"] == {"never": {"tier": "cloud"}}


def test_explain_says_where_and_why() -> None:
    example = str(EXAMPLES / "llmkube-readme.yaml")
    done = lockgate("explain", example, "--model", "m", "--header", "x-llmkube-classification=typo")
    assert done.returncode == 0
    assert "unrecognised" in done.stdout
    assert "pii-stays-local" in done.stdout


@pytest.mark.parametrize("name", ["audit"])
def test_a_command_to_come_is_refused_by_name(name: str) -> None:
    done = lockgate(name)
    assert done.returncode == 2
    assert "not implemented in this version" in done.stderr


def test_help_lists_the_commands_without_loading_them() -> None:
    done = lockgate("--help")
    assert done.returncode == 0
    for name in ("serve", "check", "plan", "explain", "demo"):
        assert f"\n  {name} " in done.stdout
    assert "did you mean check?" in lockgate("chekc").stderr


@pytest.mark.parametrize("against", [[], ["--against", "prod"]])
def test_a_policy_is_loaded_and_proved_once_a_plan(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, against: list[str]
) -> None:
    counts: Counter[str] = Counter()
    for module, name in (
        (settings, "load_tree"),
        (load, "load_tree"),
        (draft, "load_tree"),
        (proved_policy, "prove"),
    ):
        monkeypatch.setattr(module, name, counted(getattr(module, name), counts))
    line = ["plan", "dev", "--comment", str(tmp_path / "comment.md"), *against]
    done = CliRunner().invoke(cli, line)
    assert done.exit_code in {0, 3}, done.output
    assert "```mermaid" in (tmp_path / "comment.md").read_text()
    assert counts == {"load_tree": 1 + bool(against), "prove": 1}


def counted(function: Callable[..., Any], counts: Counter[str]) -> Callable[..., Any]:
    def counting(*arguments: Any, **named: Any) -> Any:
        counts[function.__name__] += 1
        return function(*arguments, **named)

    return counting
