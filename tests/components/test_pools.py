"""Node pools: what a stack may say of them, what pods are told, and what preview says does not fit."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils import parse_quantity
from pulumi_lockgate import InferenceService, NodePool, RefusedError
from pulumi_lockgate.manifests.gpu_kinds import KINDS, products
from pulumi_lockgate.manifests.quantities import quantity, shown

from tests.components.conftest import Run
from tests.components.program import tell

REF = "pvc://models/qwen.gguf"
ROUTER = {
    "backends": [{"name": "l", "inferenceServiceRef": {"name": "qwen"}}],
    "defaultRoute": "l",
}
AWS = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"}
MADE: dict[str, Any] = {"kind": "karpenter", "nodeClassRef": AWS}
RACK: dict[str, Any] = {"kind": "existing", "labels": {"rack": "7"}}


def stack(pools: dict[str, Any], **models: dict[str, Any]) -> str:
    """A stack file with these pools, and one model server `qwen` in the pool `p` or `models`."""
    servers = models or {"qwen": {"pool": "p"}}
    stated = {name: {"modelRef": REF, **model} for name, model in servers.items()}
    config = {"lockgate:pools": pools, "lockgate:models": stated, "lockgate:router": ROUTER}
    return yaml.safe_dump({"config": config}, sort_keys=False)


def planned(run_on: Run, pools: dict[str, Any], **models: dict[str, Any]) -> dict[str, Any]:
    done = run_on("plan", "--json", text=stack(pools, **models))
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def node_pool(run_on: Run, **stated: Any) -> dict[str, Any]:
    plan = planned(run_on, {"p": {**MADE, **stated}})
    [made] = [r for r in plan["resources"] if r["type"] == "kubernetes:karpenter.sh/v1:NodePool"]
    spec: dict[str, Any] = made["inputs"]["spec"]
    assert made["inputs"]["metadata"]["name"] == "p"
    assert "namespace" not in made["inputs"]["metadata"]
    return spec


def pod(run_on: Run, pool: dict[str, Any], **model: Any) -> dict[str, Any]:
    plan = planned(run_on, {"p": pool}, qwen={"pool": "p", **model})
    [made] = [r for r in plan["resources"] if r["name"] == "qwen-deployment"]
    spec: dict[str, Any] = made["inputs"]["spec"]["template"]["spec"]
    return spec


def warned(run_on: Run, pool: dict[str, Any], **models: dict[str, Any]) -> list[str]:
    servers = {name: {"pool": "p", **model} for name, model in models.items()}
    found: list[str] = planned(run_on, {"p": pool}, **servers)["warnings"]
    return found


def refusal(run_on: Run, pools: dict[str, Any], **models: dict[str, Any]) -> str:
    done = run_on("plan", text=stack(pools, **models))
    assert done.exit_code == 2, done.output
    return " ".join(done.stderr.split())


class TestNodesThatKarpenterMakes:
    """The NodePool."""

    def test_it_says_which_nodes_may_be_made(self, run_on: Run) -> None:
        spec = node_pool(
            run_on, gpu="l40s", instanceTypes=["g6e.12xlarge"], instanceFamilies=["g6e"],
            zones=["eu-central-1a"], capacityTypes=["on-demand", "spot"],
            requirements=[{"key": "kubernetes.io/arch", "values": ["amd64"]}, {"key": "a/b", "operator": "Exists"}],
        )  # fmt: skip
        inner = spec["template"]["spec"]
        assert inner["nodeClassRef"] == AWS
        assert inner["requirements"] == [
            {"key": "karpenter.k8s.aws/instance-gpu-name", "operator": "In", "values": ["l40s"]},
            {"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["g6e"]},
            {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["g6e.12xlarge"]},
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["eu-central-1a"]},
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand", "spot"]},
            {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
            {"key": "a/b", "operator": "Exists"},
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("group", "label", "name"),
        [
            ("eks.amazonaws.com", "eks.amazonaws.com/instance-gpu-name", "a100"),
            ("karpenter.azure.com", "karpenter.azure.com/sku-gpu-name", "A100"),
        ],
    )
    def test_each_provider_calls_a_gpu_its_own_way(
        self, run_on: Run, group: str, label: str, name: str
    ) -> None:
        ref = {**AWS, "group": group}
        [one] = node_pool(run_on, gpu="a100", nodeClassRef=ref)["template"]["spec"]["requirements"]
        assert one == {"key": label, "operator": "In", "values": [name]}

    def test_limits_taints_labels_and_times_arrive(self, run_on: Run) -> None:
        spec = node_pool(
            run_on, limits={"cpu": 96, "memory": "768Gi", "gpu": 4}, labels={"team": "a"},
            taints=[{"key": "nvidia.com/gpu", "value": "yes"}], expireAfter="Never",
            terminationGracePeriod="1h", weight=10,
            disruption={
                "consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "1h",
                "budgets": [{"nodes": "1", "reasons": ["Drifted"]}, {"nodes": "0", "schedule": "0 9 * * mon-fri", "duration": "8h"}],
            },
        )  # fmt: skip
        assert spec["limits"] == {"cpu": "96", "memory": "768Gi", "nvidia.com/gpu": "4"}
        assert spec["template"]["metadata"] == {"labels": {"team": "a"}}
        inner = spec["template"]["spec"]
        assert inner["taints"] == [
            {"key": "nvidia.com/gpu", "value": "yes", "effect": "NoSchedule"}
        ]
        assert (inner["expireAfter"], inner["terminationGracePeriod"]) == ("Never", "1h")
        assert spec["weight"] == 10
        assert spec["disruption"] == {
            "consolidationPolicy": "WhenEmptyOrUnderutilized",
            "consolidateAfter": "1h",
            "budgets": [
                {"nodes": "1", "reasons": ["Drifted"]},
                {"nodes": "0", "schedule": "0 9 * * mon-fri", "duration": "8h"},
            ],
        }

    def test_a_model_that_is_loaded_is_not_moved_unless_asked(self, run_on: Run) -> None:
        disruption = node_pool(run_on)["disruption"]
        assert disruption == {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "5m"}

    def test_its_pods_choose_it_by_name_and_tolerate_its_taints(self, run_on: Run) -> None:
        taints = [{"key": "gpu"}, {"key": "team", "value": "a", "effect": "NoExecute"}]
        made = pod(run_on, {**MADE, "gpu": "h100", "taints": taints})
        assert made["nodeSelector"] == {"karpenter.sh/nodepool": "p"}
        assert made["tolerations"] == [
            {"key": "gpu", "effect": "NoSchedule", "operator": "Exists"},
            {"key": "team", "value": "a", "effect": "NoExecute", "operator": "Equal"},
        ]
        assert "affinity" not in made  # the NodePool has such nodes alone

    def test_what_must_exist_is_named(self, run_on: Run) -> None:
        said = run_on("plan", text=stack({"p": MADE})).stdout
        assert "CustomResourceDefinition nodepools.karpenter.sh: for NodePool p" in said
        assert "EC2NodeClass gpu: for NodePool p" in said
        assert "karpenter" not in run_on("plan", text=stack({"p": RACK})).stdout

    def test_it_is_written_before_the_pods_that_wait_for_it(
        self, run_on: Run, tmp_path: Path
    ) -> None:
        run_on("plan", "--out", str(tmp_path / "out"), text=stack({"p": MADE}))
        names = [file.name for file in sorted((tmp_path / "out").glob("*.yaml"))]
        [pool] = [n for n, name in enumerate(names) if name.endswith("nodepool-p.yaml")]
        assert pool < min(n for n, name in enumerate(names) if "deployment" in name)


class TestNodesThatExist:
    """Nothing is made; pods are told where to run."""

    def test_nothing_is_made_and_pods_choose_by_the_nodes_labels(self, run_on: Run) -> None:
        plan = planned(run_on, {"p": {**RACK, "taints": [{"key": "gpu"}]}})
        pools = [r["type"] for r in plan["resources"] if r["type"].endswith(":NodePool")]
        assert pools == ["lockgate:index:NodePool"]
        made = pod(run_on, {**RACK, "taints": [{"key": "gpu"}]})
        assert made["nodeSelector"] == {"rack": "7"}
        assert made["tolerations"][0]["key"] == "gpu"

    def test_a_kind_of_gpu_is_what_feature_discovery_says(self, run_on: Run) -> None:
        made = pod(run_on, {"kind": "existing", "gpu": "l40s"})
        [term] = made["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]  # fmt: skip
        names = ["NVIDIA-L40S", "NVIDIA-L40S-SHARED"]
        wanted = {"key": "nvidia.com/gpu.product", "operator": "In", "values": names}
        assert term == {"matchExpressions": [wanted]}

    def test_no_two_kinds_have_one_label(self) -> None:
        names = [name for kind in KINDS for name in products(kind)]
        assert len(set(names)) == len(names)
        assert max(map(len, names)) <= 63

    def test_what_a_server_says_itself_stays(self, run_on: Run) -> None:
        expression = {"key": "a", "operator": "Exists"}
        required = "requiredDuringSchedulingIgnoredDuringExecution"
        terms = [{"matchExpressions": [expression]}, {"matchFields": []}]
        affinity = {"nodeAffinity": {required: {"nodeSelectorTerms": terms}}, "podAffinity": {}}
        own = {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}
        made = pod(
            run_on, {**RACK, "gpu": "t4", "taints": [{"key": "gpu"}]},
            affinity=affinity, nodeSelector={"disk": "ssd"}, tolerations=[own],
        )  # fmt: skip
        assert made["nodeSelector"] == {"rack": "7", "disk": "ssd"}
        assert made["tolerations"] == [own]
        first, second = made["affinity"]["nodeAffinity"][required]["nodeSelectorTerms"]
        assert first["matchExpressions"][0] == expression
        assert first["matchExpressions"][1]["values"][0] == "Tesla-T4"
        assert second["matchExpressions"][0]["values"][0] == "Tesla-T4"
        assert made["affinity"]["podAffinity"] == {}

    def test_a_pools_devices_are_what_its_servers_ask_for(self, run_on: Run) -> None:
        made = pod(run_on, {**RACK, "gpuResource": "amd.com/gpu"}, gpu=2)
        [own] = made["containers"]
        assert own["resources"]["limits"] == {"amd.com/gpu": "2"}
        assert "-rocm" in own["image"]


class TestWhatDoesNotFit:
    """Warned of in every preview; deployed all the same."""

    def test_more_than_the_limits_in_all(self, run_on: Run) -> None:
        pool = {**MADE, "limits": {"gpu": 8, "cpu": "10"}}
        cpu = {"requests": {"cpu": "2500m"}}
        lines = warned(run_on, pool, qwen={"gpu": 4, "replicas": 2}, coder={"gpu": 1, "resources": cpu})  # fmt: skip
        [line] = lines
        assert line == (
            "pool p: the pods of qwen (2 x 4) and coder (1 x 1) ask for 9 nvidia.com/gpu in all, "
            "and it can give 8"
        )
        assert warned(run_on, pool, qwen={"gpu": 4, "replicas": 2}) == []

    @pytest.mark.parametrize(
        "model",
        [
            {"replicas": 3},
            {"autoscaling": {"maxReplicas": 3, "by": "other"}},
            {"replicas": 2, "rollout": "rolling"},
        ],
    )
    def test_pods_count_as_many_as_there_may_be_at_once(
        self, run_on: Run, model: dict[str, Any]
    ) -> None:
        pool = {**MADE, "limits": {"gpu": 2}}
        [line] = warned(run_on, pool, qwen={"gpu": 1, **model})
        assert "qwen (3 x 1) ask for 3 nvidia.com/gpu" in line

    def test_one_pod_that_is_larger_than_a_node(self, run_on: Run) -> None:
        pool = {**MADE, "node": {"gpu": 4, "memory": "64Gi"}}
        memory = {"requests": {"memory": "96Gi"}}
        lines = warned(run_on, pool, qwen={"gpu": 8, "resources": memory})
        assert lines == [
            "pool p: a pod of qwen asks for 8 nvidia.com/gpu, and a node has 4: it would wait without end",
            "pool p: a pod of qwen asks for 96 GiB memory, and a node has 64 GiB: it would wait without end",
        ]  # fmt: skip

    def test_nodes_of_which_no_gpu_is_said_have_none(self, run_on: Run) -> None:
        [line] = warned(run_on, {**RACK, "node": {"cpu": "8"}}, qwen={"gpu": 1})
        assert "asks for 1 nvidia.com/gpu, and a node has 0" in line

    def test_nodes_that_exist_give_what_they_have_together(self, run_on: Run) -> None:
        pool = {**RACK, "nodes": 2, "node": {"gpu": 8, "memory": "1Ti", "cpu": 8}}
        memory = {"limits": {"memory": "700Gi"}}
        [line] = warned(run_on, pool, qwen={"gpu": 2, "replicas": 3, "resources": memory})
        assert line.endswith("ask for 2100 GiB memory in all, and it can give 2048 GiB")

    def test_a_sum_that_fits_may_not_fit_node_by_node(self, run_on: Run) -> None:
        pool = {**RACK, "nodes": 2, "node": {"gpu": 8}}
        [line] = warned(run_on, pool, qwen={"gpu": 5, "replicas": 3})
        assert line == (
            "pool p: the pods of qwen (3 x 5) do not fit on 2 nodes of 8 nvidia.com/gpu, though "
            "they would in sum: 1 of them would wait"
        )
        assert warned(run_on, pool, qwen={"gpu": 4, "replicas": 4}) == []

    def test_nothing_is_said_where_nothing_is_known(self, run_on: Run) -> None:
        for pool in (MADE, RACK, {**RACK, "nodes": 1}):
            assert warned(run_on, pool, qwen={"gpu": 8, "replicas": 10}) == []

    def test_the_plan_shows_it_to_people_and_beside_the_manifests(
        self, run_on: Run, tmp_path: Path
    ) -> None:
        text = stack({"p": {**MADE, "limits": {"gpu": 1}}}, qwen={"pool": "p", "gpu": 4})
        done = run_on("plan", "--out", str(tmp_path / "out"), text=text)
        assert done.exit_code == 0
        for said in (done.stdout, (tmp_path / "out" / "proof.txt").read_text()):
            assert "warning: pool p: the pods of qwen (1 x 4) ask for 4" in " ".join(said.split())

    def test_the_engine_is_warned_too(self) -> None:
        def program() -> None:
            pool = NodePool("rack", kind="existing", labels={"a": "b"}, nodes=1, node={"gpu": 2})
            InferenceService("one", REF, gpu=2, pool=pool)
            InferenceService("two", REF, gpu=2, pool=pool)

        told = tell(program)
        assert told.error is None
        [line] = told.warnings
        assert "one (1 x 2) and two (1 x 2) ask for 4" in line


class TestInAProgram:
    """`NodePool` beside `InferenceService`."""

    def test_a_service_runs_on_the_pool_that_it_is_given(self) -> None:
        def program() -> None:
            pool = NodePool("gpus", kind="karpenter", node_class_ref=AWS, taints=[{"key": "gpu"}])
            InferenceService("qwen", REF, pool=pool)

        told = tell(program)
        assert told.error is None
        assert told.inputs("gpus-node-pool")["spec"]["template"]["spec"]["nodeClassRef"] == AWS
        made = told.inputs("qwen-deployment")["spec"]["template"]["spec"]
        assert made["nodeSelector"] == {"karpenter.sh/nodepool": "gpus"}
        assert told.outputs("gpus")["nodeSelector"] == {"karpenter.sh/nodepool": "gpus"}
        assert told.outputs("gpus")["tolerations"][0]["key"] == "gpu"

    def test_what_a_stack_would_be_refused_for_is_refused_before_anything_is_registered(
        self,
    ) -> None:
        told = tell(lambda: NodePool("gpus", kind="karpenter", weight=0))
        assert isinstance(told.error, RefusedError)
        said = str(told.error)
        assert "nodeClassRef: is missing" in said
        assert "weight: 0 is not from 1 to 100" in said
        assert not told.registered

    def test_a_contradiction_and_what_is_no_pool_are_refused(self) -> None:
        def contradicts() -> None:
            pool = NodePool("rack", kind="existing", labels={"a": "b"})
            InferenceService("qwen", REF, pool=pool, node_selector={"a": "c"})

        assert "nodeSelector.a: is c, and the nodes of pool rack have b" in str(
            tell(contradicts).error
        )
        wrong: Any = "rack"
        told = tell(lambda: InferenceService("qwen", REF, pool=wrong))
        assert "pool: 'rack' is no NodePool; give a lockgate.NodePool" in str(told.error)


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        ({}, "p.kind: is missing"),
        ({"kind": "karpenter"}, "p.nodeClassRef: is missing"),
        ({**MADE, "nodeClassRef": {**AWS, "group": "karpenter.k8s.aws/v1"}}, "nodeClassRef.group: 'karpenter.k8s.aws/v1' has a version"),
        ({**MADE, "nodes": 2}, "p.nodes: is Karpenter's to say"),
        ({**MADE, "gpu": "h1000"}, "p.gpu: 'h1000' is no kind of GPU that is known here; did you mean h100?"),
        ({**MADE, "gpu": "h100", "gpuResource": "amd.com/gpu"}, "p.gpu: h100 is NVIDIA's"),
        ({**MADE, "gpu": "h100", "nodeClassRef": {**AWS, "group": "karpenter.k8s.gcp"}}, "p.gpu: which label says it on nodes of karpenter.k8s.gcp is not known here; write that label under `requirements:`"),
        ({**MADE, "instanceFamilies": ["g2"], "nodeClassRef": {**AWS, "group": "karpenter.k8s.gcp"}}, "p.instanceFamilies: which label"),
        ({**MADE, "capacityTypes": ["spott"]}, "p.capacityTypes[0]"),
        ({**MADE, "labels": {"karpenter.sh/x": "a"}}, "p.labels.karpenter.sh/x: is Karpenter's own"),
        ({**MADE, "labels": {"a b": "c"}}, "p.labels.a b: is no label of Kubernetes"),
        ({**MADE, "requirements": [{"key": "kubernetes.io/hostname", "values": ["a"]}]}, "requirements[0].key: 'kubernetes.io/hostname' is no label to require"),
        ({**MADE, "requirements": [{"key": "karpenter.sh/initialized", "values": ["true"]}]}, "requirements[0].key: 'karpenter.sh/initialized' is no label to require"),
        ({**MADE, "requirements": [{"key": "a"}]}, "requirements[0].values: are missing: operator is In"),
        ({**MADE, "requirements": [{"key": "a", "operator": "Exists", "values": ["b"]}]}, "requirements[0].values: mean nothing to Exists"),
        ({**MADE, "requirements": [{"key": "a", "operator": "Gt", "values": ["b"]}]}, "requirements[0].values: are not one whole number"),
        ({**MADE, "requirements": [{"key": "a", "values": ["b c"]}]}, "requirements[0].values: 'b c' is no value of a label"),
        ({**MADE, "weight": 101}, "p.weight: 101 is not from 1 to 100"),
        ({**MADE, "expireAfter": "30d"}, "p.expireAfter: '30d' is no time like 30s, 10m, 720h or Never"),
        ({**MADE, "terminationGracePeriod": "Never"}, "p.terminationGracePeriod: 'Never' is no time"),
        ({**MADE, "disruption": {"consolidateAfter": "soon"}}, "p.disruption.consolidateAfter: 'soon' is no time"),
        ({**MADE, "disruption": {"budgets": [{"nodes": "half"}]}}, "p.disruption.budgets[0].nodes: 'half' is no number"),
        ({**MADE, "disruption": {"budgets": [{"nodes": "1", "duration": "8h", "schedule": "at nine"}]}}, "budgets[0].schedule: 'at nine' is no schedule of cron"),
        ({**MADE, "disruption": {"budgets": [{"nodes": "1", "duration": "8h"}]}}, "p.disruption.budgets[0]: has one of `schedule` and `duration`"),
        ({**MADE, "disruption": {"budgets": [{"nodes": "1", "duration": "8s", "schedule": "@daily"}]}}, "budgets[0].duration: '8s' is not in hours and minutes"),
        ({**MADE, "taints": [{"key": "a b"}]}, "p.taints[0].key: 'a b' is no key of a taint"),
        ({**MADE, "taints": [{"key": "a", "value": "b c"}]}, "p.taints[0].value: 'b c' is no value of a taint"),
        ({**MADE, "limits": {"cpu": "many"}}, "p.limits.cpu: 'many' is no amount like 8, 500m or 64Gi"),
        ({**MADE, "limits": {"gpu": -1}}, "p.limits.gpu: -1 is no amount"),
        ({**MADE, "node": {"memory": "64GB"}}, "p.node.memory: '64GB' is no amount"),
        ({"kind": "existing"}, "p.labels: says no label of its nodes and no `gpu`: pods would run anywhere"),
        ({**RACK, "nodes": 0}, "p.nodes: 0 is less than 1"),
        *(({**RACK, field: MADE.get(field, [])}, f"p.{field}: is of nodes that Karpenter makes") for field in ("nodeClassRef", "zones", "requirements")),
        ({**RACK, "limits": {}}, "p.limits: is of nodes that Karpenter makes"),
        ({**RACK, "expireAfter": "1h"}, "p.expireAfter: is of nodes that Karpenter makes"),
        ({**RACK, "tains": []}, "p.tains: is not a field; did you mean taints?"),
    ],
)  # fmt: skip
def test_what_a_pool_may_not_say_is_refused_with_its_place(
    run_on: Run, pool: dict[str, Any], said: str
) -> None:
    found = refusal(run_on, {"p": pool})
    assert said.rstrip() in found
    assert "Pulumi.dev.yaml:" in found


def test_every_fault_is_said_at_once(run_on: Run) -> None:
    pools = {"p": {**MADE, "weight": 0, "expireAfter": "x"}, "Q_": RACK}
    found = refusal(run_on, pools, qwen={"pool": "qq"}, coder={"pool": "P"})
    for said in ("p.weight", "p.expireAfter", "'Q_' is no name of a pool"):
        assert said in found
    assert "lockgate:models.qwen.pool: 'qq' is no pool of this stack" in found
    assert "lockgate:models.coder.pool: 'P' is no pool of this stack; did you mean p?" in found


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"nodeSelector": {"rack": "8"}}, "qwen.nodeSelector.rack: is 8, and the nodes of pool p have 7"),
        ({"gpu": 1, "gpuResource": "amd.com/gpu"}, "qwen.gpuResource: is amd.com/gpu, and pool p has nvidia.com/gpu"),
    ],
)  # fmt: skip
def test_a_server_that_contradicts_its_pool_is_refused(
    run_on: Run, model: dict[str, Any], said: str
) -> None:
    assert said in refusal(run_on, {"p": RACK}, qwen={"pool": "p", **model})


@given(st.from_regex(r"(0|[1-9][0-9]{0,5})(\.[0-9]{1,3})?([numkMGTPE]|[KMGTPE]i|)", fullmatch=True))
def test_amounts_are_what_the_kubernetes_client_makes_of_them(text: str) -> None:
    assert quantity(text) == parse_quantity(text)


@pytest.mark.parametrize(
    "text", ["", "-1", "1.2.3", "1 Gi", "1gi", "1GB", "Gi", True, None, "1e400"]
)
def test_what_is_no_amount_is_none(text: object) -> None:
    with pytest.raises(ValueError, match="no amount"):
        quantity(text)


def test_amounts_for_people() -> None:
    assert quantity("1e3") == 1000
    assert shown(quantity("2500m"), "cpu") == "2.5"
    assert shown(quantity("1536Mi"), "memory") == "1.5 GiB"
    assert shown(Decimal(100 << 20), "memory") == "100 MiB"
    assert shown(quantity("100"), "nvidia.com/gpu") == "100"
