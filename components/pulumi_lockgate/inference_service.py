"""A model server as a Pulumi component: Deployment, Service, ServiceAccount, NetworkPolicy."""

from collections.abc import Mapping
from typing import Any

import attrs
import pulumi
from attrs import evolve
from lockgate.policy.spec.fields import wire_name
from pulumi import Input, Output, ResourceOptions
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import Service, ServiceAccount
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from pulumi_lockgate.draft import RefusedError
from pulumi_lockgate.manifests.inference import Inference, inference_manifests
from pulumi_lockgate.manifests.openings import SERVICE_PORT
from pulumi_lockgate.resource import body
from pulumi_lockgate.stack.settings import ModelSettings, read_model


class InferenceService(pulumi.ComponentResource):
    """Serves one model to routers and to nobody else.

    `model` is where its files are, `pvc://CLAIM/PATH`; further settings are those of a stack's
    `lockgate:models`, in either spelling: `runtime="vllm"`, `gpu=1`, `context_size=32768`.
    `namespace` and `image` may be Outputs. With `secret` the specification is kept secret.

    Outputs: `endpoint`, the base URL in the cluster, also called `url`; `service_name`. Raises
    RefusedError for settings that a stack file would be refused for.
    """

    url: Output[str]
    endpoint: Output[str]
    service_name: Output[str]

    def __init__(
        self,
        name: str,
        model: str | Inference,
        namespace: Input[str] = "default",
        opts: ResourceOptions | None = None,
        *,
        secret: bool = False,
        **settings: Any,
    ) -> None:
        inference = model if isinstance(model, Inference) else _read(name, model, settings)
        space: Any = inference.namespace if isinstance(model, Inference) else namespace
        # an Output is a leaf of every manifest that it stands in
        manifests = inference_manifests(evolve(inference, namespace=space))
        super().__init__("lockgate:index:InferenceService", name, None, opts)
        child = ResourceOptions(parent=self)
        account = ServiceAccount(f"{name}-account", **body(manifests["account"]), opts=child)
        NetworkPolicy(f"{name}-network-policy", **body(manifests["network-policy"]), opts=child)
        pods = body(manifests["deployment"])
        if secret:
            pods["spec"] = Output.secret(pods["spec"])
        deployment = Deployment(
            f"{name}-deployment",
            **pods,
            opts=ResourceOptions(parent=self, depends_on=[account]),
        )
        service = Service(f"{name}-service", **body(manifests["service"]), opts=child)
        self.service_name = service.metadata.apply(lambda meta: str(meta.name))
        # known in preview, and still not before the pods are there
        self.url = Output.all(space, deployment.urn).apply(
            lambda all_: (
                f"http://{inference.object_name}.{all_[0]}.svc.cluster.local:{SERVICE_PORT}/v1"
            )
        )
        self.endpoint = self.url
        self.register_outputs({"url": self.url, "serviceName": self.service_name})


def _read(name: str, model: str, settings: Mapping[str, Any]) -> Inference:
    """Return a model server's settings, read as a stack file's; an Output is put in afterwards."""
    image = settings.get("image")
    later: dict[str, Any] = {"image": image} if isinstance(image, Output) else {}
    names = {field.name: wire_name(field) for field in attrs.fields(ModelSettings)}
    stated = {names.get(key, key): value for key, value in settings.items() if value is not None}
    plain = {key: value for key, value in stated.items() if key not in later}
    inference, problems = read_model(name, {"modelRef": model, **plain})
    if inference is None:
        raise RefusedError(f"InferenceService {name!r}", problems)
    return evolve(inference, **later)
