"""The Pulumi program: read the stack's configuration, build the components, export outputs."""

import pulumi
import pulumi_kubernetes as kubernetes

from components.config import stack_config
from components.inference_service import InferenceService, InferenceServiceArgs
from components.model_router import ModelRouter, ModelRouterArgs
from components.settings import read_settings

settings, models, policy = read_settings(stack_config())

# client-side apply: annotations set by other managers survive an update (docs/adr/0003)
cluster = kubernetes.Provider("cluster", enable_server_side_apply=False)
namespace = kubernetes.core.v1.Namespace(
    "namespace",
    metadata={
        "name": settings.namespace,
        "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
    },
    opts=pulumi.ResourceOptions(provider=cluster),
)
inside = pulumi.ResourceOptions(providers=[cluster], depends_on=[namespace])

for name, model in models.items():
    InferenceService(name, InferenceServiceArgs(model), inside)
router = ModelRouter(settings.name, ModelRouterArgs(policy, settings.namespace), inside)

pulumi.export("url", router.url)
pulumi.export("policyDigest", router.digest)
pulumi.export("verdict", router.verdict)
