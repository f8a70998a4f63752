"""The command: finds its subcommands, loads only what runs, and says what is not there."""

import ast
import subprocess
import sys
from importlib.metadata import entry_points, version

import pytest
from click.testing import CliRunner
from lockgate.cli.main import GROUP, LATER, SUMMARIES, cli

OWN = [
    "lockgate.cli",
    "lockgate.cli.errors",
    "lockgate.cli.main",
    "lockgate.policy",
    "lockgate.policy.reading",
    "lockgate.policy.reading.problem",
]
"""What the command loads before it knows which subcommand it runs."""
HEAVY = {"pulumi", "pulumi_kubernetes", "openai", "z3", "twisted"}
IMAGE = """
import sys
class OnlyTheProxy:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"pulumi_lockgate", "infra", "pulumi", "openai"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, OnlyTheProxy())
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "pulumi_lockgate" else real(name)
"""
"""Stands for the proxy's image, which has the distribution's metadata but no pulumi_lockgate."""


def run(code: str) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-c", code]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)


def test_each_installed_command_has_its_line_of_help_and_no_other() -> None:
    assert {entry.name for entry in entry_points(group=GROUP)} == set(SUMMARIES)
    assert not set(LATER) & set(SUMMARIES)
    shown = CliRunner().invoke(cli, ["--help"])
    assert shown.exit_code == 0
    for name in SUMMARIES:
        assert f"  {name} " in shown.output
    assert all(len(line) <= 80 for line in shown.output.splitlines())


def test_the_version_is_the_distributions() -> None:
    shown = CliRunner().invoke(cli, ["--version"])
    assert (shown.exit_code, version("lockgate") in shown.output) == (0, True)


@pytest.mark.parametrize("line", [["--help"], ["--version"], *[[v, "--help"] for v in SUMMARIES]])
def test_help_loads_neither_pulumi_nor_twisted(line: list[str]) -> None:
    done = run(
        "import sys; from lockgate.cli.main import cli\n"
        f"cli.main({line!r}, standalone_mode=False)\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr)"
    )
    assert done.stdout
    assert done.stderr.strip() == "[]"


def test_a_command_is_imported_only_when_it_is_asked_for() -> None:
    done = run(
        "import sys; from lockgate.cli.main import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "print([m for m in sys.modules if m.startswith(('lockgate.', 'pulumi_lockgate.'))], file=sys.stderr)"
    )
    assert sorted(ast.literal_eval(done.stderr)) == OWN


@pytest.mark.parametrize(
    ("line", "words"),
    [
        *[([name], f"`lockgate {name}` is not implemented in this version") for name in LATER],
        (["audit", "verify", "x"], "`lockgate audit` is not implemented in this version"),
        (["serv"], "there is no command 'serv'; did you mean serve?"),
        (["chekc", "dev"], "there is no command 'chekc'; did you mean check?"),
        (["zzzzzz"], "there is no command 'zzzzzz'"),
        (["--nope"], "No such option"),
        (["check"], "Missing argument"),
        (["check", "dev", "--nope"], "No such option"),
    ],
)
def test_what_is_not_there_ends_with_2_and_says_so(line: list[str], words: str) -> None:
    done = CliRunner().invoke(cli, line)
    assert done.exit_code == 2
    assert words in done.output
    assert "Traceback" not in done.output


def test_the_proxys_image_lists_only_its_own_verbs() -> None:
    shown = run(f"{IMAGE}\nfrom lockgate.cli.main import main\nmain(['--help'])")
    assert shown.returncode == 0, shown.stderr
    listed = {line.split()[0] for line in shown.stdout.partition("Commands:")[2].splitlines()[1:]}
    assert listed == {"explain", "fetch", "health", "init", "replay", "serve"}


def test_the_proxys_image_says_that_a_plan_time_command_is_not_part_of_it() -> None:
    refused = run(f"{IMAGE}\nfrom lockgate.cli.main import main\nmain(['check', 'x'])")
    assert refused.returncode == 2
    assert "`lockgate check` is not installed here: pip install pulumi-lockgate" in refused.stderr


def test_the_proxys_image_runs_its_own_verbs() -> None:
    shown = run(f"{IMAGE}\nfrom lockgate.cli.main import main\nmain(['serve', '--help'])")
    assert (shown.returncode, "--policy" in shown.stdout) == (0, True), shown.stderr
