"""A foreign Pulumi program: what it may hand over, what is proved when, what the engine is told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi_lockgate as lockgate
import pytest
from pulumi.output import UNKNOWN
from pulumi_lockgate.proved_policy import NotKnownError

from tests.components.program import Told, tell

LOCAL = {"name": "local", "inferenceServiceRef": {"name": "qwen"}}
CLOUD = {"name": "cloud", "tier": "cloud", "external": {"provider": "openai", "model": "gpt-5"}}
LEAKS: dict[str, Any] = {"backends": [LOCAL, CLOUD], "defaultRoute": "cloud"}
HOLDS: dict[str, Any] = {
    "backends": [LOCAL, CLOUD],
    "rules": [
        {
            "name": "stays",
            "match": {"dataClassification": ["pii", "phi"]},
            "route": {"backends": ["local"]},
            "failClosed": True,
        }
    ],
    "defaultRoute": "cloud",
}
OBJECTS = {
    "ServiceAccount",
    "ConfigMap",
    "NetworkPolicy",
    "Deployment",
    "Service",
    "PodDisruptionBudget",
}


def later(value: Any) -> "pulumi.Output[Any]":
    """A value that only `up` knows."""
    return pulumi.Output.from_input(UNKNOWN if pulumi.runtime.is_dry_run() else value)


def policy_of(told: Told, name: str = "gate") -> Any:
    return told.inputs(policy_resource(told, name))["data"]["policy.json"]


def policy_resource(told: Told, name: str = "gate") -> str:
    """The router's newest policy ConfigMap: the one that its pods mount."""
    [digest] = told.inputs(f"{name}-deployment")["spec"]["template"]["metadata"][
        "annotations"
    ].values()
    return f"{name}-policy-{digest.removeprefix('sha256:')[:10]}"


def typed(url: Any = None) -> lockgate.Policy:
    local = lockgate.Backend.local("local", service="qwen")
    cloud = lockgate.Backend.cloud("cloud", provider="openai", model="gpt-5", url=url)
    stays = lockgate.Rule("stays", [local], data_classification=["pii", "phi"], fail_closed=True)
    return lockgate.Policy([local, cloud], [stays], default_route=cloud)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(HOLDS))
    return file


def test_a_path_a_dict_and_typed_specs_are_one_policy(path: Path) -> None:
    documents = set()
    for policy in (path, str(path), HOLDS, typed()):
        told = tell(lambda policy=policy: lockgate.ModelRouter("gate", policy, "agents"))
        assert told.kinds >= OBJECTS
        documents.add(policy_of(told))
    assert len(documents) == 1


@pytest.mark.parametrize("preview", [True, False])
@pytest.mark.parametrize(
    "policy",
    [
        lambda: LEAKS,
        lambda: pulumi.Output.from_input(LEAKS),
        lambda: {**LEAKS, "backends": [LOCAL, {**CLOUD, "external": {**CLOUD["external"], "url": pulumi.Output.from_input("https://x.example/v1")}}]},
    ],
    ids=["plain", "one Output", "an Output inside"],
)  # fmt: skip
def test_what_leaks_registers_nothing(policy: Callable[[], Any], preview: bool) -> None:
    told = tell(lambda: lockgate.ModelRouter("gate", policy()), preview=preview)
    assert "VIOLATED" in str(told.error)
    assert "curl" in str(told.error)
    assert told.registered == {}


def test_what_is_known_only_in_up_is_refused_there_before_anything_is_registered() -> None:
    def program() -> None:
        lockgate.ModelRouter("gate", {**HOLDS, "rules": later([])})

    preview = tell(program, preview=True)
    assert preview.error is None
    assert preview.outputs("gate")["verdict"].startswith("NOT PROVED yet")
    metadata = preview.inputs("gate-deployment")["metadata"]  # for those who transform it
    assert (metadata["name"], metadata["namespace"]) == ("gate-router-proxy", "default")
    assert preview.is_unknown(preview.inputs("gate-deployment")["spec"])
    [warning] = preview.warnings
    assert "rules" in warning
    up = tell(program, preview=False)
    assert "VIOLATED" in str(up.error)
    assert up.registered == {}


def test_an_unknown_address_leaves_the_rest_known_and_proved() -> None:
    def program() -> None:
        lockgate.ModelRouter("gate", typed(url=later("https://gpt.example/v1")), "agents")

    preview = tell(program, preview=True)
    assert preview.error is None
    verdict = preview.outputs("gate")["verdict"]
    assert verdict.startswith("PROVED")
    assert "backends[1].external.url" in verdict
    assert "lockgate-unknown" not in str(preview.registered)
    assert preview.inputs("gate-account")["metadata"]["namespace"] == "agents"
    [container] = preview.inputs("gate-deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"].startswith("ghcr.io/")
    assert preview.is_unknown(preview.inputs("gate-policy")["metadata"]["name"])
    assert preview.is_unknown(preview.inputs("gate-network-policy")["spec"])
    up = tell(program, preview=False)
    assert "https://gpt.example/v1" in policy_of(up)
    assert up.outputs("gate")["verdict"].splitlines()[-1].strip() == up.outputs("gate")["digest"]


def test_a_leak_is_seen_in_preview_though_an_address_is_not() -> None:
    def program() -> None:
        url = later("https://gpt.example/v1")
        cloud = lockgate.Backend.cloud("cloud", provider="openai", model="m", url=url)
        lockgate.ModelRouter("gate", {"backends": [cloud], "defaultRoute": "cloud"})

    told = tell(program, preview=True)
    assert "VIOLATED" in str(told.error)
    assert told.registered == {}


def test_an_address_that_may_not_be_local_is_refused_once_it_is_known() -> None:
    def program() -> None:
        local = lockgate.Backend.local("mac", url=later("https://api.example/v1"), model="m")
        lockgate.ModelRouter("gate", {"backends": [local], "defaultRoute": "mac"})

    assert tell(program, preview=True).error is None
    up = tell(program, preview=False)
    assert "not a private or cluster address" in str(up.error)
    assert up.registered == {}


def test_another_components_endpoint_is_known_in_preview() -> None:
    def program() -> None:
        qwen = lockgate.InferenceService(
            "qwen", "pvc://models/qwen.gguf", "models", image=later("r/x:1")
        )
        local = lockgate.Backend.local("local", url=qwen.endpoint, model="qwen")
        lockgate.ModelRouter("gate", {"backends": [local], "defaultRoute": "local"}, "agents")

    told = tell(program, preview=True)
    assert "http://qwen.models.svc.cluster.local:8080/v1" in policy_of(told)
    assert "models" in str(told.inputs("gate-network-policy")["spec"]["egress"])


def test_a_namespace_may_be_an_output_and_may_be_made_here() -> None:
    told = tell(lambda: lockgate.ModelRouter("gate", HOLDS, pulumi.Output.from_input("agents")))
    assert told.inputs("gate-deployment")["metadata"]["namespace"] == "agents"
    assert '"namespace":"agents"' in policy_of(told)
    assert "Namespace" not in told.kinds
    made = tell(lambda: lockgate.ModelRouter("gate", HOLDS, {"name": "agents"}))
    assert made.inputs("gate-namespace")["metadata"]["name"] == "agents"
    kept = tell(lambda: lockgate.ModelRouter("gate", HOLDS, {"name": "agents", "create": False}))
    assert "Namespace" not in kept.kinds
    unknown = tell(lambda: lockgate.ModelRouter("gate", HOLDS, later("agents")), preview=True)
    assert unknown.is_unknown(unknown.inputs("gate-account")["metadata"]["namespace"])
    assert "lockgate-unknown" not in str(unknown.registered)


def test_two_routers_share_a_program_and_a_namespace() -> None:
    def program() -> None:
        for name, space in (("one", "agents"), ("two", "agents"), ("three", "others")):
            lockgate.ModelRouter(name, HOLDS, space)
        lockgate.InferenceService("one", "pvc://models/x.gguf", "agents")

    told = tell(program)
    named = [
        (r["type"], r["inputs"]["metadata"].get("namespace"), r["inputs"]["metadata"]["name"])
        for r in told.registered.values()
        if "metadata" in r["inputs"]
    ]
    assert len(named) == 23
    assert len(set(named)) == 23


def test_a_secret_stays_one_and_is_in_no_log() -> None:
    def program() -> None:
        url = pulumi.Output.secret("https://hidden.example/v1")
        router = lockgate.ModelRouter("gate", typed(url=url), "agents")
        pulumi.export("gate", router.record)

    told = tell(program, preview=False)
    assert told.error is None
    assert told.is_secret(told.raw(policy_resource(told))["data"]["policy.json"])
    assert told.is_secret(told.raw_outputs("gate")["policy"])
    assert not told.is_secret(told.raw_outputs("gate")["digest"])
    assert not told.is_secret(told.raw("gate-deployment")["metadata"]["name"])
    assert "hidden.example" not in told.in_clear
    assert "hidden.example" not in "\n".join(told.log)
    refused = tell(
        lambda: lockgate.ModelRouter("gate", typed(url=pulumi.Output.secret("ftp://hidden")))
    )
    assert "external.url" in str(refused.error)
    assert "hidden" not in str(refused.error)


def test_providers_and_transformations_reach_every_object() -> None:
    import pulumi_kubernetes as kubernetes

    seen = []

    def program() -> None:
        cluster = kubernetes.Provider("other", enable_server_side_apply=False)

        def note(args: pulumi.ResourceTransformationArgs) -> None:
            seen.append(args.name)

        for name, opts in (
            ("one", pulumi.ResourceOptions(provider=cluster, transformations=[note])),
            ("two", pulumi.ResourceOptions(providers=[cluster])),
        ):
            lockgate.ModelRouter(name, HOLDS, opts=opts)
            lockgate.InferenceService(f"{name}-model", "pvc://m/x", opts=opts)

    told = tell(program)
    objects = [r for r in told.registered.values() if r["type"].startswith("kubernetes:")]
    assert {r["provider"].split("::")[-2] for r in objects} == {"other"}
    assert {"one", "one-deployment", "one-model-service"} <= set(seen)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: lockgate.Backend.local("Local"), "is not a name"),
        (lambda: lockgate.Backend.local("a", contextLenght=1), "did you mean contextLength?"),
        (lambda: lockgate.Backend.local("a", context_length=0), "is less than 1"),
        (lambda: lockgate.Backend.local("a", url="https://api.openai.com/v1"), "not a private or cluster address"),
        (lambda: lockgate.Backend.cloud("a", provider="opneai", model="m"), "did you mean openai?"),
        (lambda: lockgate.Backend.cloud("a", provider="openai", model="m", url="http://x.example"), "plain http to a cloud backend"),
        (lambda: lockgate.Rule("r", []), "route.backends"),
        (lambda: lockgate.Rule("r", ["a"], models=["[a"]), "is not a pattern"),
        (lambda: lockgate.Rule("r", ["a"], strategy="weigthed"), "did you mean weighted?"),
        (lambda: lockgate.Rule("r", ["a", "a"]), "stands twice"),
        (lambda: lockgate.Rule("r", ["a"], failClosd=True), "did you mean failClosed?"),
        (lambda: lockgate.Policy([]), "backends"),
        (lambda: lockgate.Policy([lockgate.Backend.local("a")], default_route="b"), "there is no backend 'b'"),
        (lambda: lockgate.Policy([lockgate.Backend.local("a")], default_rout="a"), "is not a field"),
        (lambda: lockgate.InferenceService("m", "hf://x/y"), "is a folder"),
        (lambda: lockgate.InferenceService("m", "pvc://x/y", paralel_slots=1), "is not a field"),
        (lambda: lockgate.ModelRouter("gate", {"rules": []}), "backends: is missing"),
        (lambda: lockgate.ModelRouter("gate", "no/such.yaml"), "cannot be read"),
        (lambda: lockgate.ModelRouter("gate", 7), "a int is no policy"),
    ],
)  # fmt: skip
def test_a_fault_is_told_where_it_is_made(make: Callable[[], Any], said: str) -> None:
    told = tell(make)
    assert isinstance(told.error, pulumi.RunError), told.error
    assert said in str(told.error)
    assert told.registered == {}


def test_a_backend_may_be_said_as_a_file_says_it() -> None:
    local = lockgate.Backend.local("a", inference_service_ref={"name": "qwen"})
    assert local.wire == lockgate.Backend.local("a", service="qwen").wire | {"tier": "local"}
    near = {"provider": "openai", "model": "m", "url": "http://10.0.0.7:8080/v1"}
    assert lockgate.Backend.local("b", external=near).wire["external"] == near


def test_a_rule_for_labels_of_its_own_is_no_fault() -> None:
    lockgate.Rule(
        "r", ["a", "b"], data_classification=["secret-sauce", "pii"], retry="connect-only"
    )
    lockgate.Rule("r", ["a", "b"], required_capabilities=["vision"], strategy="shadow")


def test_only_a_proof_makes_a_proved_policy() -> None:
    import copy

    with pytest.raises(TypeError, match="in no other way"):
        lockgate.ProvedPolicy(object(), None, None, None, None)  # type: ignore[arg-type]
    made: list[Any] = []
    told = tell(lambda: made.append(lockgate.prove_policy(loaded())))
    assert told.error is None
    [proved] = made
    with pytest.raises(AttributeError):
        proved.policy = None
    with pytest.raises(AttributeError):
        copy.copy(proved)
    told = tell(lambda: lockgate.ModelRouter("gate", proved, "agents"))
    assert policy_of(told) == proved.policy.json.decode()
    assert issubclass(NotKnownError, pulumi.RunError)


def loaded() -> Any:
    from lockgate.policy.reading.document import from_plain
    from lockgate.policy.reading.load import load_tree

    return load_tree(from_plain(HOLDS), "", "policy")


def test_a_router_is_held_to_what_it_last_put_out() -> None:
    narrow = {**HOLDS, "defaultRoute": "local"}

    def program(policy: Any) -> Callable[[], None]:
        def run() -> None:
            for name in ("gate", "other"):
                router = lockgate.ModelRouter(name, policy if name == "gate" else HOLDS)
                pulumi.export(name, router.record)

        return run

    last = tell(program(narrow)).exported
    widened = tell(program(HOLDS), deployed=last)
    assert "WIDENING NOT ACCEPTED" in str(widened.error)
    assert widened.registered == {}
    assert tell(program(narrow), deployed=last).error is None


def test_earlier_policies_stay_for_a_rollback_as_many_as_are_asked_for() -> None:
    def policy(number: int) -> dict[str, Any]:
        labels = {"mode": "header-only", "headerKey": f"x-label-{number}"}
        kept = {"proxy": {"revisionHistoryLimit": 2}}
        return {**HOLDS, "policy": {"classification": labels}, **kept}

    def program(number: int) -> Callable[[], None]:
        def run() -> None:
            accepted = seen[-1].error.widening.acceptance if seen and seen[-1].error else None  # type: ignore[union-attr]
            router = lockgate.ModelRouter("gate", policy(number), accepted_widening=accepted)
            pulumi.export("gate", router.record)

        return run

    def kept(told: Told) -> list[str]:
        names = [r["name"] for r in told.registered.values() if r["type"].endswith(":ConfigMap")]
        return [name.removeprefix("gate-policy-") for name in names]

    seen: list[Told] = []
    deployed: dict[str, Any] = {}
    current: list[str] = []
    for number in (1, 2, 3, 4, 1, 1):
        seen.append(tell(program(number), deployed=deployed))
        if seen[-1].error is not None:  # another header key is a widening: it says its digest
            seen.append(tell(program(number), deployed=deployed))
        assert seen[-1].error is None
        deployed = seen[-1].exported
        current.append(policy_resource(seen[-1]).removeprefix("gate-policy-"))
        now = dict.fromkeys(reversed(current))
        assert sorted(kept(seen[-1])) == sorted(list(now)[:3])
    aliases = [
        r["aliases"] for r in seen[-1].registered.values() if r["type"].endswith(":ConfigMap")
    ]
    assert aliases.count(["gate-policy"]) == 1  # the one that a stack had before
