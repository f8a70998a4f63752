"""Agents with a router of their own: a model in the cluster, a cloud, and a policy in Python."""

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_lockgate as lockgate

config = pulumi.Config()

# this program's own: a namespace, whose name is an Output from here on
home = kubernetes.core.v1.Namespace("home", metadata={"name": config.require("namespace")})
namespace = home.metadata["name"]

qwen = lockgate.InferenceService(
    "qwen3-coder",
    model="pvc://models/qwen3-coder-30b-a3b-q4_k_m.gguf",
    namespace=namespace,
    context_size=32768,
)

local = lockgate.Backend.local("local-qwen", service="qwen3-coder", context_length=32768)
cloud = lockgate.Backend.cloud(
    "cloud-gpt",
    provider="openai",
    model="gpt-5",
    url=config.require_secret("openaiUrl"),  # proved in preview, secret in the state
    credentials="openai-key",
)
policy = lockgate.Policy(
    backends=[local, cloud],
    rules=[
        lockgate.Rule(
            "sensitive-stays-local",
            [local],
            data_classification=["pii", "phi"],
            fail_closed=True,
        ),
        lockgate.Rule("complex-to-cloud", [cloud, local], task_complexity="complex"),
    ],
    default_route=local,
)

router = lockgate.ModelRouter("gate", policy, namespace, pulumi.ResourceOptions(depends_on=[qwen]))

# this program's own again: where its agents find the router
kubernetes.core.v1.ConfigMap(
    "agents", metadata={"namespace": namespace}, data={"OPENAI_BASE_URL": router.url}
)

# under the router's name, so that the next deployment is compared with this policy
pulumi.export("gate", router.record)
