"""examples/gitops/pipeline.sh as it is, with git itself: what is proved goes on, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.test_refusals import GOOD
from tests.support.project import project

SCRIPT = Path(__file__).parents[2] / "examples" / "gitops" / "pipeline.sh"
KUBECTL = """#!/bin/sh
echo "$@" >> "$KUBECTL_LOG"
for file; do cat "$file" >> "$KUBECTL_LOG" 2>/dev/null; done
"""
Done = subprocess.CompletedProcess[str]


class Pipeline:
    """A repository of stacks, one that is applied from, and a kubectl that writes down its calls."""

    def __init__(self, folder: Path, stack: Path) -> None:
        self.stack, self.log = stack, folder / "kubectl.log"
        (folder / "bin").mkdir()
        (folder / "bin" / "kubectl").write_text(KUBECTL)
        (folder / "bin" / "kubectl").chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "KUBECTL_LOG": str(self.log),
            "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        }
        (folder / "gitconfig").write_text(
            "[user]\nname = pipeline\nemail = pipeline@example.org\n[init]\ndefaultBranch = main\n"
        )
        self.git("init", "--quiet")
        self.git("init", "--quiet", "--bare", "applied.git")
        self.git("clone", "--quiet", "applied.git", "deployments")

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", *words], capture_output=True, text=True, env=self.environment, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, text: str) -> str:
        self.stack.write_text(text)
        self.git("add", "stacks")
        self.git("commit", "--quiet", "--message", "a stack")
        return self.git("rev-parse", "HEAD")

    def run(self, *words: str) -> Done:
        line = ["bash", str(SCRIPT), "dev", "deployments", *words]
        return subprocess.run(
            line, capture_output=True, text=True, env=self.environment, timeout=60, check=False
        )

    def applied(self, kind: str) -> list[str]:
        """The texts of a kind of object that a controller would apply."""
        named = self.git("-C", "applied.git", "ls-tree", "-r", "--name-only", "main").splitlines()
        files = [name for name in named if f"-{kind}-" in name]
        return [self.git("-C", "applied.git", "show", f"main:{name}") for name in files]


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A pipeline in a project of its own, which is the working directory."""
    return Pipeline(tmp_path, project(tmp_path, monkeypatch, GOOD))


def test_what_is_proved_is_told_to_the_cluster_and_then_committed(pipeline: Pipeline) -> None:
    first = pipeline.commit(GOOD)
    done = pipeline.run()
    assert done.returncode == 0, done.stderr
    [config] = [yaml.safe_load(text) for text in pipeline.applied("configmap")]
    told = pipeline.log.read_text()
    assert told.startswith("apply -f ")
    parameter = yaml.safe_load(told.partition("\n")[2])
    assert parameter["data"] == {config["metadata"]["name"]: config["data"]["policy.json"]}
    assert "PROVED" in pipeline.git("-C", "applied.git", "show", "main:dev/proof.txt")

    narrower = GOOD.replace('models: ["gpt-*"]', 'models: ["gpt-5*"]')
    pipeline.commit(narrower)
    done = pipeline.run(first)
    assert done.returncode == 0, done.stdout + done.stderr
    [after] = [yaml.safe_load(text) for text in pipeline.applied("configmap")]
    assert after["metadata"]["name"] != config["metadata"]["name"], "the earlier one is gone"
    assert pipeline.run(first).returncode == 0, "the same again is no error"


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("dataClassification: [pii, phi]", "dataClassification: [pii]", 1),
        ("failClosed", "failClosd", 2),
        ("taskComplexity: complex, ", "", 3),
    ],
)
def test_what_is_not_proved_or_not_accepted_goes_nowhere(
    pipeline: Pipeline, old: str, new: str, status: int
) -> None:
    first = pipeline.commit(GOOD)
    assert pipeline.run().returncode == 0
    before, told = pipeline.git("-C", "applied.git", "rev-parse", "main"), pipeline.log.read_text()
    pipeline.commit(GOOD.replace(old, new))
    assert pipeline.run(first).returncode == status
    assert pipeline.git("-C", "applied.git", "rev-parse", "main") == before
    assert pipeline.log.read_text() == told
