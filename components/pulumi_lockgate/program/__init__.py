"""The Pulumi program of a stack file: model servers and a router, out of ``lockgate:`` settings."""

from itertools import chain

import pulumi
import pulumi_kubernetes as kubernetes

from pulumi_lockgate.cautions import caution
from pulumi_lockgate.draft import draft_of
from pulumi_lockgate.inference_service import InferenceService
from pulumi_lockgate.live import is_under_engine, look, place_of_stack
from pulumi_lockgate.manifests.capacity import shortfalls
from pulumi_lockgate.manifests.inference import manifests_of
from pulumi_lockgate.model_router import RESTRICTED, ModelRouter
from pulumi_lockgate.node_pool import NodePool
from pulumi_lockgate.notices import of_models
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
    for line in of_models(manifests_of(stack.models.values())):
        pulumi.log.info(line)
    pools = [NodePool(name, pool, opts=inside) for name, pool in stack.pools.items()]
    for line in chain.from_iterable(
        shortfalls(pool, stack.models.values()) for pool in stack.pools.values()
    ):
        caution(line)
    after = pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(depends_on=pools))
    for name, model in stack.models.items():
        InferenceService(name, model, opts=after, secret="models" in stack.secret)
    router = ModelRouter(settings.name, proved, settings.namespace, inside, policies=policies)

    for output, value in router.record.items():
        pulumi.export(output, value)
