"""The Pulumi program of a stack file: model servers and a router, out of ``lockgate:`` settings."""

import pulumi
import pulumi_kubernetes as kubernetes

from pulumi_lockgate.draft import draft_of
from pulumi_lockgate.live import is_under_engine, look, place_of_stack
from pulumi_lockgate.model_router import RESTRICTED, ModelRouter
from pulumi_lockgate.program.servers import register_servers
from pulumi_lockgate.proved_policy import prove_policy
from pulumi_lockgate.providers import providers
from pulumi_lockgate.stack.engine import last_policy, stack_settings
from pulumi_lockgate.stack_secret import make_secret


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
    policies, cluster = providers(place)
    inside = pulumi.ResourceOptions(providers=[cluster])
    if stack.creates_namespace:
        namespace = kubernetes.core.v1.Namespace(
            "namespace",
            metadata={"name": settings.namespace, "labels": RESTRICTED},
            opts=pulumi.ResourceOptions(provider=cluster),
        )
        inside = pulumi.ResourceOptions(providers=[cluster], depends_on=[namespace])

    secrets = [make_secret(one, settings.namespace, inside) for one in stack.secrets]
    inside = pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(depends_on=secrets))
    register_servers(stack, inside)
    router = ModelRouter(settings.name, proved, settings.namespace, inside, policies=policies)

    for output, value in router.record.items():
        pulumi.export(output, value)
