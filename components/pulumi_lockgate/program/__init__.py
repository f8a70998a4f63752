"""The Pulumi program of a stack file: model servers and a router, out of ``lockgate:`` settings."""

import base64
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi.output import UNKNOWN

from pulumi_lockgate.draft import draft_of
from pulumi_lockgate.inference_service import InferenceService
from pulumi_lockgate.live import is_under_engine, look, place_of_stack
from pulumi_lockgate.manifests.common import labels, metadata
from pulumi_lockgate.model_router import RESTRICTED, ModelRouter
from pulumi_lockgate.proved_policy import prove_policy
from pulumi_lockgate.stack.engine import last_policy, stack_settings
from pulumi_lockgate.stack.secrets import StackSecret


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
    cluster = kubernetes.Provider(
        "cluster",
        enable_server_side_apply=False,
        enable_secret_mutable=True,  # a new value is no new Secret, whose name would be taken
        **place.arguments,
    )
    inside = pulumi.ResourceOptions(providers=[cluster])
    if stack.creates_namespace:
        namespace = kubernetes.core.v1.Namespace(
            "namespace",
            metadata={"name": settings.namespace, "labels": RESTRICTED},
            opts=pulumi.ResourceOptions(provider=cluster),
        )
        inside = pulumi.ResourceOptions(providers=[cluster], depends_on=[namespace])

    secrets = [_secret(one, settings.namespace, inside) for one in stack.secrets]
    inside = pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(depends_on=secrets))
    for name, model in stack.models.items():
        InferenceService(name, model, opts=inside, secret="models" in stack.secret)
    router = ModelRouter(settings.name, proved, settings.namespace, inside, policies=policies)

    for output, value in router.record.items():
        pulumi.export(output, value)


def _secret(
    stated: StackSecret, namespace: str, inside: pulumi.ResourceOptions
) -> kubernetes.core.v1.Secret:
    """Make a Secret of the stack's; a value that is not known stays so."""
    named: Any = metadata(stated.name, namespace, labels(stated.name, "secret"))
    return kubernetes.core.v1.Secret(
        f"secret-{stated.name}",
        metadata=named,
        type=stated.type,
        data={key: _encoded(value) for key, value in stated.values.items()},
        opts=inside,
    )


def _encoded(value: str | None) -> pulumi.Output[str]:
    unknown: Any = UNKNOWN
    if value is None:
        return pulumi.Output.from_input(unknown)
    return pulumi.Output.secret(base64.b64encode(value.encode()).decode())
