"""The Pulumi program of a stack file: model servers and a router, out of ``lockgate:`` settings."""

import pulumi
import pulumi_kubernetes as kubernetes

from pulumi_lockgate.draft import draft_of
from pulumi_lockgate.inference_service import InferenceService
from pulumi_lockgate.live import is_under_engine, look, place_of_stack
from pulumi_lockgate.model_router import RESTRICTED, ModelRouter
from pulumi_lockgate.proved_policy import prove_policy
from pulumi_lockgate.stack.engine import last_policy, stack_settings


def deploy() -> None:
    """Read the stack's configuration, build the components, export the outputs."""
    stack = stack_settings()
    settings = stack.settings
    # proved and judged before anything is registered: what is refused has changed nothing
    last = last_policy()
    proved = prove_policy(draft_of(stack), last, settings.accept_widening)

    place = place_of_stack()
    if is_under_engine():
        look(stack, proved.policy, last, place)
    # a policy's ConfigMap is named by its content: one that is there already is that very one,
    # which only server-side apply takes for no error
    # mutable: that of `rollout: hot` is changed in place; the others are immutable by themselves
    policies = kubernetes.Provider(
        "policies",
        upsert_existing_objects=True,
        enable_config_map_mutable=True,
        **place.arguments,
    )
    # client-side apply: annotations set by other managers survive an update (docs/adr/0003)
    cluster = kubernetes.Provider("cluster", enable_server_side_apply=False, **place.arguments)
    inside = pulumi.ResourceOptions(providers=[cluster])
    if stack.creates_namespace:
        namespace = kubernetes.core.v1.Namespace(
            "namespace",
            metadata={"name": settings.namespace, "labels": RESTRICTED},
            opts=pulumi.ResourceOptions(provider=cluster),
        )
        inside = pulumi.ResourceOptions(providers=[cluster], depends_on=[namespace])

    for name, model in stack.models.items():
        InferenceService(name, model, opts=inside, secret="models" in stack.secret)
    router = ModelRouter(settings.name, proved, settings.namespace, inside, policies=policies)

    for output, value in router.record.items():
        pulumi.export(output, value)
