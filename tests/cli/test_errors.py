"""Exit status 2: every way to it ends with one text on stderr and no traceback."""

import errno
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from lockgate.cli.errors import PLAN_TIME, RefusedError, explained, package_of, write_output
from lockgate.cli.main import SUMMARIES
from lockgate.policy.reading.problem import PolicyRefusedError, Problem, UnusableInputError

REFUSED = PolicyRefusedError("p.yaml", (Problem("rules", 3, "has none", "write one"),))
LACKING = """
import sys
class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Lacking())
from lockgate.cli.main import main
main({line!r})
"""


def ending(problem: Exception) -> tuple[int, str]:
    """Run a command that raises `problem`; return the exit status and what it printed."""

    @click.command(name="explain")
    @click.pass_context
    def command(ctx: click.Context) -> None:
        with explained(ctx):
            raise problem

    done = CliRunner().invoke(command, [])
    return done.exit_code, done.stderr


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (REFUSED, "p.yaml:3: rules: has none; write one\n"),
        (UnusableInputError("x: changes while it is read"), "x: changes while it is read\n"),
        (FileNotFoundError(2, "No such file or directory", "x"), "x: cannot be read: No such file or directory\n"),
        (OSError("out of luck"), "out of luck\n"),
        (ModuleNotFoundError("No module named 'orjson'", name="orjson"), "`lockgate explain` cannot import orjson (No module named 'orjson'); all that it needs comes with: pip install lockgate\n"),
        (ImportError("wrong ELF class"), "`lockgate explain` cannot import what it needs (wrong ELF class); all that it needs comes with: pip install lockgate\n"),
    ],
    ids=lambda case: type(case).__name__,
)  # fmt: skip
def test_what_a_user_can_mend_is_one_text_and_status_2(problem: Exception, text: str) -> None:
    assert ending(problem) == (2, text)


def test_a_reader_that_leaves_and_a_fault_of_ours_are_no_refusals() -> None:
    assert ending(BrokenPipeError(errno.EPIPE, "Broken pipe"))[0] == 1
    with pytest.raises(ZeroDivisionError), explained(click.Context(click.Command("explain"))):
        raise ZeroDivisionError
    with pytest.raises(RefusedError), explained(click.Context(click.Command("explain"))):
        raise REFUSED


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    write_output(tmp_path / "a", "text")
    write_output(tmp_path / "b", b"bytes")
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_bytes()) == ("text", b"bytes")
    with pytest.raises(UnusableInputError, match=r"none/a: cannot be written: No such file"):
        write_output(tmp_path / "none" / "a", "text")


def test_every_command_has_its_package() -> None:
    assert set(SUMMARIES) > PLAN_TIME
    assert package_of("check") == "pulumi-lockgate"
    assert package_of("serve") == "lockgate"


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("z3", ["check", "examples/llmkube-readme.yaml"]),
        ("drawsvg", ["graph", "examples/llmkube-readme.yaml", "--out", "/dev/null"]),
        ("pulumi", ["plan", "dev"]),
        ("twisted", ["serve", "--policy", "examples/llmkube-readme.yaml"]),
        ("orjson", ["explain", "examples/llmkube-readme.yaml", "--model", "m"]),
    ],
)
def test_a_package_that_is_missing_is_status_2_and_says_what_to_install(
    package: str, line: list[str]
) -> None:
    code = LACKING.format(package=package, line=line)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert f"cannot import {package}" in done.stderr
    assert f"pip install {package_of(line[0])}" in done.stderr
