"""A router as a Pulumi component: the policy is proved before anything is registered."""

from typing import Any

import pulumi
from attrs import Factory, field, frozen
from lockgate.policy.loaded import LoadedPolicy
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import ConfigMap, Service, ServiceAccount
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from pulumi_lockgate.manifests.network import open_egress
from pulumi_lockgate.manifests.router import Router, router_manifests
from pulumi_lockgate.proof.checks import prove
from pulumi_lockgate.proof.report import Report, text_of
from pulumi_lockgate.resource import body
from pulumi_lockgate.widening import Unknown, WideningVerdict, base_of, judge

SUFFIX = "-router-proxy"
"""LLMKube's own, so that the URLs of its callers go on working."""


class PolicyViolatedError(pulumi.RunError):
    """The policy lets a sensitive request out. Its text is the report; `report` the value."""

    def __init__(self, report: Report) -> None:
        self.report = report
        super().__init__(text_of(report))


class WideningNotAcceptedError(pulumi.RunError):
    """More may reach a cloud than before. Its text is the diff and what to write."""

    def __init__(self, passage: WideningVerdict) -> None:
        self.passage = passage
        super().__init__(text_of(passage))


def _proved(args: "ModelRouterArgs") -> Report:
    report = prove(args.policy)
    if not report.proved:
        raise PolicyViolatedError(report)
    return report


def _passed(args: "ModelRouterArgs") -> WideningVerdict:
    base = base_of(args.deployed)
    passage = judge(base, args.policy, args.accepted_widening, pulumi.get_stack())
    if not passage.passed:
        raise WideningNotAcceptedError(passage)
    return passage


@frozen
class ModelRouterArgs:
    """What a router is made of: a policy that loaded and was placed, and its namespace.

    Made, it is proved and judged: PolicyViolatedError when the policy leaks,
    WideningNotAcceptedError when it widens what is deployed. Make it before anything is registered.

    `deployed` is the policy.json that runs now, None before the first deployment;
    `accepted_widening` the digest of the one policy that may widen it. `policies` is a provider
    with `upsert_existing_objects`, for policy ConfigMaps alone: without one, a return to an
    earlier policy fails, since its ConfigMap was kept and "already exists" (docs/adr/0003).
    """

    policy: LoadedPolicy
    namespace: str
    deployed: str | Unknown | None = None
    accepted_widening: str | None = None
    policies: pulumi.ProviderResource | None = None
    report: Report = field(init=False, default=Factory(_proved, takes_self=True))
    passage: WideningVerdict = field(init=False, default=Factory(_passed, takes_self=True))


class ModelRouter(pulumi.ComponentResource):
    """Runs the proxy on one policy.

    Outputs: `url`, the base URL that agents use; `policy`, its policy.json; `digest`, the policy's;
    `verdict`, the proof's text. Its arguments were proved and judged when they were made.
    """

    url: pulumi.Output[str]
    policy: pulumi.Output[str]
    digest: pulumi.Output[str]
    verdict: pulumi.Output[str]

    def __init__(
        self, name: str, args: ModelRouterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        router = Router(name + SUFFIX, args.namespace, args.policy)
        manifests = router_manifests(router)
        super().__init__("lockgate:index:ModelRouter", name, None, opts)
        self._tell(args.policy, args.passage)
        deployment = self._register(name, manifests, args.policies)
        port = args.policy.spec.endpoint.port
        host = f"{router.name}.{args.namespace}.svc.cluster.local:{port}"
        self.url = deployment.id.apply(lambda _: f"http://{host}/v1")
        self.digest = pulumi.Output.from_input(args.policy.digest)
        self.verdict = pulumi.Output.from_input(text_of(args.report))
        self.policy = pulumi.Output.from_input(args.policy.json.decode())
        proof = {"digest": self.digest, "verdict": self.verdict}
        self.register_outputs({"url": self.url, "policy": self.policy, **proof})

    def _register(
        self, name: str, manifests: dict[str, Any], policies: pulumi.ProviderResource | None
    ) -> Deployment:
        child = pulumi.ResourceOptions(parent=self)
        account = ServiceAccount(f"{name}-account", **body(manifests["account"]), opts=child)
        policy = ConfigMap(
            f"{name}-policy",
            **body(manifests["policy"]),
            # an older ReplicaSet that is rolled back to still finds the policy it was made for
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True, provider=policies),
        )
        network = NetworkPolicy(
            f"{name}-network-policy", **body(manifests["network-policy"]), opts=child
        )
        deployment = Deployment(
            f"{name}-deployment",
            **body(manifests["deployment"]),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[account, policy, network]),
        )
        Service(f"{name}-service", **body(manifests["service"]), opts=child)
        PodDisruptionBudget(
            f"{name}-disruption-budget", **body(manifests["disruption-budget"]), opts=child
        )
        return deployment

    def _tell(self, policy: LoadedPolicy, passage: WideningVerdict) -> None:
        """Say in preview what a reviewer must not miss."""
        pulumi.log.info(text_of(passage), self)
        for line in notices(policy):
            pulumi.log.info(line, self)


def notices(policy: LoadedPolicy) -> list[str]:
    """Return the lines that every preview shows beside the proof."""
    told = [
        f"{b.name} counts as local by attestation: {b.attested_local}"
        for b in policy.spec.backends
        if b.attested_local
    ]
    for name in open_egress(policy.spec):
        external = policy.spec.backend(name).external
        private = external is not None and external.allow_private_address
        reach = "all addresses, private ones too" if private else "all but private addresses"
        told.append(f"network egress for {name}: its port, to {reach}")
    return told
