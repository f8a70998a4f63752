"""The ready files for pipelines: well-formed by their published schemas, modest, and run here."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from lockgate.policy.deciding.decision import Request
from lockgate.policy.reading.load import load_policy

from tests.audit.test_replay import line
from tests.ci.schemas import faults
from tests.cli.test_refusals import GOOD

ROOT = Path(__file__).parent.parent.parent
GITHUB, GITLAB = ROOT / "ci" / "github" / "lockgate.yml", ROOT / "ci" / "gitlab" / "lockgate.yml"
SCHEMAS = {
    GITHUB: "https://json.schemastore.org/github-workflow.json",
    GITLAB: "https://gitlab.com/gitlab-org/gitlab/-/raw/master/app/assets/javascripts/editor/schema/ci.json",
}
LEAKING = GOOD.replace("[pii, phi] }", "[pii] }", 1)
STUB = '#!/bin/sh\nfor word in "$@"; do echo "$word" >> "$CALLS"; done\necho -- >> "$CALLS"\n'
"""Stands for gh and curl: writes down what it was asked, an argument a line."""


def held(file: Path) -> Any:
    # GitHub's `on` is a text to YAML 1.2, and true to 1.1: BaseLoader leaves it alone
    return yaml.load(file.read_text(), Loader=yaml.BaseLoader)  # noqa: TID251 - no policy


def steps() -> dict[str, dict[str, Any]]:
    found = held(GITHUB)["jobs"]["gate"]["steps"]
    return {step.get("name", step.get("uses")): step for step in found}


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.parent.name)
def test_each_file_is_well_formed_by_its_published_schema(file: Path) -> None:
    document = yaml.safe_load(file.read_text())
    document = {("on" if key is True else key): value for key, value in document.items()}
    assert faults(SCHEMAS[file], document) == []
    broken = {**document, "lockgate": {"scrpt": []}, "jobs": {"gate": {"stps": []}}}
    assert faults(SCHEMAS[file], broken), "and the schema can tell"


def test_the_workflow_asks_for_no_more_than_it_needs() -> None:
    workflow = held(GITHUB)
    assert list(workflow["on"]) == ["pull_request"]
    assert workflow["permissions"] == {}
    assert workflow["jobs"]["gate"]["permissions"] == {
        "contents": "read",
        "pull-requests": "write",
        "security-events": "write",
    }
    assert "secrets." not in GITHUB.read_text()


def test_actions_are_pinned_by_commit_with_their_version_beside() -> None:
    used = re.findall(r"uses: (.*)", GITHUB.read_text())
    assert used
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_a_change_puts_no_text_of_its_own_into_a_shell() -> None:
    for step in steps().values():
        assert "${{" not in step.get("run", ""), step


def test_what_writes_is_left_out_for_forks() -> None:
    for name in ("SARIF", "Comment"):
        assert "head.repo.full_name == github.repository" in steps()[name]["if"]


@pytest.fixture
def change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one good stack on main, and stand-ins for gh and curl."""
    project = tmp_path / "project"
    (project / "stacks").mkdir(parents=True)
    (project / "Pulumi.yaml").write_text("name: lockgate\nruntime: python\n")
    shutil.copytree(ROOT / "ci", project / "ci")
    (project / "stacks" / "Pulumi.dev.yaml").write_text(GOOD)
    for name in ("gh", "curl"):
        tool = tmp_path / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(STUB)
        tool.chmod(0o755)
    for name in list(os.environ):
        if name.startswith(("GIT_", "CI", "GITHUB_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("LOCKGATE", str(Path(sys.executable).parent / "lockgate"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    monkeypatch.setenv("GITHUB_REPOSITORY", "platform/stacks")
    git(project, "init", "-q", "-b", "main")
    commit(project)
    return project


def git(project: Path, *words: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
    line = ["git", *who, *words]
    done = subprocess.run(line, cwd=project, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(project: Path) -> str:
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "x", "--allow-empty")
    return git(project, "rev-parse", "HEAD")


def shell(project: Path, script: str, **named: str) -> "subprocess.CompletedProcess[str]":
    line = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(
        line, cwd=project, env={**os.environ, **named}, capture_output=True, text=True, check=False
    )


def step(project: Path, name: str, **named: str) -> "subprocess.CompletedProcess[str]":
    """Run one step of the workflow as the host does."""
    return shell(project, steps()[name]["run"], STACKS="dev", **named)


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        (GOOD, 0, "### ✅ Lockgate, stack `dev`: proved"),
        (LEAKING, 1, "### ❌ Lockgate, stack `dev`: VIOLATED"),
        (GOOD.replace("failClosed", "failClosd"), 2, "### ❌ Lockgate, stack `dev`: REFUSED"),
    ],
)
def test_the_workflows_steps_do_what_they_say(
    change: Path, text: str, status: int, words: str
) -> None:
    base = git(change, "rev-parse", "HEAD")
    (change / "stacks" / "Pulumi.dev.yaml").write_text(text)
    commit(change)
    done = step(change, "Prove and compare", BASE=base)
    assert done.returncode == 0, done.stderr
    assert (change.parent / "output").read_text() == f"status={status}\n"
    assert step(change, "Summary").returncode == 0
    summary = (change.parent / "summary").read_text()
    assert summary.startswith("<!-- lockgate -->\n")
    assert words in summary
    assert '"version": "2.1.0"' in (change / "lockgate-out" / "lockgate.sarif").read_text()
    assert step(change, "Comment", NUMBER="7").returncode == 0
    calls = (change.parent / "calls").read_text()
    assert "repos/platform/stacks/issues/7/comments" in calls
    assert "body=@lockgate-out/comment.md" in calls
    assert step(change, "Verdict", STATUS=str(status)).returncode == status


def test_the_gitlab_job_does_the_same_and_comments_only_with_a_token(change: Path) -> None:
    base = git(change, "rev-parse", "HEAD")
    (change / "stacks" / "Pulumi.dev.yaml").write_text(LEAKING)
    commit(change)
    script = "\n".join(held(GITLAB)["lockgate"]["script"])
    named = {
        "STACKS": "dev",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
        "CI_API_V4_URL": "https://git.example.com/api/v4",
        "CI_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "7",
    }
    done = shell(change, script, **named)
    assert done.returncode == 1, done.stderr
    assert not (change.parent / "calls").exists()
    done = shell(change, script, LOCKGATE_COMMENT_TOKEN="glpat-x", **named)
    assert done.returncode == 1
    assert "glpat-x" not in done.stdout + done.stderr
    calls = (change.parent / "calls").read_text()
    assert "https://git.example.com/api/v4/projects/3/merge_requests/7/notes" in calls
    assert "VIOLATED" in (change / "lockgate-out" / "comment.md").read_text()


def test_a_new_stack_has_nothing_to_be_compared_with(change: Path) -> None:
    base = git(change, "rev-parse", "HEAD")
    (change / "stacks" / "Pulumi.new.yaml").write_text(GOOD)
    done = shell(change, f"ci/gate.sh {base} dev new")
    assert done.returncode == 0, done.stderr
    text = (change / "lockgate-out" / "comment.md").read_text()
    assert "stack `dev`" in text
    assert "stack `new`" in text


def test_a_table_of_all_stacks_stands_first_with_the_failing_one_on_top(change: Path) -> None:
    base = git(change, "rev-parse", "HEAD")
    (change / "stacks" / "Pulumi.worse.yaml").write_text(
        GOOD.replace("dataClassification: [pii, phi]", "dataClassification: [pii]")
    )
    assert shell(change, f"ci/gate.sh {base} dev worse").returncode == 1
    lines = (change / "lockgate-out" / "comment.md").read_text().splitlines()
    assert lines[:4] == ["<!-- lockgate -->", "", "| | stack | verdict |", "| --- | --- | --- |"]
    assert lines[4] == "| ❌ | `worse` | VIOLATED: the policy must not be deployed |"
    assert lines[5].startswith("| ✅ | `dev` | proved")
    heads = [line for line in lines if line.startswith("### ")]
    assert ["`worse`" in heads[0], "`dev`" in heads[1]] == [True, True]


def test_a_widening_is_red_until_the_stack_accepts_it(change: Path) -> None:
    base = git(change, "rev-parse", "HEAD")
    stack = change / "stacks" / "Pulumi.dev.yaml"
    wider = GOOD.replace("taskComplexity: complex, models", "models", 1)
    stack.write_text(wider)
    done = shell(change, f"ci/gate.sh {base} dev")
    text = (change / "lockgate-out" / "comment.md").read_text()
    assert (done.returncode, "WIDENS: requests may reach more" in text) == (3, True), done.stderr
    [digest] = set(re.findall(r"widening:[0-9a-f]{64}", text))
    stack.write_text(wider.replace("config:\n", f"config:\n  lockgate:acceptWidening: {digest}\n"))
    assert shell(change, f"ci/gate.sh {base} dev").returncode == 0


def test_last_weeks_records_stand_beside_the_diff_where_a_folder_is_named(change: Path) -> None:
    spec = load_policy(GOOD.encode(), "dev").spec
    (change / "records").mkdir()
    (change / "records" / "dev.jsonl").write_bytes(line(spec, Request("gpt")))
    (change / "stacks" / "Pulumi.new.yaml").write_text(GOOD)
    done = shell(change, "LOCKGATE_RECORDS=records ci/gate.sh HEAD dev new")
    assert done.returncode == 0, done.stderr
    text = (change / "lockgate-out" / "comment.md").read_text()
    assert text.count("rehearsal: the records of records/dev.jsonl under this policy") == 1
    assert "1 record, 1970-01-01 to 1970-01-01: 1 same" in text


def test_a_comment_that_would_be_too_long_is_cut_and_the_summary_is_whole(change: Path) -> None:
    names = [f"s{number}" for number in range(8)]
    for name in names:
        rules = "".join(
            f"    - name: hole-{number}\n      match: {{ models: ['m{number}-ü*'] }}\n"
            "      route: { backends: [cloud-gpt] }\n"
            for number in range(40)
        )
        text = LEAKING.replace("    defaultRoute", rules + "    defaultRoute", 1)
        (change / "stacks" / f"Pulumi.{name}.yaml").write_text(text)
    done = shell(change, f"ci/gate.sh HEAD {' '.join(names)}")
    assert done.returncode == 1, done.stderr
    out = change / "lockgate-out"
    assert len((out / "comment.md").read_text()) < 65_536 < len((out / "summary.md").read_text())
    assert (out / "comment.md").read_text().endswith("summary.md of this run\n")


def test_the_gate_says_what_it_was_not_given(change: Path) -> None:
    assert shell(change, "ci/gate.sh main").returncode == 2
    done = shell(change, "ci/gate.sh none dev")
    assert (done.returncode, "there is no revision none" in done.stderr) == (2, True)


def test_what_the_pipelines_install_is_there_to_be_made() -> None:
    assert "$(VENV)/.program:" in (ROOT / "Makefile").read_text()
    for file in (GITHUB, GITLAB):
        assert "make .venv/.program" in file.read_text()


def test_the_hook_checks_stack_files_of_a_commit(change: Path) -> None:
    hooks = change.parent / "hooks"
    hooks.mkdir()
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", hooks)
    git(hooks, "init", "-q")
    revision = commit(hooks)
    config = {"repos": [{"repo": str(hooks), "rev": revision, "hooks": [{"id": "lockgate-check"}]}]}
    (change / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    (change / "notes.yaml").write_text("not: a policy\n")
    environment = {"PRE_COMMIT_HOME": str(change.parent / "home")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    line = f"{sys.executable} -m pre_commit run --all-files --verbose"
    git(change, "add", "-A")
    done = shell(change, line, PATH=path, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stdout
    (change / "stacks" / "Pulumi.dev.yaml").write_text(GOOD.replace("failClosed", "failClosd"))
    git(change, "add", "-A")
    done = shell(change, line, PATH=path, **environment)
    assert done.returncode == 1
    assert "did you mean failClosed? write `failClosed: true`" in done.stdout


def test_the_manifest_of_the_hook_is_valid() -> None:
    line = [sys.executable, "-m", "pre_commit", "validate-manifest", ".pre-commit-hooks.yaml"]
    assert subprocess.run(line, cwd=ROOT, check=False).returncode == 0
