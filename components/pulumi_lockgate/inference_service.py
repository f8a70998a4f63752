"""A model server as a Pulumi component: Deployment, Services, ServiceAccount, NetworkPolicy."""

from collections.abc import Mapping
from typing import Any

import attrs
import pulumi
from attrs import evolve
from lockgate.policy.spec.fields import wire_name
from pulumi import Input, Output, ResourceOptions
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.autoscaling.v2 import HorizontalPodAutoscaler
from pulumi_kubernetes.core.v1 import PersistentVolumeClaim, Service, ServiceAccount
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from pulumi_lockgate.draft import RefusedError
from pulumi_lockgate.manifests.fetching import CLAIM
from pulumi_lockgate.manifests.inference import (
    DISRUPTION_BUDGET,
    PODS,
    SCALER,
    inference_manifests,
)
from pulumi_lockgate.manifests.model_server import Inference
from pulumi_lockgate.manifests.openings import SERVICE_PORT
from pulumi_lockgate.node_pool import NodePool, placed_on
from pulumi_lockgate.resource import body
from pulumi_lockgate.stack.models import ModelSettings, read_model


class InferenceService(pulumi.ComponentResource):
    """Serves one model to routers and to nobody else.

    `model` is where its files are, `pvc://CLAIM/PATH`, `hf://ORG/REPO/FILE` and so on, or None for
    a `runtime="generic"` that needs none; further settings are those of a stack's
    `lockgate:models`, in either spelling: `runtime="vllm"`, `gpu=1`, `context_size=32768`.
    `namespace` and `image` may be Outputs. With `secret` the specification is kept secret. With
    `pool` the pods run on that pool's nodes.

    Outputs: `endpoint`, the base URL in the cluster, also called `url`; `service_name`. `backend()`
    is the service as a backend of a ModelRouter. None of them waits for the model to load. Raises
    RefusedError for settings that a stack file would be refused for.
    """

    url: Output[str]
    endpoint: Output[str]
    service_name: Output[str]

    def __init__(  # noqa: PLR0913 - what Pulumi has first, then keywords
        self,
        name: str,
        model: str | Inference | None = None,
        namespace: Input[str] = "default",
        opts: ResourceOptions | None = None,
        *,
        secret: bool = False,
        pool: NodePool | None = None,
        **settings: Any,
    ) -> None:
        inference = model if isinstance(model, Inference) else _read(name, model, settings)
        if pool is not None:
            inference = placed_on(pool, inference)
        space: Any = inference.namespace if isinstance(model, Inference) else namespace
        # an Output is a leaf of every manifest that it stands in
        manifests = inference_manifests(evolve(inference, namespace=space))
        super().__init__("lockgate:index:InferenceService", name, None, opts)
        self._name, self._space = inference.name, space
        child = ResourceOptions(parent=self)
        account = ServiceAccount(f"{name}-account", **body(manifests["account"]), opts=child)
        NetworkPolicy(f"{name}-network-policy", **body(manifests["network-policy"]), opts=child)
        first = ResourceOptions(depends_on=[account])
        pods = body(manifests["deployment"])
        if secret:
            pods["spec"] = Output.secret(pods["spec"])
        if CLAIM in manifests:
            cache = PersistentVolumeClaim(f"{name}-models", **body(manifests[CLAIM]), opts=child)
            first = ResourceOptions.merge(first, ResourceOptions(depends_on=[cache]))
        most = f"{inference.rollout_s}s"
        waits = pulumi.CustomTimeouts(create=most, update=most)
        first = ResourceOptions.merge(first, ResourceOptions(custom_timeouts=waits))
        Deployment(f"{name}-deployment", **pods, opts=ResourceOptions.merge(child, first))
        service = Service(f"{name}-service", **body(manifests["service"]), opts=child)
        Service(f"{name}-{PODS}", **body(manifests[PODS]), opts=child)
        if DISRUPTION_BUDGET in manifests:
            budget = body(manifests[DISRUPTION_BUDGET])
            PodDisruptionBudget(f"{name}-{DISRUPTION_BUDGET}", **budget, opts=child)
        if SCALER in manifests:
            HorizontalPodAutoscaler(f"{name}-{SCALER}", **body(manifests[SCALER]), opts=child)
        self.service_name = service.metadata.apply(lambda meta: str(meta.name))
        self.url = Output.from_input(space).apply(
            lambda known: (
                f"http://{inference.object_name}.{known}.svc.cluster.local:{SERVICE_PORT}/v1"
            )
        )
        self.endpoint = self.url
        self.register_outputs({"url": self.url, "serviceName": self.service_name})

    def backend(self, name: str | None = None, **fields: Any) -> dict[str, Any]:
        """Return this service as a backend of a ModelRouter, called `name` or as it is itself.

        `fields` are further ones of the backend, as a policy has them: `capabilities=["code"]`.
        """
        reference = {"name": self._name, "namespace": self._space}
        called = name or self._name.replace(".", "-")
        return {"name": called, "tier": "local", "inferenceServiceRef": reference, **fields}


def _read(name: str, model: str | None, settings: Mapping[str, Any]) -> Inference:
    """Return a model server's settings, read as a stack file's; an Output is put in afterwards."""
    image = settings.get("image")
    later: dict[str, Any] = {"image": image} if isinstance(image, Output) else {}
    names = {field.name: wire_name(field) for field in attrs.fields(ModelSettings)}
    stated = {names.get(key, key): value for key, value in settings.items() if value is not None}
    plain = {key: value for key, value in stated.items() if key not in later}
    if later:
        plain["image"] = "known-later:0"
    located = {} if model is None else {"modelRef": model}
    inference, problems = read_model(name, {**located, **plain})
    if inference is None:
        raise RefusedError(f"InferenceService {name!r}", problems)
    return evolve(inference, **later)
