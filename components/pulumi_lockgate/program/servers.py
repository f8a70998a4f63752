"""What serves models in a stack: pools of nodes, model servers on them, machines outside."""

from itertools import chain

import pulumi
from pulumi import ResourceOptions

from pulumi_lockgate.cautions import caution
from pulumi_lockgate.inference_service import InferenceService
from pulumi_lockgate.manifests.capacity import shortfalls
from pulumi_lockgate.manifests.inference import manifests_of
from pulumi_lockgate.metal_host import MetalHost
from pulumi_lockgate.node_pool import NodePool
from pulumi_lockgate.notices import in_clear, of_models
from pulumi_lockgate.stack.settings import Stack


def register_servers(stack: Stack, inside: ResourceOptions) -> None:
    """Register everything that serves models, and say what is to be known of it."""
    servers = stack.models.values()
    for line in of_models(manifests_of(servers)):
        pulumi.log.info(line)
    pools = [NodePool(name, pool, opts=inside) for name, pool in stack.pools.items()]
    short = (shortfalls(pool, servers) for pool in stack.pools.values())
    for line in chain(*short, in_clear(stack.metal.values())):
        caution(line)
    after = ResourceOptions.merge(inside, ResourceOptions(depends_on=pools))
    for name, model in stack.models.items():
        InferenceService(name, model, opts=after, secret="models" in stack.secret)
    for name, host in stack.metal.items():
        MetalHost(name, host, opts=inside)
