"""`lockgate import` through its door: streams, exit statuses, what check makes of a manifest."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lockgate.cli.main import cli

SAMPLES = Path(__file__).parents[1] / "components" / "convert" / "samples"
GOOD = sorted(path for path in SAMPLES.glob("*.yaml") if path.stem != "bad-gate")


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


@pytest.mark.parametrize("sample", GOOD, ids=lambda path: path.stem)
def test_what_import_writes_is_what_check_and_the_program_take(
    sample: Path, tmp_path: Path
) -> None:
    done = run("import", str(sample))
    assert done.exit_code == 0, done.stderr
    stack = tmp_path / "Pulumi.taken.yaml"
    stack.write_text(done.stdout)
    taken, direct = run("check", str(stack), "--json"), run("check", str(sample), "--json")
    assert taken.exit_code == direct.exit_code
    assert json.loads(taken.stdout)["digest"] == json.loads(direct.stdout)["digest"]
    assert direct.stderr == done.stderr
    assert "canary-value" not in done.output + direct.output


def test_each_difference_is_one_line_with_file_line_path_and_kind() -> None:
    sample = SAMPLES / "short.yaml"
    lines = run("import", str(sample)).stderr.splitlines()
    assert f"{sample}:16: spec.rules[0].timeout: differs: is timeouts.firstToken 8s: " in lines[1]
    assert all(line.startswith(f"{sample}:") for line in lines)
    assert all(": differs: " in line for line in lines)


def test_a_leak_of_a_manifest_is_shown_before_it_is_moved() -> None:
    done = run("check", str(SAMPLES / "short.yaml"))
    assert done.exit_code == 1
    assert "x-llmkube-classification: phi" in done.stdout
    assert run("check", str(SAMPLES / "gate.yaml")).exit_code == 0


def test_what_is_refused_leaves_no_config(tmp_path: Path) -> None:
    out = tmp_path / "out.yaml"
    bad = str(SAMPLES / "bad-gate.yaml")
    done = run("import", bad, "--out", str(out))
    assert (done.exit_code, done.stdout, out.exists()) == (2, "", False)
    assert "spec.rules[0].route.backends[0]: refused: 'far' is a cloud backend" in done.stderr
    assert json.loads(run("import", bad, "--json").stdout)["config"] is None
    checked = run("check", bad)
    assert (checked.exit_code, "rules[0].route.backends[0]" in checked.stderr) == (2, True)


def test_out_writes_a_file_and_never_over_one(tmp_path: Path) -> None:
    out, sample = tmp_path / "Pulumi.a.yaml", str(SAMPLES / "gate.yaml")
    assert run("import", sample, "--out", str(out)).exit_code == 0
    written = out.read_text()
    assert written == run("import", sample).stdout
    again = run("import", sample, "--out", str(out))
    assert (again.exit_code, "exists already" in again.stderr) == (2, True)
    assert out.read_text() == written
    nowhere = run("import", sample, "--out", str(tmp_path / "no" / "a.yaml"))
    assert (nowhere.exit_code, "cannot be written" in nowhere.stderr) == (2, True)


def test_what_kubectl_prints_can_be_piped_in() -> None:
    source = (SAMPLES / "stand-ins.yaml").read_bytes()
    done = CliRunner().invoke(cli, ["import", "-"], input=source)
    assert done.exit_code == 0
    assert done.stderr.startswith("-:")
    assert "lockgate:name: stand-ins" in done.stdout


def test_json_has_config_and_differences() -> None:
    shown = json.loads(run("import", str(SAMPLES / "inside.yaml"), "--json").stdout)
    assert shown["config"]["lockgate:namespace"] == "models"
    assert {d["kind"] for d in shown["differences"]} == {"differs"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["/nowhere.yaml"], "/nowhere.yaml: cannot be read"),
        ([str(SAMPLES / "gate.yaml"), "--tier", "far"], "is not NAME=local or NAME=cloud"),
        ([str(SAMPLES / "gate.yaml"), "--tier", "fra=cloud"], "--tier names no backend 'fra'"),
        ([str(SAMPLES / "gate.yaml"), "--from", "nginx"], "nginx"),
    ],
)
def test_what_is_of_no_use_ends_with_2(line: list[str], words: str) -> None:
    done = run("import", *line)
    assert done.exit_code == 2
    assert words in done.stderr


def test_a_run_time_command_says_how_to_take_a_manifest_over() -> None:
    done = run("explain", str(SAMPLES / "gate.yaml"), "--model", "m")
    assert done.exit_code == 2
    assert "run `lockgate import" in done.output
