"""The Pulumi program of a stack file: model servers and a router, out of ``lockgate:`` settings."""

import pulumi
import pulumi_kubernetes as kubernetes

from pulumi_lockgate.inference_service import InferenceService, InferenceServiceArgs
from pulumi_lockgate.model_router import ModelRouter, ModelRouterArgs
from pulumi_lockgate.stack.engine import last_policy, stack_settings


def deploy() -> None:
    """Read the stack's configuration, build the components, export the outputs."""
    stack = stack_settings()
    settings = stack.settings
    deployed = last_policy()  # before anything is registered: the engine is not writing yet

    # a policy's ConfigMap is named by its content and kept: going back to a policy finds it there,
    # which only server-side apply takes for no error
    policies = kubernetes.Provider("policies", upsert_existing_objects=True)
    # proved and judged here: what is refused has changed nothing
    routing = ModelRouterArgs(
        stack.policy, settings.namespace, deployed, settings.accept_widening, policies
    )

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

    for name, model in stack.models.items():
        InferenceService(name, InferenceServiceArgs(model), inside)
    router = ModelRouter(settings.name, routing, inside)

    pulumi.export("url", router.url)
    pulumi.export("policyDigest", router.digest)
    pulumi.export("verdict", router.verdict)
    pulumi.export("policy", router.policy)
