"""A model server as a Pulumi component: Deployment, Service, ServiceAccount, NetworkPolicy."""

import pulumi
from attrs import frozen
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import Service, ServiceAccount
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from pulumi_lockgate.manifests.inference import Inference, inference_manifests
from pulumi_lockgate.manifests.network import SERVICE_PORT
from pulumi_lockgate.resource import body


@frozen
class InferenceServiceArgs:
    """What an InferenceService is made of."""

    inference: Inference


class InferenceService(pulumi.ComponentResource):
    """Serves one model to routers and to nobody else.

    Outputs: `url`, the base URL in the cluster; `service_name`.
    """

    url: pulumi.Output[str]
    service_name: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: InferenceServiceArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        manifests = inference_manifests(args.inference)
        super().__init__("lockgate:index:InferenceService", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        account = ServiceAccount(f"{name}-account", **body(manifests["account"]), opts=child)
        NetworkPolicy(f"{name}-network-policy", **body(manifests["network-policy"]), opts=child)
        deployment = Deployment(
            f"{name}-deployment",
            **body(manifests["deployment"]),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[account]),
        )
        service = Service(f"{name}-service", **body(manifests["service"]), opts=child)
        inference = args.inference
        host = f"{inference.object_name}.{inference.namespace}.svc.cluster.local"
        self.service_name = service.metadata.apply(lambda meta: str(meta.name))
        self.url = deployment.id.apply(lambda _: f"http://{host}:{SERVICE_PORT}/v1")
        self.register_outputs({"url": self.url, "serviceName": self.service_name})
