"""What `plan` writes to folders for GitOps, and when it writes nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner, Result
from lockgate.cli.main import cli
from pulumi_lockgate.written import INSTALL, MARK, PARAMETER, PROOF

from tests.cli.test_refusals import GOOD
from tests.support.project import project

Plan = Callable[..., Result]


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Plan the text of a stack file in a project of its own, which is the working directory."""
    file = project(tmp_path, monkeypatch, GOOD)

    def run(text: str, *words: str) -> Result:
        file.write_text(text)
        return CliRunner().invoke(cli, ["plan", "dev", *words])

    return run


def manifests(folder: str) -> list[dict[str, Any]]:
    files = sorted(Path(folder).glob("*.yaml"))
    return [one for file in files for one in yaml.safe_load_all(file.read_text())]


def test_beside_the_manifests_stands_the_proof_and_nothing_else_that_is_read(plan: Plan) -> None:
    done = plan(GOOD, "--out", "out")
    text = (Path("out") / PROOF).read_text()
    assert text.startswith("stack dev: ")
    assert "PROVED: no request marked sensitive" in text
    assert "what the network policies open:" in text
    assert "\x1b" not in text
    shown = [line for line in done.output.splitlines() if "written to" not in line]
    assert text.splitlines() == shown
    assert {file.suffix for file in Path("out").iterdir()} == {".yaml", ".txt"}


def test_what_is_gone_is_taken_away_and_what_is_not_ours_stays(plan: Plan) -> None:
    plan(GOOD, "--out", "out")
    [before] = [one.name for one in Path("out").glob("*configmap*")]
    theirs = Path("out") / "01-theirs.yaml"
    theirs.write_text("kind: ConfigMap\n")
    (Path("out") / "kustomization.yaml").write_text("resources: []\n")
    (Path("out") / "02-bytes.yaml").write_bytes(b"\xff\xfe")
    plan(GOOD.replace("taskComplexity: complex", "taskComplexity: simple"), "--out", "out")
    [after] = [one.name for one in Path("out").glob("*configmap*")]
    assert before != after
    assert theirs.exists()
    kinds = [yaml.safe_load(f.read_text())["kind"] for f in Path("out").glob("*.yaml") if f.read_bytes().startswith(MARK.encode())]  # fmt: skip
    assert kinds.count("ConfigMap") == 1
    assert (Path("out") / "kustomization.yaml").exists()


def test_a_hundred_objects_keep_their_order(plan: Plan) -> None:
    model = "    qwen:\n      modelRef: pvc://models/qwen.gguf\n      gpu: 1\n"
    more = "".join(model.replace("qwen:", f"m{number}:") for number in range(25))
    assert plan(GOOD.replace(model, model + more), "--out", "out").exit_code == 0
    names = sorted(file.name for file in Path("out").glob("*.yaml"))
    assert len(names) > 100
    numbers = [int(name.partition("-")[0]) for name in names]
    assert numbers == list(range(len(names)))


def test_admission_is_what_an_administrator_installs_and_what_the_pipeline_writes(
    plan: Plan,
) -> None:
    done = plan(GOOD, "--admission", "admission", "--out", "out")
    assert done.exit_code == 0, done.output
    [config] = [one for one in manifests("out") if one["kind"] == "ConfigMap"]
    [parameter] = list(yaml.safe_load_all((Path("admission") / PARAMETER).read_text()))
    name = config["metadata"]["name"]
    assert parameter["data"] == {name: config["data"]["policy.json"]}
    installed = list(yaml.safe_load_all((Path("admission") / INSTALL).read_text()))
    for one in (*installed, parameter):
        kubernetes_validate.validate(one, "1.34", strict=True)
    kinds = [one["kind"] for one in installed]
    assert kinds.count("ValidatingAdmissionPolicy") == 3
    bound = [one["spec"] for one in installed if one["kind"] == "ValidatingAdmissionPolicyBinding"]
    space = "kubernetes.io/metadata.name"
    ours = [
        one
        for one in bound
        if one["matchResources"]["namespaceSelector"]["matchLabels"][space] == "agents"
    ]
    assert (len(ours), len(bound)) == (3, 4)
    where = {"name": parameter["metadata"]["name"], "namespace": parameter["metadata"]["namespace"]}
    references = [one["paramRef"] for one in ours if "paramRef" in one]
    assert references == [{**where, "parameterNotFoundAction": "Deny"}] * 2


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        (GOOD.replace("match: { dataClassification: [pii, phi] }", "match: { dataClassification: [pii] }"), 1, ""),
        (GOOD.replace("failClosed", "failClosd"), 2, ""),
        (GOOD.replace("taskComplexity: complex, ", ""), 3, "admission: not written: what widens is not accepted"),
        (GOOD.replace("model: gpt-5", "model: { secure: v1:x }"), 2, "admission: not written: no policy is wholly known before `up`"),
    ],
    ids=["leaks", "refused", "widens", "a secret in it"],
)  # fmt: skip
def test_what_is_not_proved_and_accepted_gives_admission_nothing(
    plan: Plan, text: str, status: int, said: str
) -> None:
    Path("base.yaml").write_text(GOOD)
    against = ["--against", "base.yaml"] if status == 3 else []
    done = plan(text, "--admission", "admission", *against)
    assert (done.exit_code, said in done.stderr) == (status, True), done.output
    assert not Path("admission").exists()


@pytest.mark.parametrize("option", ["--out", "--admission"])
def test_a_folder_that_cannot_be_made_ends_with_2(plan: Plan, option: str) -> None:
    Path("file").write_text("")
    done = plan(GOOD, option, "file/under")
    assert done.exit_code == 2
    assert "file/under: cannot be written" in done.stderr
