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


def test_each_record_gets_a_verdict_where_asked_and_the_whole_a_summary(tmp_path: Path) -> None:
    file, policy = tmp_path / "audit.jsonl", tmp_path / "policy.yaml"
    file.write_bytes(records())
    policy.write_text(LOCAL_ONLY)
    done = replay(str(file), "--policy", str(policy), "--each")
    assert done.exit_code == 0, done.output
    first, *rest = done.output.splitlines()
    assert first == "same         line 1, req-1: sensitive-stays-local -> local-qwen"
    assert rest[0] == "different    line 2, req-1, model b"
    assert rest[1] == "  was  complex-to-cloud -> cloud-gpt, local-qwen"
    assert rest[2] == "  now  default_route -> local-qwen"
    assert rest[3].endswith("1 same, 1 different (50.0 %), 0 undecidable, 0 never decided")
    assert rest[4] == "  0 newly to a cloud backend"
    assert rest[6] == "another way: 1 request (50.0 %), labels: none"


CLOUD_TOO = """\
backends:
- { name: local-qwen, inferenceServiceRef: { name: qwen3-coder } }
- { name: new-cloud, tier: cloud, external: { provider: openai, model: m } }
rules:
- { name: all, match: { models: [b] }, route: { backends: [new-cloud] } }
defaultRoute: local-qwen
"""


def test_requests_that_newly_reach_a_cloud_end_with_3(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(CLOUD_TOO)
    done = replay("-", "--policy", str(policy), given=records())
    assert done.exit_code == 3
    assert "1 newly to a cloud backend (50.0 %)" in done.stdout
    assert "  first: line 2 req-1 (model b)" in done.stdout
    broken = replay("-", "--policy", str(policy), given=records() + records()[:100])
    assert broken.exit_code == 3  # the graver verdict


def test_lines_that_are_no_record_are_passed_over_and_counted() -> None:
    mixed = b"lockgate: listening\n" + records() + b'{"level": "info"}\n'
    done = replay("-", "--policy", str(DEV), given=mixed)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "left out: 0 broken records, 2 lines that hold no record" in done.stdout


def test_a_file_without_any_record_ends_with_2() -> None:
    done = replay("-", "--policy", str(DEV), given=b"lockgate: listening\n")
    assert done.exit_code == 2
    assert "-: holds no audit record; name a file" in done.stderr


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
    assert ": 2 same" in done.stdout
    assert "left out: 1 broken record, 0 lines that hold no record" in done.stdout


def test_a_record_without_end_is_broken_and_the_next_one_is_read() -> None:
    endless = b'{"worker":' + b"1" * (9 << 20) + b"\n"
    done = replay("-", "--policy", str(DEV), given=endless + records())
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
