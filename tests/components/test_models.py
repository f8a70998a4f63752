"""Model servers: what may be stated of one, what each runtime is started with, how pods are replaced."""

import json
from typing import Any

import kubernetes_validate
import pulumi
import pytest
from pulumi_lockgate import InferenceService, ModelRouter
from pulumi_lockgate.stack.evaluate import evaluate
from pulumi_lockgate.stack.models import read_model

from tests.components.conftest import Run
from tests.components.program import tell

REF = "pvc://models/qwen.gguf"
ROUTER = {
    "backends": [{"name": "l", "inferenceServiceRef": {"name": "qwen"}}],
    "defaultRoute": "l",
}
STACK = """config:
  lockgate:models:
    qwen: %s
  lockgate:router:
    backends: [{ name: l, inferenceServiceRef: { name: qwen } }]
    defaultRoute: l
"""


def objects(**model: Any) -> dict[str, dict[str, Any]]:
    """The manifests of one model server by kind and name; each holds to the published schema."""
    plan = evaluate("dev", {"lockgate:models": {"qwen": model}, "lockgate:router": ROUTER})
    found = {}
    for manifest in plan.manifests:
        if manifest["metadata"]["name"].startswith("qwen"):
            kubernetes_validate.validate(manifest, "1.34", strict=True)
            found[f"{manifest['kind']} {manifest['metadata']['name']}"] = manifest
    return found


def pod(**model: Any) -> dict[str, Any]:
    made: dict[str, Any] = objects(**model)["Deployment qwen"]["spec"]["template"]["spec"]
    return made


def container(**model: Any) -> dict[str, Any]:
    [made] = pod(**model)["containers"]
    return dict(made)


class TestRuntimes:
    """The flags of each runtime's own help."""

    def test_llama_cpp(self) -> None:
        made = container(modelRef=REF, contextSize=4096, parallelSlots=2)
        assert made["args"] == [
            "--model", "/models/qwen.gguf", "--alias", "qwen", "--host", "0.0.0.0", "--port", "8080",
            "--ctx-size", "4096", "--parallel", "2",
        ]  # fmt: skip
        assert "command" not in made
        assert made["image"].endswith(":server-b6800")

    @pytest.mark.parametrize(
        ("resource", "kind"),
        [("nvidia.com/gpu", "-cuda"), ("amd.com/gpu", "-rocm"), ("gpu.intel.com/i915", "-intel")],
    )
    def test_llama_cpp_with_a_gpu_has_the_image_for_it(self, resource: str, kind: str) -> None:
        made = container(modelRef=REF, gpu=1, gpuResource=resource)
        assert made["image"] == f"ghcr.io/ggml-org/llama.cpp:server{kind}-b6800"
        assert made["resources"]["limits"] == {resource: "1"}
        assert made["args"][-2:] == ["--n-gpu-layers", "999"]

    def test_vllm(self) -> None:
        made = container(
            modelRef="pvc://models/qwen", runtime="vllm", gpu=4, contextSize=8192, parallelSlots=8
        )
        assert made["command"] == ["vllm", "serve"]
        assert made["args"] == [
            "/models/qwen", "--served-model-name", "qwen", "--host", "0.0.0.0", "--port", "8000",
            "--max-model-len", "8192", "--max-num-seqs", "8", "--tensor-parallel-size", "4",
        ]  # fmt: skip

    def test_sglang(self) -> None:
        made = container(
            modelRef="pvc://models/qwen", runtime="sglang", gpu=2, contextSize=8192, parallelSlots=8
        )
        assert made["command"] == ["python3", "-m", "sglang.launch_server"]
        assert made["args"] == [
            "--model-path", "/models/qwen", "--served-model-name", "qwen", "--host", "0.0.0.0",
            "--port", "30000", "--context-length", "8192", "--max-running-requests", "8",
            "--tensor-parallel-size", "2",
        ]  # fmt: skip

    def test_a_runtime_that_is_not_known_is_started_as_its_image_says(self) -> None:
        made = objects(runtime="generic", image="r/server:1", extraArgs=["--x"], containerPort=9000, healthPath="/up")  # fmt: skip
        [own] = made["Deployment qwen"]["spec"]["template"]["spec"]["containers"]
        assert (own["image"], own["args"]) == ("r/server:1", ["--x"])
        assert "command" not in own
        assert own["ports"][0]["containerPort"] == 9000
        assert own["startupProbe"]["httpGet"] == {"path": "/up", "port": "http"}
        assert not [v for v in own["volumeMounts"] if v["name"] == "model"]
        assert made["Service qwen"]["spec"]["ports"][0]["port"] == 8080
        assert made["NetworkPolicy qwen"]["spec"]["ingress"][0]["ports"][0]["port"] == 9000

    def test_what_is_stated_comes_last_and_wins(self) -> None:
        env = [{"name": "HOME", "value": "/elsewhere"}, {"name": "A", "value": "b"}]
        made = container(modelRef=REF, extraArgs=["--port", "1"], env=env, command=["/other"])
        assert made["args"][-2:] == ["--port", "1"]
        assert made["command"] == ["/other"]
        values = {one["name"]: one["value"] for one in made["env"]}
        assert (values["HOME"], values["A"], values["USER"]) == ("/elsewhere", "b", "lockgate")
        assert [one["name"] for one in made["env"]].count("HOME") == 1


class TestPods:
    """What Kubernetes is told of the pods."""

    def test_what_people_set_of_pods_arrives(self) -> None:
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}}  # fmt: skip
        spread = [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]
        made = objects(
            modelRef=REF, runtimeClassName="nvidia", priorityClassName="high", affinity=affinity,
            topologySpreadConstraints=spread, imagePullSecrets=[{"name": "pull"}],
            podLabels={"team": "a"}, podAnnotations={"b": "c"}, podSecurityContext={"fsGroup": 102},
        )["Deployment qwen"]["spec"]["template"]  # fmt: skip
        spec = made["spec"]
        assert (spec["runtimeClassName"], spec["priorityClassName"]) == ("nvidia", "high")
        assert (spec["affinity"], spec["topologySpreadConstraints"]) == (affinity, spread)
        assert spec["imagePullSecrets"] == [{"name": "pull"}]
        assert made["metadata"]["labels"]["team"] == "a"
        assert made["metadata"]["annotations"] == {"b": "c"}
        assert spec["securityContext"]["fsGroup"] == 102
        assert spec["securityContext"]["runAsNonRoot"] is True

    def test_a_loaded_model_waits_for_no_probe_and_a_slow_one_is_let_load(self) -> None:
        made = objects(modelRef=REF, startupTimeout="45m")["Deployment qwen"]["spec"]
        [own] = made["template"]["spec"]["containers"]
        probe = own["startupProbe"]
        assert (probe["periodSeconds"], probe["failureThreshold"]) == (1, 2700)
        assert made["progressDeadlineSeconds"] > 2700

    def test_the_engine_waits_a_little_longer_than_the_probes_allow(self) -> None:
        told = tell(lambda: InferenceService("qwen", REF, startup_timeout="45m"), preview=False)
        assert told.error is None
        [deployment] = [r for r in told.registered.values() if r["name"] == "qwen-deployment"]
        assert deployment["timeouts"] == ("3600s", "3600s")

    def test_one_pod_stops_to_change_and_the_plan_says_so(self, run_on: Run) -> None:
        said = " ".join(run_on("plan", text=STACK % f"{{ modelRef: {REF} }}").stdout.split())
        assert "a change of qwen stops it until its model is loaded again" in said
        for more in ("rollout: rolling", "replicas: 2"):
            text = STACK % f"{{ modelRef: {REF}, {more} }}"
            assert "stops it" not in run_on("plan", text=text).stdout

    @pytest.mark.parametrize(
        ("model", "strategy"),
        [
            ({}, {"type": "Recreate"}),
            ({"rollout": "rolling"}, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
            ({"replicas": 2}, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}),
        ],
    )  # fmt: skip
    def test_pods_are_replaced_without_a_second_gpu_unless_asked(
        self, model: dict[str, Any], strategy: dict[str, Any]
    ) -> None:
        assert objects(modelRef=REF, **model)["Deployment qwen"]["spec"]["strategy"] == strategy

    def test_several_pods_have_a_budget_and_each_an_address(self) -> None:
        made = objects(modelRef=REF, replicas=2, runtime="vllm")
        assert made["PodDisruptionBudget qwen"]["spec"]["maxUnavailable"] == 1
        headless = made["Service qwen-pods"]["spec"]
        assert (headless["clusterIP"], headless["ports"][0]["port"]) == ("None", 8000)
        assert "PodDisruptionBudget qwen" not in objects(modelRef=REF)

    def test_an_autoscaler_alone_says_how_many(self) -> None:
        resources = {"requests": {"cpu": "4"}}
        scaled = {"minReplicas": 1, "maxReplicas": 4, "cpuPercent": 60}
        made = objects(modelRef=REF, autoscaling=scaled, resources=resources)
        assert "replicas" not in made["Deployment qwen"]["spec"]
        spec = made["HorizontalPodAutoscaler qwen"]["spec"]
        assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 4)
        assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 60
        other = objects(modelRef=REF, autoscaling={"maxReplicas": 4, "by": "other"})
        assert "HorizontalPodAutoscaler qwen" not in other


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("{}", "qwen.modelRef: is missing; write `modelRef: pvc://CLAIM/PATH`"),
        ("{ runtime: generic }", "qwen.image: is missing: runtime is generic"),
        ("{ runtime: generic, image: 'r/x:1', contextSize: 9 }", "contextSize: means nothing to a runtime"),
        ("{ runtime: generic, image: 'r/x:1', parallelSlots: 9 }", "parallelSlots: means nothing to a runtime"),
        ("{ modelRef: 'ftp://a/b' }", "modelRef: ftp:// is no scheme that is known here"),
        ("{ modelRef: 'http://a/b.gguf' }", "modelRef: http:// is no scheme that is known here"),
        ("{ modelRef: 'file://a/b' }", "modelRef: 'file://a/b' is not file:///PATH"),
        ("{ modelRef: 'hf://a' }", "modelRef: 'hf://a' is not hf://ORG/REPO"),
        ("{ modelRef: 'hf://a/b' }", "modelRef: is a folder, and this runtime is given a file"),
        ("{ modelRef: 'https://a/b.gguf' }", "qwen.fetch.sha256: is missing: nothing else says"),
        ("{ modelRef: 'https://a/b.gguf', fetch: { sha256: x } }", "fetch.sha256: 'x' is not 64 hex digits"),
        (f"{{ modelRef: 'oci://a/b:c', fetch: {{ sha256: {'a' * 64} }} }}", "fetch.sha256: is the sum of one file"),
        ("{ modelRef: 'pvc://a/b', fetch: {} }", "qwen.fetch: is for a modelRef that is fetched"),
        ("{ modelRef: 'hf://a/b/c.gguf', fetch: { file: ../x } }", "fetch.file: '../x' is no path below"),
        ("{ modelRef: 'hf://a/b/c.gguf', fetch: { file: d.gguf } }", "fetch.file: is not c.gguf"),
        (f"{{ modelRef: 'https://a/b.gguf', fetch: {{ sha256: {'a' * 64}, endpoint: 'https://x' }} }}", "fetch.endpoint: means nothing to https://"),
        ("{ modelRef: 'hf://a/b/c.gguf', fetch: { endpoint: mirror } }", "fetch.endpoint: is not an http or https URL"),
        ("{ modelRef: 'hf://a/b/c.gguf', fetch: { endpoint: 'http://m', credentialsSecretRef: { name: s } } }", "fetch.endpoint: has no TLS"),
        ("{ modelRef: 'hf://a/b/c.gguf', fetch: { region: x } }", "fetch.region: means nothing to hf://"),
        ("{ modelRef: 's3://abc/c.gguf', fetch: { region: 'X y' } }", "fetch.region: 'X y' is no region"),
        ("{ modelRef: 'hf://a/b/c.gguf', fetch: { egress: [10.0.0.1/8] } }", "fetch.egress[0]"),
        ("{ modelRef: 'hf://a/b/c.gguf', fetch: { caConfigMapRef: { name: A_b } } }", "fetch.caConfigMapRef.name: 'A_b' is no name"),
        ("{ modelRef: 'hf://a/b/c.gguf', fetch: { timeout: 1s } }", "fetch.timeout: is not from 10s to 24h"),
        ("{ modelRef: 'hf://a/b/c.gguf', fetch: { cache: {} } }", "fetch.cache: has neither of existing and size"),
        ("{ modelRef: 'hf://a/b/c.gguf', fetch: { cache: { existing: a, size: 1Gi } } }", "fetch.cache: has both"),
        ("{ modelRef: 'hf://a/b/c.gguf', fetch: { cache: { existing: a, storageClass: b } } }", "fetch.cache.storageClass: is for a claim that is made"),
        ("{ modelRef: 'hf://a/b/c.gguf', fetch: { cache: { existing: A } } }", "fetch.cache.existing: 'A' is no name"),
        ("{ modelRef: 'hf://a/b/c.gguf', fetch: { cache: { size: big } } }", "fetch.cache.size: 'big' is no size"),
        ("{ modelRef: 'hf://a/b/c.gguf', replicas: 2, fetch: { cache: { size: 1Gi } } }", "fetch.cache.accessMode: is one node's"),
        ("{ modelRef: 'hf://a/b/c.gguf', rollout: rolling, fetch: { cache: { size: 1Gi } } }", "fetch.cache.accessMode: is one node's, and there may be 2 pods"),
        ("{ modelRef: 'hf://a/b/c.gguf', fetch: { cach: {} } }", "fetch.cach: is not a field"),
        ("{ modelRef: 'pvc://a' }", "modelRef: 'pvc://a' is not pvc://CLAIM/PATH"),
        ("{ modelRef: 'pvc://a/b', replicas: 11 }", "replicas: 11 is not from 0 to 10"),
        ("{ modelRef: 'pvc://a/b', gpu: -1 }", "gpu: -1 is less than 0"),
        ("{ modelRef: 'pvc://a/b', containerPort: 0 }", "containerPort: 0 is not a port"),
        ("{ modelRef: 'pvc://a/b', healthPath: up }", "healthPath: 'up' is no path"),
        ("{ modelRef: 'pvc://a/b', startupTimeout: 1s }", "startupTimeout: is not from 10s to 24h"),
        ("{ modelRef: 'pvc://a/b', startupTimeout: long }", "startupTimeout"),
        ("{ modelRef: 'pvc://a/b', podSecurityContext: { runAsUser: 0 } }", "podSecurityContext.runAsUser: is what the restricted profile wants"),
        ("{ modelRef: 'pvc://a/b', podLabels: { app.kubernetes.io/component: x } }", "is set by the component"),
        ("{ modelRef: 'pvc://a/b', env: [{ value: x }] }", "env[0]: has no name"),
        ("{ modelRef: 'pvc://a/b', replicas: 2, autoscaling: { maxReplicas: 2, by: other } }", "replicas: has autoscaling beside it"),
        ("{ modelRef: 'pvc://a/b', autoscaling: { maxReplicas: 99, by: other } }", "autoscaling: 1 to 99 is no range"),
        ("{ modelRef: 'pvc://a/b', autoscaling: { maxReplicas: 2, cpuPercent: 0, by: other } }", "cpuPercent: 0 is not from 1"),
        ("{ modelRef: 'pvc://a/b', autoscaling: { maxReplicas: 2 } }", "resources: requests no CPU"),
        ("{ modelRef: 'pvc://a/b', rollout: blue }", "rollout: 'blue' is not one of recreate, rolling"),
        ("{ modelRef: 'pvc://a/b', runtime: tgi }", "runtime: 'tgi' is not one of"),
        ("{ modelRef: 'pvc://a/b', gpus: 1 }", "gpus: is not a field"),
    ],
)  # fmt: skip
def test_what_is_no_model_server_is_refused_with_its_line(
    run_on: Run, model: str, said: str
) -> None:
    done = run_on("plan", text=STACK % model)
    assert (done.exit_code, said in done.stderr) == (2, True), done.output
    assert "Pulumi.dev.yaml:3: config.lockgate:models.qwen" in done.stderr


def test_a_program_of_ones_own_is_refused_by_the_arguments_path() -> None:
    told = tell(lambda: InferenceService("qwen", REF, replicas=11))
    assert "replicas: 11 is not from 0 to 10" in str(told.error)
    assert told.registered == {}
    inference, problems = read_model("qwen", {"modelRef": REF, "replicas": 11, "gpu": -1})
    assert inference is None
    assert {problem.path for problem in problems} == {"replicas", "gpu"}


def test_a_service_is_a_backend_of_a_router_and_keeps_it_waiting_for_nothing() -> None:
    def program() -> None:
        served = InferenceService("phi.4", REF, pulumi.Output.from_input("models"))
        backend = served.backend(capabilities=["code"])
        policy = {"backends": [backend], "defaultRoute": "phi-4"}
        pulumi.export("policy", ModelRouter("gate", policy, "agents").policy)
        pulumi.export("url", served.url)

    for preview in (True, False):
        told = tell(program, preview=preview)
        assert told.error is None
        [written] = json.loads(told.exported["policy"])["backends"]
        assert written["inferenceServiceRef"] == {"name": "phi.4", "namespace": "models"}
        assert written["capabilities"] == ["code"]
        assert told.exported["url"] == "http://phi-4.models.svc.cluster.local:8080/v1"


def test_a_service_without_a_model_has_an_image_that_needs_none() -> None:
    told = tell(lambda: InferenceService("x", runtime="generic", image="r/x:1"))
    assert told.error is None

    def program() -> None:
        InferenceService("x", runtime="generic", image=pulumi.Output.from_input("r/x:2"))

    told = tell(program)
    assert told.error is None
    [container] = told.inputs("x-deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "r/x:2"
