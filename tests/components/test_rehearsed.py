"""`lockgate plan --replay`: recorded requests beside the diff."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lockgate.cli.main import cli
from lockgate.policy.deciding.decision import Request
from lockgate.policy.reading.load import load_policy

from tests.audit.test_replay import line
from tests.cli.test_refusals import GOOD
from tests.support.project import project

LABEL, COMPLEX = "x-llmkube-classification", "x-llmkube-task-complexity"


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Records of a stack before a change, in whose project the tests run."""
    project(tmp_path, monkeypatch, GOOD)
    spec = load_policy(GOOD.encode(), "dev").spec
    sent = [
        Request("gpt", {LABEL: ("phi",)}),
        Request("gpt-5", {COMPLEX: ("complex",)}),
        Request("qwen3-coder"),
        Request("qwen3-coder"),
    ]
    file = tmp_path / "audit.jsonl"
    file.write_bytes(b"".join(line(spec, request) for request in sent))
    return file


def change(old: str, new: str) -> None:
    stack = Path("stacks/Pulumi.dev.yaml")
    assert old in stack.read_text()
    Path("before.yaml").write_text(stack.read_text())
    stack.write_text(stack.read_text().replace(old, new, 1))


def plan(*words: str, given: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["plan", "dev", *words], input=given)


def test_an_unchanged_policy_sends_every_recorded_request_the_same_way(records: Path) -> None:
    done = plan("--replay", str(records))
    assert done.exit_code == 0, done.output
    assert f"rehearsal: the records of {records} under this policy" in done.stdout
    assert "4 records, 1970-01-01 to 1970-01-01: 4 same, 0 different" in done.stdout
    assert "0 newly to a cloud backend" in done.stdout


def test_what_goes_another_way_stands_beside_the_diff_and_in_the_comment(records: Path) -> None:
    change('taskComplexity: complex, models: ["gpt-*"]', "models: [qwen3-coder]")
    done = plan("--against", "before.yaml", "--replay", str(records), "--comment", "out.md")
    assert done.exit_code == 3, done.output
    for text in (done.stdout, Path("out.md").read_text()):
        assert text.index("WIDENS") < text.index("rehearsal: the records of")
        assert "2 newly to a cloud backend (50.0 %)" in text
        assert "NEWLY TO A CLOUD: 2 requests (50.0 %), labels: none" in text
        assert "first: line 3 req-1 (model qwen3-coder), line 4 req-1" in text


def test_requests_that_would_be_refused_are_counted(records: Path) -> None:
    route = "route: { backends: [cloud-gpt, local-qwen] }\n      timeout: 90s"
    change(route, "route: { refuse: true }")
    done = plan("--replay", str(records), "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["rehearsal"]
    assert (found["records"], found["refused"], found["widens"]) == (4, 1, 0)
    [kind] = found["classes"]
    assert (kind["title"], kind["now"]) == ("newly refused", "complex-to-cloud -> refused, refused_by_rule")  # fmt: skip
    assert kind["examples"] == [{"line": 2, "request_id": "req-1", "model": "gpt-5"}]


def test_records_come_from_stdin_too(records: Path) -> None:
    done = plan("--replay", "-", given=records.read_bytes())
    assert "the records of - under this policy" in done.stdout


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("missing.jsonl", None, "missing.jsonl: cannot be read: No such file or directory"),
        ("stacks", None, "stacks: cannot be read: Is a directory"),
        ("log.txt", "listening\n", "--replay log.txt: holds no audit record; name a file"),
        ("empty.jsonl", "", "--replay empty.jsonl: holds no audit record"),
    ],
)
def test_what_holds_no_records_ends_with_2(
    records: Path, name: str, text: str | None, said: str
) -> None:
    assert records.exists()
    if text is not None:
        Path(name).write_text(text)
    done = plan("--replay", name)
    assert done.exit_code == 2
    assert said in done.stderr
