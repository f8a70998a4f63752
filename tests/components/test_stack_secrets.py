"""What a stack file keeps secret or leaves to its cluster: `check` and `plan` go without it."""

import json
from functools import partial

import pytest
from pulumi_lockgate.program import deploy

from tests.components.conftest import Run
from tests.components.program import tell

BACKENDS = "backends: [{ name: l, inferenceServiceRef: { name: s } }, { name: c, tier: cloud, external: { provider: litellm, model: m } }]"
STACK = f"""config:
  lockgate:litellmUrl: {{ secure: v1:aaaa }}
  lockgate:namespace: {{ name: shared, create: false }}
  lockgate:router:
    {BACKENDS}
    rules: [{{ name: s, match: {{ dataClassification: [pii, phi] }}, route: {{ backends: [l] }}, failClosed: true }}]
    defaultRoute: l
"""


@pytest.fixture
def run(run_on: Run) -> Run:
    return partial(run_on, text=STACK)


def test_a_secret_that_decides_nothing_is_named_and_the_rest_proved(run: Run) -> None:
    for name in ("check", "plan"):
        done = run(name)
        assert (done.exit_code, "PROVED" in done.stdout) == (0, True), done.output
    said = run("check").stderr
    assert "Pulumi.dev.yaml:2: config.lockgate:litellmUrl: is a secret" in said
    assert "`pulumi preview` reads it" in said
    assert "lockgate-unknown" not in run("plan").output


def test_a_leak_is_found_though_a_secret_is_not_shown(run: Run) -> None:
    leaks = STACK.replace("[pii, phi]", "[pii]").replace("defaultRoute: l", "defaultRoute: c")
    for name in ("check", "plan"):
        done = run(name, text=leaks)
        assert done.exit_code == 1
        assert "x-llmkube-classification: phi" in done.stdout


def test_a_secret_that_decides_is_refused_with_its_line(run: Run) -> None:
    decides = STACK.replace("defaultRoute: l", "defaultRoute: { secure: v1:bbbb }")
    for name in ("check", "plan"):
        done = run(name, text=decides)
        assert done.exit_code == 2
        assert "Pulumi.dev.yaml:7: config.lockgate:router.defaultRoute: is a secret" in done.stderr
        assert "run `pulumi preview`" in done.stderr


def test_an_existing_namespace_is_used_and_not_made(run: Run) -> None:
    plan = json.loads(run("plan", "--json").stdout)
    assert not [r for r in plan["resources"] if r["type"].endswith(":Namespace")]
    [account] = [r for r in plan["resources"] if r["type"].endswith("ServiceAccount")]
    assert account["inputs"]["metadata"]["namespace"] == "shared"
    made = json.loads(run("plan", "--json", text=STACK.replace("false", "true")).stdout)
    assert [r["name"] for r in made["resources"] if r["type"].endswith(":Namespace")] == [
        "namespace"
    ]
    for wrong, said in (("creat", "did you mean create?"), ("false, x: 1", "x: is not a field")):
        bad = STACK.replace(
            "create: false", f"{wrong}: false" if wrong == "creat" else f"create: {wrong}"
        )
        done = run("plan", text=bad)
        assert done.exit_code == 2
        assert said in done.stderr


def test_a_secret_that_the_engine_read_stays_one() -> None:
    import pulumi

    config = {
        "lockgate:litellmUrl": "https://hidden.example/v1",
        "lockgate:router": json.dumps(
            {
                "backends": [
                    {"name": "l", "inferenceServiceRef": {"name": "s"}},
                    {
                        "name": "c",
                        "tier": "cloud",
                        "external": {"provider": "litellm", "model": "m"},
                    },
                ],
                "defaultRoute": "l",
            }
        ),
    }

    def program() -> None:
        pulumi.runtime.config.set_all_config(config, ["lockgate:litellmUrl"])
        deploy()

    told = tell(program, preview=False)
    assert told.error is None
    assert "hidden.example" not in told.in_clear
    [policy] = [r["name"] for r in told.registered.values() if r["type"].endswith(":ConfigMap")]
    assert "hidden.example" in told.inputs(policy)["data"]["policy.json"]
    assert "hidden.example" not in "\n".join(told.log)
    assert told.outputs("lockgate")["verdict"].startswith("PROVED")


def test_a_whole_policy_that_is_secret_stays_one() -> None:
    import pulumi

    policy = {
        "backends": [{"name": "l", "inferenceServiceRef": {"name": "hidden-service"}}],
        "defaultRoute": "l",
    }

    def program() -> None:
        config = {"lockgate:router": json.dumps(policy)}
        pulumi.runtime.config.set_all_config(config, ["lockgate:router"])
        deploy()

    told = tell(program, preview=False)
    assert told.error is None
    assert "hidden-service" not in told.in_clear
