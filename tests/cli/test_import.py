"""`lockgate import` through its door: streams, exit statuses, what check makes of a manifest."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lockgate.cli import policies
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
    said = done.stderr.partition("\nPROVED")[0].partition("\nVIOLATED")[0]
    assert said.rstrip() == direct.stderr.rstrip()
    assert "canary-value" not in done.output + direct.output


def test_each_difference_is_one_line_with_file_line_path_and_kind() -> None:
    sample = SAMPLES / "short.yaml"
    lines = run("import", str(sample)).stderr.splitlines()
    place = f"{sample}:16: spec.rules[0].timeout: changed: is timeouts.firstToken 8s: "
    assert any(place in line for line in lines)
    told = [line for line in lines if line.startswith(f"{sample}:")]
    kinds = [line.split(": ")[2] for line in told]
    assert set(kinds) <= {"changed", "exact"}
    assert kinds == sorted(kinds), "by weight"


def test_the_end_is_the_verdict_and_the_next_three_commands() -> None:
    lines = run("import", str(SAMPLES / "short.yaml")).stderr.splitlines()
    assert lines[-5].startswith("VIOLATED: ")
    assert lines[-4] == "next, with this output in lockgate.yaml:"
    words = [line.split()[:2] for line in lines[-3:]]
    assert [word for _, word in words] == ["check", "explain", "serve"]
    assert all(program.endswith("lockgate") for program, _ in words)


def test_a_leak_of_a_manifest_is_shown_before_it_is_moved() -> None:
    done = run("check", str(SAMPLES / "short.yaml"))
    assert done.exit_code == 1
    assert "x-llmkube-classification: phi" in done.stdout
    assert run("check", str(SAMPLES / "gate.yaml")).exit_code == 0


def test_what_is_refused_is_left_out_and_the_rest_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out.yaml"
    bad = str(SAMPLES / "bad-gate.yaml")
    done = run("import", bad, "--out", str(out))
    assert (done.exit_code, done.stdout) == (3, "")
    assert "spec.rules[0].route.backends[0]: left out: 'far' is a cloud backend" in done.stderr
    assert run("check", str(out)).exit_code in {0, 1}
    assert "next:\n" in done.stderr
    checked = run("check", bad)
    assert (checked.exit_code, "rules[0].route.backends[0]" in checked.stderr) == (2, True)


def test_where_nothing_could_be_written_there_is_no_config_and_2(tmp_path: Path) -> None:
    source, out = tmp_path / "c.yaml", tmp_path / "o.yaml"
    entry = "{ model_name: a, litellm_params: { model: bedrock/claude } }"
    source.write_text(f"model_list: [{entry}]\n")
    done = run("import", str(source), "--out", str(out))
    assert (done.exit_code, done.stdout, out.exists()) == (2, "", False)
    assert done.stderr.splitlines()[-1] == "nothing could be written"
    assert json.loads(run("import", str(source), "--json").stdout)["config"] is None


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
    assert shown["config"]["lockgate:namespace"] == {"name": "models", "create": False}
    assert {d["kind"] for d in shown["differences"]} <= {"changed", "exact"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["/nowhere.yaml"], "/nowhere.yaml: cannot be read"),
        ([str(SAMPLES / "gate.yaml"), "--tier", "far"], "is not NAME=local or NAME=cloud"),
        ([str(SAMPLES / "gate.yaml"), "--from", "nginx"], "nginx"),
    ],
)
def test_what_is_of_no_use_ends_with_2(line: list[str], words: str) -> None:
    done = run("import", *line)
    assert done.exit_code == 2
    assert words in done.stderr


def test_a_tier_for_nobody_is_said_and_the_rest_is_written() -> None:
    done = run("import", str(SAMPLES / "gate.yaml"), "--tier", "fra=cloud")
    assert done.exit_code == 3
    assert "--tier names no backend 'fra'" in done.stderr


def test_a_command_that_reads_a_policy_reads_a_manifest_as_check_does() -> None:
    done = run("explain", str(SAMPLES / "gate.yaml"), "--model", "m")
    assert done.exit_code == 0, done.output
    digest = json.loads(run("check", str(SAMPLES / "gate.yaml"), "--json").stdout)["digest"]
    assert digest in done.stdout


def test_the_proxy_alone_says_how_to_take_a_manifest_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "find_spec", lambda _: None)
    done = run("explain", str(SAMPLES / "gate.yaml"), "--model", "m")
    assert done.exit_code == 2
    assert "run `lockgate import" in done.output
