"""A model that lies elsewhere: what its pods fetch, where it stays, whom they may connect to."""

import json
from typing import Any

import pytest
from pulumi_lockgate import InferenceService

from tests.components.conftest import Run
from tests.components.program import tell
from tests.components.test_models import STACK, objects, pod

HEX = "a" * 64
HF = "hf://org/repo@v1/q4/m.gguf"


def fetched(**model: Any) -> dict[str, Any]:
    [made] = pod(**model)["initContainers"]
    return dict(made)


@pytest.mark.parametrize(
    ("model", "words", "given"),
    [
        ({"modelRef": HF}, ["--file", "m.gguf"], "/m.gguf"),
        (
            {"modelRef": "https://h.example/m.gguf", "fetch": {"sha256": HEX.upper()}},
            ["--sha256", HEX, "--file", "m.gguf"],
            "/m.gguf",
        ),
        (
            {"modelRef": "s3://bucket/llm/", "fetch": {"file": "q/m.gguf", "region": "eu-west-1"}},
            ["--file", "q/m.gguf", "--region", "eu-west-1"],
            "/q/m.gguf",
        ),
        (
            {"modelRef": "oci://r.example/a/b:v1", "fetch": {"endpoint": "https://mirror.svc"}},
            ["--file", "model.gguf", "--endpoint", "https://mirror.svc"],
            "/model.gguf",
        ),
        ({"modelRef": "hf://org/repo", "runtime": "vllm"}, [], ""),
    ],
)
def test_a_pod_fetches_what_its_server_reads(
    model: dict[str, Any], words: list[str], given: str
) -> None:
    made = fetched(**model)
    verb, source, to, folder, *more = made["args"]
    assert (verb, source, to) == ("fetch", model["modelRef"], "--to")
    assert more == words
    [server] = pod(**model)["containers"]
    assert folder + given in server["args"]
    assert folder.startswith("/models/")
    assert made["image"].startswith("ghcr.io/lockgate/lockgate-proxy:")
    mounts = {one["mountPath"]: one.get("readOnly", False) for one in made["volumeMounts"]}
    assert mounts == {"/models": False}
    assert {"name": "model", "mountPath": "/models", "readOnly": True} in server["volumeMounts"]
    assert made["securityContext"]["readOnlyRootFilesystem"] is True


def test_another_reference_is_another_folder() -> None:
    def folder(ref: str, **fetch: Any) -> str:
        return str(fetched(modelRef=ref, fetch=fetch)["args"][3])

    pinned = "hf://org/repo@v2/q4/m.gguf"
    assert (
        len({folder(HF), folder(pinned), folder(HF, sha256=HEX), folder(HF, sha256="b" * 64)}) == 4
    )
    assert folder(HF) == folder(HF, timeout="2h", cache={"size": "1Gi"})


@pytest.mark.parametrize(
    ("cache", "volume"),
    [
        (None, {"emptyDir": {}}),
        ({"existing": "shared"}, {"persistentVolumeClaim": {"claimName": "shared"}}),
        ({"size": "100Gi"}, {"persistentVolumeClaim": {"claimName": "qwen-models"}}),
    ],
)
def test_files_stay_where_the_stack_says(cache: Any, volume: dict[str, Any]) -> None:
    fetch = {} if cache is None else {"cache": cache}
    [model] = [v for v in pod(modelRef=HF, fetch=fetch)["volumes"] if v["name"] == "model"]
    assert model == {"name": "model", **volume}


def test_a_claim_is_made_where_one_is_wanted() -> None:
    cache = {"size": "100Gi", "storageClass": "fast", "accessMode": "ReadWriteMany"}
    made = objects(modelRef=HF, replicas=2, fetch={"cache": cache})
    spec = made["PersistentVolumeClaim qwen-models"]["spec"]
    assert spec == {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "100Gi"}},
        "storageClassName": "fast",
    }
    for other in ({}, {"cache": {"existing": "shared"}}):
        assert "PersistentVolumeClaim qwen-models" not in objects(modelRef=HF, fetch=other)


def test_credentials_and_authorities_are_files_that_only_the_fetching_sees(run_on: Run) -> None:
    fetch = {"credentialsSecretRef": {"name": "hub"}, "caConfigMapRef": {"name": "ours"}}
    made = pod(modelRef=HF, fetch=fetch)
    [init], [server] = made["initContainers"], made["containers"]
    assert init["args"][-4:] == [
        "--credentials", "/etc/lockgate/fetch/credentials", "--ca", "/etc/lockgate/fetch/ca/ca.crt",
    ]  # fmt: skip
    paths = [one["mountPath"] for one in server["volumeMounts"]]
    assert not [path for path in paths if path.startswith("/etc/lockgate")]
    assert "env" not in init

    model = json.dumps({"modelRef": HF, "fetch": fetch})
    plan = run_on("plan", text=STACK % model).stdout
    assert "Secret hub in lockgate: for Deployment qwen" in plan
    assert "kubectl -n lockgate create secret generic hub --from-literal=KEY=VALUE" in plan
    assert "ConfigMap ours with ca.crt in lockgate: for Deployment qwen" in plan
    assert "kubectl -n lockgate create configmap ours --from-file=ca.crt" in plan


def egress(**model: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = objects(**model)["NetworkPolicy qwen"]["spec"]["egress"]
    return found


def test_pods_may_connect_to_dns_and_to_where_the_model_is_and_nowhere_else() -> None:
    assert egress(modelRef="pvc://models/m.gguf") == []
    lookups, out = egress(modelRef=HF)
    assert {one["port"] for one in lookups["ports"]} == {53}
    assert out["ports"] == [{"port": 443, "protocol": "TCP"}]
    everywhere = {one["ipBlock"]["cidr"]: one["ipBlock"]["except"] for one in out["to"]}
    assert "10.0.0.0/8" in everywhere["0.0.0.0/0"]
    assert "169.254.0.0/16" in everywhere["0.0.0.0/0"]


@pytest.mark.parametrize(
    ("fetch", "ref", "port", "peer"),
    [
        ({"egress": ["10.2.0.0/16"]}, HF, 443, {"ipBlock": {"cidr": "10.2.0.0/16"}}),
        ({"endpoint": "https://10.1.2.3:9000"}, "s3://abc/m.gguf", 9000, {"ipBlock": {"cidr": "10.1.2.3/32"}}),
        ({"endpoint": "http://minio.storage.svc:9000"}, "s3://abc/m.gguf", None, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "storage"}}}),
        ({"egress": ["10.2.0.0/16"]}, "oci://r.example:5000/a:v1", 5000, {"ipBlock": {"cidr": "10.2.0.0/16"}}),
    ],
)  # fmt: skip
def test_a_mirror_in_private_space_keeps_them_in(
    fetch: dict[str, Any], ref: str, port: int | None, peer: dict[str, Any]
) -> None:
    _, out = egress(modelRef=ref, fetch=fetch)
    assert out["to"] == [peer]
    assert [one["port"] for one in out.get("ports", [])] == ([] if port is None else [port])


def test_every_plan_says_that_they_may_connect(run_on: Run) -> None:
    def said(model: str) -> str:
        return " ".join(run_on("plan", text=STACK % model).stdout.split())

    opened = "the pods of model server qwen may connect to 443/TCP of everywhere but private"
    assert opened in said(f"{{ modelRef: '{HF}' }}")
    mirror = said(f"{{ modelRef: '{HF}', fetch: {{ egress: [10.2.0.0/16] }} }}")
    assert "qwen may connect to 443/TCP of 10.2.0.0/16, from where" in mirror
    assert "may connect" not in said("{ modelRef: 'pvc://models/m.gguf' }")


def test_a_model_in_its_image_needs_no_volume() -> None:
    made = pod(modelRef="file:///opt/m.gguf", image="r/with-model:1")
    assert "initContainers" not in made
    assert not [one for one in made["volumes"] if one["name"] == "model"]
    [server] = made["containers"]
    assert server["args"][:2] == ["--model", "/opt/m.gguf"]


def test_a_runtime_that_is_not_known_is_told_where_the_model_is() -> None:
    made = pod(modelRef=HF, runtime="generic", image="r/server:1", extraArgs=["$(MODEL_PATH)"])
    [server] = made["containers"]
    found = {one["name"]: one["value"] for one in server["env"]}["MODEL_PATH"]
    assert found == f"{fetched(modelRef=HF)['args'][3]}/m.gguf"


def test_the_engine_waits_for_what_is_fetched_too() -> None:
    told = tell(
        lambda: InferenceService("qwen", HF, fetch={"cache": {"size": "1Gi"}, "timeout": "2h"}),
        preview=False,
    )
    assert told.error is None
    [deployment] = [r for r in told.registered.values() if r["name"] == "qwen-deployment"]
    assert deployment["timeouts"] == ("9900s", "9900s")  # 2 h, 30 min to load, 15 min to pull
    [claim] = [r for r in told.registered.values() if r["name"] == "qwen-models"]
    assert claim["type"] == "kubernetes:core/v1:PersistentVolumeClaim"
    seconds = objects(modelRef=HF, fetch={"timeout": "2h"})["Deployment qwen"]["spec"]
    assert seconds["progressDeadlineSeconds"] == 9900
