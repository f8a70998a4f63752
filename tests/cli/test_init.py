"""`lockgate init` through its door: what it finds, what it writes, what it says to do next."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lockgate.cli import quick
from lockgate.cli.main import cli
from lockgate.policy.reading.load import load_policy
from lockgate.quickstart import proof

from tests.quickstart.model_servers import OLLAMA, serving

CANARY = "sk-CANARY-env"
Ports = Callable[[list[int]], None]


@pytest.fixture(autouse=True)
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ports:
    """Say which ports are looked at; an empty folder and no key in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    looked: list[int] = []
    monkeypatch.setattr(quick, "ports_of", lambda _: looked)
    return looked.extend


def init(*words: str) -> Result:
    return CliRunner().invoke(cli, ["init", *words])


def test_a_policy_is_written_proved_and_the_next_commands_said(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    with serving(OLLAMA) as port:
        ports([port])
        done = init()
    assert done.exit_code == 0, done.output
    text = Path("lockgate.yaml").read_text()
    names = [backend.name for backend in load_policy(text.encode(), "f").spec.backends]
    assert names == ["ollama-qwen3-8b", "ollama-gpt-oss-20b", "openai"]
    assert "lockgate.yaml written\nPROVED: " in done.stdout
    serve, *curls, explain = done.stdout.partition("next:\n")[2].splitlines()
    assert shlex.split(serve)[1:] == ["serve", "--policy", "lockgate.yaml", "--key", "openai-key=env:OPENAI_API_KEY"]  # fmt: skip
    assert len(curls) == 3
    ran = CliRunner().invoke(cli, shlex.split(explain)[1:])
    assert (ran.exit_code, "route       ollama-qwen3-8b" in ran.stdout) == (0, True), ran.output
    assert "left out, since Ollama runs them in its cloud: kimi-k2.5:cloud, away" in done.stderr
    assert CANARY not in done.output + text


def test_a_stack_has_what_is_to_be_filled_in_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    Path("stacks").mkdir()
    done = init("--stack", "team")
    assert done.exit_code == 0, done.output
    assert "stacks/Pulumi.team.yaml written\nPROVED: " in done.stdout
    assert CliRunner().invoke(cli, ["check", "stacks/Pulumi.team.yaml"]).exit_code == 0
    assert 'printf %s "$OPENAI_API_KEY" | kubectl -n lockgate-team create secret' in done.stdout
    assert CANARY not in done.output + Path("stacks/Pulumi.team.yaml").read_text()


def test_without_the_plan_time_package_it_is_written_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    monkeypatch.setattr(proof, "find_spec", lambda _: None)
    done = init("--out", "mine.yaml")
    assert (done.exit_code, proof.NOT_PROVED in done.stdout) == (0, True), done.output
    assert Path("mine.yaml").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing to route to was found on this machine"),
        (("--out", "there.yaml"), "there.yaml: exists already; remove it, or name another"),
        (("--stack", "there"), "Pulumi.there.yaml: exists already"),
        (("--stack", "new", "--out", "no/folder.yaml"), "no/folder.yaml: cannot be written"),
        (("--stack", "a/b"), "--stack a/b: a stack's name has letters, digits, '.', '_' and '-'"),
        (("more",), "unexpected extra argument"),
    ],
)
def test_what_cannot_be_done_ends_with_2_and_writes_nothing(
    words: tuple[str, ...], said: str
) -> None:
    for name in ("there.yaml", "Pulumi.there.yaml"):
        Path(name).write_text("mine")
    done = init(*words)
    assert (done.exit_code, said in done.stderr) == (2, True), done.output
    assert {p.name for p in Path().iterdir()} == {"there.yaml", "Pulumi.there.yaml"}
    assert Path("there.yaml").read_text() == "mine"
