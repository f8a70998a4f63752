"""`lockgate replay` through its door: files, stdin, exit statuses, what it says."""

import json
from pathlib import Path

from click.testing import CliRunner, Result
from lockgate.cli.main import cli
from lockgate.policy.deciding.decision import Request
from lockgate.policy.reading.load import load_policy

from tests.audit.test_replay import line

ROOT = Path(__file__).parents[2]
DEV = ROOT / "stacks" / "Pulumi.dev.yaml"
LABEL = "x-llmkube-classification"


def replay(*words: str, given: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["replay", *words], input=given)


def records() -> bytes:
    spec = load_policy(DEV.read_bytes(), "dev").spec
    complexity = {"x-llmkube-task-complexity": ("complex",)}
    return line(spec, Request("a\x1b[31m", {LABEL: ("phi",)})) + line(
        spec, Request("b", complexity)
    )


LOCAL_ONLY = """\
backends:
- name: local-qwen
  inferenceServiceRef: { name: qwen3-coder }
defaultRoute: local-qwen
"""


def test_each_record_gets_a_verdict_and_the_whole_a_summary(tmp_path: Path) -> None:
    file, policy = tmp_path / "audit.jsonl", tmp_path / "policy.yaml"
    file.write_bytes(records())
    policy.write_text(LOCAL_ONLY)
    done = replay(str(file), "--policy", str(policy))
    assert done.exit_code == 0, done.output
    first, *rest = done.output.splitlines()
    assert first == "same         line 1, req-1: sensitive-stays-local -> local-qwen"
    assert rest[0] == "different    line 2, req-1, model b"
    assert rest[1] == "  was  complex-to-cloud -> cloud-gpt, local-qwen"
    assert rest[2] == "  now  default_route -> local-qwen"
    assert rest[-1].startswith("2 records: 1 same, 1 different (0 reach a cloud backend")


def test_what_a_caller_sent_cannot_colour_a_terminal(tmp_path: Path) -> None:
    done = replay("-", "--policy", str(DEV), given=records().replace(b'"phi"', b'"pi\\u001b"'))
    assert "\x1b" not in done.output


def test_stdin_and_json() -> None:
    done = replay("-", "--policy", str(DEV), "--json", given=records())
    assert done.exit_code == 0
    *each, last = [json.loads(shown) for shown in done.output.splitlines()]
    assert [(r["line"], r["verdict"]) for r in each] == [(1, "same"), (2, "same")]
    assert last["summary"]["records"] == 2
    assert each[1]["now"]["candidates"] == ["cloud-gpt", "local-qwen"]


def test_a_broken_record_ends_with_1_names_its_line_and_the_others_are_replayed() -> None:
    whole = records()
    done = replay("-", "--policy", str(DEV), given=b"\n" + whole + whole[:200])
    assert done.exit_code == 1
    assert "-:4: is not a whole JSON document" in done.stderr
    assert "3 records: 2 same" in done.stdout
    assert "1 broken" in done.stdout


def test_a_line_without_end_is_broken_and_the_next_one_is_read() -> None:
    done = replay("-", "--policy", str(DEV), given=b"x" * (9 << 20) + b"\n" + records())
    assert done.exit_code == 1
    assert "-:1: " in done.stderr
    assert "2 same" in done.stdout


def test_what_cannot_be_read_ends_with_2(tmp_path: Path) -> None:
    missing = replay(str(tmp_path / "no.jsonl"), "--policy", str(DEV))
    assert (missing.exit_code, "cannot be read" in missing.stderr) == (2, True)
    refused = tmp_path / "policy.yaml"
    refused.write_text("backends: []\n")
    bad = replay("-", "--policy", str(refused), given=records())
    assert (bad.exit_code, "backends: is empty" in bad.stderr) == (2, True)
