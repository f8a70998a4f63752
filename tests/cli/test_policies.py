"""A policy is a file, a stack by its name, or stdin, wherever a command reads one."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lockgate.cli import policies
from lockgate.cli.main import cli

from tests.cli.test_refusals import GOOD
from tests.support.project import project

ROOT = Path(__file__).parents[2]
BARE = """\
backends:
- { name: local, inferenceServiceRef: { name: qwen } }
defaultRoute: local
"""


@pytest.fixture(autouse=True)
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the stack dev, in a project of its own, which is the working directory."""
    return project(tmp_path, monkeypatch, GOOD)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy's package without the plan-time one."""
    monkeypatch.setattr(policies, "find_spec", lambda _: None)


def lockgate(*words: str, given: str | None = None) -> Result:
    return CliRunner().invoke(cli, words, input=given)


ASKED: dict[str, tuple[str, ...]] = {
    "check": (),
    "explain": ("--model", "m"),
    "graph": ("--out", "out.svg"),
    "replay": ("records.jsonl",),
}


@pytest.mark.parametrize("verb", ASKED)
def test_each_way_to_name_a_policy_comes_to_the_same(verb: str, stack: Path) -> None:
    Path("records.jsonl").write_text("")
    flag = ["--policy"] if verb == "replay" else []
    shown = [
        lockgate(verb, *ASKED[verb], *flag, named, given=given)
        for named, given in (("dev", None), (str(stack), None), ("-", GOOD))
    ]
    assert [(done.exit_code, done.stdout) for done in shown] == [(0, shown[0].stdout)] * 3


def test_explain_says_the_digest_that_check_says() -> None:
    checked = json.loads(lockgate("check", "dev", "--json").stdout)["digest"]
    assert checked in lockgate("explain", "dev", "--model", "m").stdout


def test_diff_takes_one_side_from_stdin() -> None:
    done = lockgate("diff", "-", "dev", given=GOOD)
    assert (done.exit_code, "UNCHANGED" in done.stdout) == (0, True)
    wider = GOOD.replace("taskComplexity: complex, models", "models", 1)
    assert lockgate("diff", "dev", "-", given=wider).exit_code == 3


@pytest.mark.parametrize(
    "words", [("check", "-", "-"), ("diff", "-", "-"), ("replay", "-", "--policy", "-")]
)
def test_stdin_is_read_once(words: tuple[str, ...]) -> None:
    done = lockgate(*words, given=GOOD)
    assert done.exit_code == 2
    assert "- is stdin, which can be read once: name a file for the other" in done.stderr


@pytest.mark.parametrize(
    ("named", "given", "said"),
    [
        ("nope", None, "there is no stack 'nope'; there are dev"),
        ("nope.yaml", None, "nope.yaml: cannot be read: No such file or directory"),
        ("stacks", None, "there is no stack 'stacks'"),
        ("-", "", "-: (document): is empty; write a policy, beginning with `backends:`"),
        ("-", "backends: []", "-:1: backends: is empty"),
    ],
)
@pytest.mark.parametrize("verb", ["check", "explain"])
def test_what_is_no_policy_ends_with_2(verb: str, named: str, given: str | None, said: str) -> None:
    done = lockgate(verb, *ASKED[verb], named, given=given)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


@pytest.mark.usefixtures("alone")
def test_without_the_plan_time_package_files_and_stdin_are_read() -> None:
    Path("policy.yaml").write_text(BARE)
    for named, given in (("policy.yaml", None), ("-", BARE)):
        done = lockgate("explain", named, "--model", "m", given=given)
        assert (done.exit_code, "route       local" in done.stdout) == (0, True), done.output


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("dev", "there is no file 'dev'; a stack by its name is read by the plan-time package: pip install pulumi-lockgate"),
        ("no.yaml", "no.yaml: cannot be read: No such file or directory"),
        ("stacks", "stacks: cannot be read: Is a directory"),
    ],
)  # fmt: skip
def test_without_it_a_name_says_what_to_install(named: str, said: str) -> None:
    done = lockgate("explain", named, "--model", "m")
    assert (done.exit_code, done.stderr) == (2, f"{said}\n")
