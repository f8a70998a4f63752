"""Secrets that the stack makes itself: encrypted in the file, in the state, and in what is shown."""

import base64
import json
from pathlib import Path

import pytest
from pulumi_lockgate.program import deploy
from pulumi_lockgate.stack.secrets import StackSecret

from tests.components.conftest import Run
from tests.components.program import tell

BACKENDS = "backends: [{ name: l, inferenceServiceRef: { name: s } }, { name: c, tier: cloud, external: { provider: litellm, model: m } }]"
CLOUD = f"""config:
  lockgate:namespace: {{ name: shared, create: false }}
  lockgate:secrets: {{ key: {{ OPENAI_API_KEY: {{ secure: v1:aaaa }} }} }}
  lockgate:router:
    {BACKENDS.replace("provider: litellm, model: m", "provider: openai, model: m, credentialsSecretRef: { name: key }")}
    rules: [{{ name: s, match: {{ dataClassification: [pii, phi] }}, route: {{ backends: [l] }}, failClosed: true }}]
    defaultRoute: l
"""
CANARY = "sk-CANARY"


def test_a_secret_of_the_stack_is_made_and_no_file_has_its_value(
    run_on: Run, tmp_path: Path
) -> None:
    done = run_on("plan", text=CLOUD)
    assert (done.exit_code, "PROVED" in done.stdout) == (0, True), done.output
    assert "+ Secret" in done.stdout
    assert "Secret key" not in done.stdout.partition("must exist")[2]
    plan = json.loads(run_on("plan", "--json", text=CLOUD).stdout)
    assert plan["outputs"]["policyDigest"].startswith("sha256:")
    assert "v1:aaaa" not in json.dumps(plan)
    # what controllers apply makes none, so it must exist for them
    done = run_on("plan", "--out", str(tmp_path / "out"), text=CLOUD)
    assert "Secret key with OPENAI_API_KEY in shared" in done.stdout
    assert not list((tmp_path / "out").glob("*-secret-*"))


def engine_config(**more: str) -> dict[str, str]:
    policy = {
        "backends": [
            {"name": "l", "inferenceServiceRef": {"name": "s"}},
            {
                "name": "c",
                "tier": "cloud",
                "external": {
                    "provider": "openai",
                    "model": "m",
                    "credentialsSecretRef": {"name": "key"},
                },
            },
        ],
        "defaultRoute": "l",
    }
    return {"lockgate:router": json.dumps(policy), **more}


def test_the_engine_makes_it_encrypted_in_its_state(run_on: Run) -> None:
    values = json.dumps({"key": {"OPENAI_API_KEY": CANARY}})
    for preview in (True, False):
        told = tell(
            deploy,
            preview=preview,
            config=engine_config(**{"lockgate:secrets": values}),
            secret=["lockgate:secrets"],
        )
        assert told.error is None
        assert told.inputs("secret-key")["data"] == {
            "OPENAI_API_KEY": base64.b64encode(CANARY.encode()).decode()
        }
        assert told.inputs("secret-key")["type"] == "Opaque"
        shown = told.in_clear + json.dumps(told.log)
        assert CANARY not in shown
        assert base64.b64encode(CANARY.encode()).decode() not in shown


def test_a_value_in_clear_is_refused_with_the_line_that_encrypts_it(run_on: Run) -> None:
    clear = CLOUD.replace("{ secure: v1:aaaa }", CANARY)
    for name in ("check", "plan"):
        done = run_on(name, text=clear)
        assert done.exit_code == 2
        assert "Pulumi.dev.yaml:3: config.lockgate:secrets.key.OPENAI_API_KEY: stands in clear" in done.stderr  # fmt: skip
        line = "`pulumi config set --secret --path 'lockgate:secrets.key.OPENAI_API_KEY'`"
        assert line in done.stderr
        assert CANARY not in done.output
    values = json.dumps({"key": {"OPENAI_API_KEY": CANARY}})
    told = tell(deploy, config=engine_config(**{"lockgate:secrets": values}))
    assert "stands in clear" in str(told.error)
    assert CANARY not in str(told.error)


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        (
            "{ key: { API_KEY: { secure: x } } }",
            "key: has no OPENAI_API_KEY, which backend c reads",
        ),
        ("{ Key: { A: { secure: x } } }", "'Key' is no name of a Secret"),
        ("{ key: { 'a b': { secure: x } } }", "'a b' is no key of a Secret"),
        ("{ key: { secure: x } }", "key: is no mapping of keys to values"),
        ("{ key: {} }", "key: is no mapping of keys to values"),
        ("[key]", "lockgate:secrets: is no mapping of Secrets"),
        ("{ key: { OPENAI_API_KEY: 7 } }", "key.OPENAI_API_KEY: stands in clear"),
    ],
)
def test_what_is_no_secret_is_refused(run_on: Run, secrets: str, said: str) -> None:
    done = run_on("plan", text=CLOUD.replace("{ key: { OPENAI_API_KEY: { secure: v1:aaaa } } }", secrets))  # fmt: skip
    assert (done.exit_code, said in done.stderr) == (2, True), done.output


def test_its_type_follows_its_keys() -> None:
    for keys, kind in (
        ((".dockerconfigjson",), "kubernetes.io/dockerconfigjson"),
        (("tls.crt", "tls.key"), "kubernetes.io/tls"),
        (("ca.crt", "tls.crt", "tls.key"), "Opaque"),
    ):
        assert StackSecret("x", dict.fromkeys(keys)).type == kind
