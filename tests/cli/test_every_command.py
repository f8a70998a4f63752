"""What every command keeps to: help with its exit statuses, JSON for machines, colour on terminals."""

import json
import os
import pty
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from click.testing import CliRunner
from lockgate.cli.errors import BROKEN_PIPE
from lockgate.cli.main import GROUP, cli

from tests.cli.test_refusals import GOOD

ROOT = Path(__file__).parent.parent.parent
COMMANDS = sorted(entry.name for entry in entry_points(group=GROUP))
LEAKING = "examples/llmkube-readme.yaml"
SPEAKING: dict[str, tuple[list[str], int]] = {
    "check": ([LEAKING], 1),
    "diff": ([LEAKING, "examples/llmkube-readme-mended.yaml"], 0),
    "explain": ([LEAKING, "--model", "gpt-4o"], 0),
    "import": (["tests/components/convert/samples/gate.yaml"], 0),
    "plan": (["dev"], 0),
    "replay": (["RECORD", "--policy", LEAKING], 0),
    "test": (["TESTS", "--policy", LEAKING], 0),
}  # fmt: skip
"""Each command whose output a machine reads: arguments, exit status."""
SILENT = {"bundle", "demo", "fetch", "graph", "health", "init", "schema", "serve"}
"""An archive, a story, files, an exit status, a schema, a server: there is no output to read. `audit` has its own tests."""
TESTS = """\
tests:
- name: simple
  request: { model: gpt-4o }
  expect: { rule: null }
"""


@pytest.fixture
def line(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The arguments of one command, with the files that it needs."""
    record, tests = tmp_path / "record.jsonl", tmp_path / "tests.yaml"
    record.write_text("")
    tests.write_text(TESTS)
    files = {"RECORD": str(record), "TESTS": str(tests)}
    return [files.get(word, word) for word in SPEAKING[request.param][0]]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "lockgate.cli.main", *words]


def test_each_command_speaks_to_machines_or_has_nothing_to_say() -> None:
    assert set(COMMANDS) - {"audit"} == set(SPEAKING) | SILENT


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_how_it_ends_in_eighty_columns(name: str) -> None:
    shown = CliRunner().invoke(cli, [name, "--help"])
    assert shown.exit_code == 0
    assert "xit status" in shown.output or name == "audit"
    assert all(len(text) <= 80 for text in shown.output.splitlines())
    assert ("--json" in shown.output) == (name not in SILENT) or name == "audit"


@pytest.mark.parametrize(("line", "name"), [(v, v) for v in SPEAKING], indirect=["line"])
def test_json_is_json_and_nothing_else(line: list[str], name: str) -> None:
    done = subprocess.run(
        command(name, *line, "--json"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == SPEAKING[name][1], done.stderr
    documents = done.stdout.splitlines() if name == "replay" else [done.stdout]
    assert documents
    for document in documents:
        json.loads(document)


def on_terminal(line: list[str], folder: Path, **environment: str) -> str:
    """Run a command with a terminal for its output; return what it wrote there."""
    ours, theirs = pty.openpty()
    around = {**os.environ, "TERM": "xterm", "NO_COLOR": "", **environment}
    done = subprocess.Popen(line, cwd=folder, stdout=theirs, stderr=theirs, env=around)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says so that the other side is closed
            break
        if not part:
            break
        shown += part
    done.wait()
    os.close(ours)
    return shown.decode()


@pytest.mark.parametrize(("line", "name"), [(v, v) for v in SPEAKING], indirect=["line"])
def test_what_is_piped_has_no_colour(line: list[str], name: str) -> None:
    done = subprocess.run(command(name, *line), cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == SPEAKING[name][1], done.stderr
    assert b"\x1b" not in done.stdout + done.stderr


def test_a_terminal_has_colour_and_its_json_has_none() -> None:
    assert "\x1b[31m" in on_terminal(command("check", LEAKING), ROOT)
    assert "\x1b" not in on_terminal(command("check", LEAKING, "--json"), ROOT)


def test_no_color_is_heard_where_it_is_not_empty() -> None:
    assert "\x1b" not in on_terminal(command("check", LEAKING), ROOT, NO_COLOR="1")


@pytest.mark.parametrize("words", [["-h"], *([name, "-h"] for name in COMMANDS)])
def test_h_is_help(words: list[str]) -> None:
    short, long = (CliRunner().invoke(cli, [*words[:-1], flag]) for flag in ("-h", "--help"))
    assert (short.exit_code, short.output) == (0, long.output)
    assert "-h, --help" in short.output


def unread(line: list[str], given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run a command whose output nobody reads."""
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        return subprocess.run(
            line, cwd=ROOT, input=given, stdout=theirs, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(theirs)


@pytest.mark.parametrize(
    ("line", "name"), [(v, v) for v in SPEAKING if v != "import"], indirect=["line"]
)
def test_a_report_that_nobody_reads_ends_with_its_own_status(line: list[str], name: str) -> None:
    for words in (line, [*line, "--json"]):
        done = unread(command(name, *words))
        quiet = {SPEAKING[name][1], BROKEN_PIPE} if name == "replay" else {SPEAKING[name][1]}
        assert done.returncode in quiet
        assert b"Broken" not in done.stderr
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["-h"], ["check", "--help"], ["--version"]])
def test_help_that_nobody_reads_ends_as_a_broken_pipe_does(words: list[str]) -> None:
    done = unread(command(*words))
    assert (done.returncode, done.stderr) == (BROKEN_PIPE, b"")


def test_a_comment_has_no_colour_even_when_the_terminal_has(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: lockgate\nruntime: python\n")
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.dev.yaml").write_text(GOOD)
    shown = on_terminal(command("plan", "dev", "--comment", "comment.md"), tmp_path)
    assert "\x1b" in shown
    text = (tmp_path / "comment.md").read_text()
    assert "PROVED" in text
    assert "\x1b" not in text
