"""What widens passes only where the stack accepts that very list: in `plan`, and in the program."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lockgate.policy.reading.load import load_policy
from pulumi_lockgate.proved_policy import WideningNotAcceptedError
from pulumi_lockgate.stack.evaluate import Plan, evaluate, read_stack
from pulumi_lockgate.widening import KEY

ROOT = Path(__file__).parent.parent.parent
ACCEPTANCE = re.compile(r"widening:[0-9a-f]{64}")
OTHER = "widening:" + "0" * 64
TO_CLOUD = "route: {backends: [cloud-gpt, local-qwen]}"
STAYS = "route: {backends: [local-qwen]}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of its own with the stacks, and beside it what was deployed before."""
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks")
    old = stack(tmp_path).read_text()
    assert TO_CLOUD in old
    (tmp_path / "deployed.yaml").write_text(old.replace(TO_CLOUD, STAYS))
    return tmp_path


def stack(project: Path) -> Path:
    return project / "stacks" / "Pulumi.dev.yaml"


def plan(project: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    run = [sys.executable, "-m", "lockgate.cli.main", "plan", "dev", *arguments]
    return subprocess.run(run, capture_output=True, text=True, check=False, cwd=project, timeout=60)


def accept(project: Path, digest: str) -> None:
    held = stack(project).read_text()
    stack(project).write_text(held.replace("config:\n", f"config:\n  {KEY}: {digest}\n", 1))


def acceptance_of(project: Path) -> str:
    done = plan(project, "--against", "deployed.yaml")
    return ACCEPTANCE.findall(done.stdout)[-1]


def test_without_a_base_there_is_nothing_to_compare(project: Path) -> None:
    done = plan(project)
    assert done.returncode == 0, done.stderr
    assert "nothing to compare" in done.stdout
    assert "--against" in done.stdout
    assert json.loads(plan(project, "--json").stdout)["change"] == {
        "passed": True,
        "widens": False,
        "acceptance": None,
        "diff": None,
    }


def last(shown: str) -> str:
    """Return the last line on what changed: what must exist in the cluster stands after it."""
    return shown.partition("\n\nmust exist in the cluster:")[0].splitlines()[-1]


def test_a_widening_ends_with_3_and_the_line_to_write(project: Path) -> None:
    done = plan(project, "--against", "deployed.yaml")
    assert done.returncode == 3
    assert "WIDENS" in done.stdout
    assert "cloud-gpt (https://api.openai.com/v1) can be reached and could not" in done.stdout
    assert last(done.stdout) == f"  pulumi config set {KEY} {acceptance_of(project)} --stack dev"
    change = json.loads(plan(project, "--against", "deployed.yaml", "--json").stdout)["change"]
    assert change["passed"] is False
    assert change["diff"]["widens"] is True


def test_the_accepted_policy_passes_and_no_other(project: Path) -> None:
    digest = acceptance_of(project)
    accept(project, OTHER)
    done = plan(project, "--against", "deployed.yaml")
    assert done.returncode == 3
    assert f"the stack accepts another list than this one,\n{OTHER}" in done.stdout
    assert last(done.stdout).endswith(f"{digest} --stack dev")
    stack(project).write_text(stack(project).read_text().replace(OTHER, digest))
    done = plan(project, "--against", "deployed.yaml")
    assert done.returncode == 0
    assert "WIDENING ACCEPTED" in done.stdout


def test_what_narrows_passes_and_a_stale_acceptance_is_named(project: Path) -> None:
    shutil.copy(stack(project), project / "wider.yaml")
    shutil.copy(project / "deployed.yaml", stack(project))
    done = plan(project, "--against", "wider.yaml")
    assert done.returncode == 0
    assert "NARROWS" in done.stdout
    assert "stale" not in done.stdout
    accept(project, OTHER)
    done = plan(project, "--against", "wider.yaml")
    assert done.returncode == 0
    assert f"{KEY} is stale" in done.stdout
    assert last(done.stdout) == f"  pulumi config rm {KEY} --stack dev"


def test_a_leak_ends_with_1_before_any_comparison(project: Path) -> None:
    stack(project).write_text(stack(project).read_text().replace("[pii, phi]", "[pii]"))
    done = plan(project, "--against", "deployed.yaml")
    assert done.returncode == 1
    assert "VIOLATED" in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("rules: []\n", "backends: is missing"),
        ('{"policyDigest": "sha256:00", "url": "http://x"}', "policy: is not among the stack's outputs"),
        ('{"version": 3, "deployment": {}}', "policy: is not among the stack's outputs"),
        ('{"policyDigest": "sha256:00", "policy": "[secret]"}', "policy: is hidden in the stack's outputs; ask with --show-secrets"),
        ('{"policy": "backends: {}"}', "output policy"),
    ],
)  # fmt: skip
def test_a_base_that_cannot_be_read_ends_with_2(project: Path, text: str | None, said: str) -> None:
    base = project / "base.json"
    if text is not None:
        base.write_text(text)
    done = plan(project, "--against", str(base))
    assert done.returncode == 2, done.stdout
    assert said in done.stderr


def test_what_pulumi_prints_of_a_stack_is_a_base(project: Path) -> None:
    outputs = json.loads(plan(project, "--json").stdout)["outputs"]
    export = {"version": 3, "deployment": {"resources": [
        {"type": "kubernetes:core/v1:ConfigMap", "outputs": {}},
        {"type": "pulumi:pulumi:Stack", "outputs": outputs},
    ]}}  # fmt: skip
    for document in (outputs, export, json.loads(outputs["policy"])):
        (project / "base.json").write_text(json.dumps(document))
        done = plan(project, "--against", "base.json")
        assert done.returncode == 0, done.stderr
        assert "UNCHANGED" in done.stdout
    assert plan(project, "--against", "dev").returncode == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("acceptWidening", "acceptWidenning", "did you mean lockgate:acceptWidening?"),
        (OTHER, "widening:12ab", "'widening:12ab' accepts no list"),
        (OTHER, "sha256:" + "0" * 64, "accepts no list"),
        (OTHER, "[1]", "acceptWidening"),
    ],
)
def test_an_acceptance_is_typed(project: Path, old: str, new: str, said: str) -> None:
    accept(project, OTHER)
    stack(project).write_text(stack(project).read_text().replace(old, new))
    done = plan(project)
    assert done.returncode == 2
    [line] = [n for n, t in enumerate(stack(project).read_text().splitlines(), 1) if "accept" in t]
    assert f"Pulumi.dev.yaml:{line}: config.lockgate:accept" in done.stderr
    assert said in done.stderr


# -- the program itself, under Pulumi's mock runtime


def config(project: Path, **more: str) -> dict[str, Any]:
    return {
        **read_stack(stack(project)),
        **{f"lockgate:{key}": value for key, value in more.items()},
    }


def deployed(project: Path) -> Plan:
    return evaluate("dev", read_stack(project / "deployed.yaml"))


def test_the_program_refuses_to_widen_what_it_last_put_out(project: Path) -> None:
    last = deployed(project).outputs
    with pytest.raises(WideningNotAcceptedError) as refused:
        evaluate("dev", config(project), last)
    text = str(refused.value)
    digest = refused.value.widening.acceptance
    assert text.splitlines()[-1] == f"  pulumi config set {KEY} {digest} --stack dev"
    assert "\x1b" not in text
    accepted = evaluate("dev", config(project, acceptWidening=digest), last)
    assert accepted.outputs["policyDigest"] == refused.value.widening.digest
    with pytest.raises(WideningNotAcceptedError, match="accepts another list"):
        evaluate("dev", config(project, acceptWidening=OTHER), last)


def test_the_program_passes_what_narrows_and_a_first_deployment(project: Path) -> None:
    wider = evaluate("dev", config(project))
    narrower = evaluate("dev", read_stack(project / "deployed.yaml"), wider.outputs)
    assert json.loads(narrower.outputs["policy"]) == json.loads(narrower.policy_json)
    assert evaluate("dev", config(project), {"somethingElse": "x"}).resources


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda held: {"policyDigest": held["policyDigest"]}, "hold no readable `policy`"),
        (lambda held: {**held, "policy": '{"backends": [], "later": 1}'}, "does not load in this version"),
        (lambda held: {**held, "policy": {"secret": True}}, "hold no readable `policy`"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_counts_as_widening(
    project: Path, change: Callable[[Any], Any], said: str
) -> None:
    last = evaluate("dev", config(project)).outputs
    with pytest.raises(WideningNotAcceptedError, match="counts as widening") as refused:
        evaluate("dev", config(project), change(dict(last)))
    assert said in str(refused.value)
    digest = refused.value.widening.acceptance
    assert evaluate("dev", config(project, acceptWidening=digest), change(dict(last))).resources


# -- the list, and what it is made of


def test_an_accepted_list_lets_nothing_else_pass(project: Path) -> None:
    accept(project, acceptance_of(project))
    assert plan(project, "--against", "deployed.yaml").returncode == 0
    text = stack(project).read_text()
    more = text.replace(
        "  lockgate:router:\n", "  lockgate:router:\n    endpoint: { type: LoadBalancer }\n"
    )
    assert more != text
    stack(project).write_text(more)
    done = plan(project, "--against", "deployed.yaml")
    assert done.returncode == 3
    assert "accepts another list" in done.stdout
    assert "who may call: endpoint.type: the Service was ClusterIP, is LoadBalancer" in done.stdout


def test_what_is_not_in_policy_json_is_compared_with_what_the_stack_put_out(project: Path) -> None:
    last = evaluate("dev", config(project)).outputs
    text = stack(project).read_text()
    image = text.replace("    proxy:\n", "    proxy:\n      image: evil.example/p:1\n", 1)
    assert image != text
    stack(project).write_text(image)
    with pytest.raises(WideningNotAcceptedError, match=r"image was .*, and is evil\.example/p:1"):
        evaluate("dev", config(project), last)
    silent = {key: value for key, value in last.items() if key != "enforcer"}
    assert evaluate("dev", config(project), silent).resources
    (project / "base.json").write_text(json.dumps(silent))
    done = plan(project, "--against", "base.json")
    assert (done.returncode, "not compared" in done.stdout) == (0, True)
    (project / "base.json").write_text(json.dumps(dict(last)))
    assert plan(project, "--against", "base.json").returncode == 3


def test_each_thing_that_widens_is_a_result_in_the_code_view(project: Path) -> None:
    file = project / "plan.sarif"
    assert plan(project, "--against", "deployed.yaml", "--sarif", str(file)).returncode == 3
    (run,) = json.loads(file.read_text())["runs"]
    (result,) = run["results"]
    assert result["ruleId"] == "lockgate/widening"
    assert "cloud-gpt (https://api.openai.com/v1) can be reached" in result["message"]["text"]
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] > 1
    accept(project, acceptance_of(project))
    assert plan(project, "--against", "deployed.yaml", "--sarif", str(file)).returncode == 0
    assert json.loads(file.read_text())["runs"][0]["results"] == []


def test_one_stack_has_one_digest_wherever_it_is_said(project: Path, tmp_path: Path) -> None:
    document = json.loads(plan(project, "--json").stdout)
    digest = document["outputs"]["policyDigest"]
    (tmp_path / "policy.json").write_text(document["outputs"]["policy"])
    annotated = [
        resource["inputs"]["metadata"]["annotations"]["lockgate.dev/policy-digest"]
        for resource in document["resources"]
        if resource["type"].endswith(":ConfigMap")
    ]
    checked = json.loads(run(project, "check", "dev", "--json").stdout)["digest"]
    assert {digest, *annotated, checked} == {digest}
    for named in ("policy.json", "dev", str(stack(project))):
        served = run(project, "explain", named, "--model", "m", "--json")
        assert json.loads(served.stdout)["policy_digest"] == digest
    # what `lockgate serve --policy FILE` reads, with and without the plan-time package
    assert load_policy(stack(project).read_bytes(), "stack").digest == digest


def run(project: Path, *line: str) -> "subprocess.CompletedProcess[str]":
    whole = [sys.executable, "-m", "lockgate.cli.main", *line]
    return subprocess.run(
        whole, capture_output=True, text=True, check=False, cwd=project, timeout=60
    )
