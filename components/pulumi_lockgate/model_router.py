"""A router as a Pulumi component: the policy is proved before anything is registered."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pulumi
from lockgate.policy.canonical import digest_of
from pulumi import Input, Output, ResourceOptions
from pulumi.output import UNKNOWN, contains_unknowns
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.autoscaling.v2 import HorizontalPodAutoscaler
from pulumi_kubernetes.core.v1 import (
    ConfigMap,
    Namespace,
    PersistentVolumeClaim,
    Service,
    ServiceAccount,
)
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from pulumi_lockgate.draft import FQDN_POLICY, Draft, Source, source_of
from pulumi_lockgate.manifests.network import CILIUM
from pulumi_lockgate.manifests.openings import opens_names
from pulumi_lockgate.manifests.router import (
    AUDIT_CLAIM,
    SCALER,
    policy_config_map,
    rollout_s,
    short,
)
from pulumi_lockgate.manifests.site import ROUTE
from pulumi_lockgate.notices import OPENS, network_lines, notices
from pulumi_lockgate.proof.report import text_of
from pulumi_lockgate.proved_policy import NotKnownError, ProvedPolicy, prove_policy
from pulumi_lockgate.rendering import (
    ARGUMENTS,
    MOST_REPLICAS,
    SUFFIX,
    Rendered,
    rendered,
    unproved,
)
from pulumi_lockgate.resource import body
from pulumi_lockgate.stack.engine import (
    ENFORCER_OUTPUT,
    KEPT_OUTPUT,
    LAST,
    POLICY_OUTPUT,
    Last,
    accepted_widening_of,
    kept_text,
    last_policy,
)
from pulumi_lockgate.widening import Earlier, Record, Unknown

RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}


class ModelRouter(pulumi.ComponentResource):
    """Runs the proxy on one policy, which is proved before anything is registered.

    `policy` is a path, a dict, a `Policy`, an Output of one, or what `prove_policy` returned; it
    may have Outputs in it, such as a backend's `url`. `namespace` is a name, or `{"name": NAME,
    "create": True}` to make it. What is not known in preview has a stand-in there, is named, and
    is proved by `up` before anything is registered; where the proof depends on it, preview says
    that nothing was proved.

    `deployed` is the policy.json that runs now, so that a widening is seen; by default what the
    stack last put out: export the component's `record` under the router's name. `accepted_widening`
    is the digest of the list of widenings that may pass, by default `lockgate:acceptWidening`.
    The ConfigMaps of that record's last `proxy.revisionHistoryLimit` policies are kept, so that a
    rollback by hand finds the one that it needs; `policies` is a provider for them, and for an
    audit claim that an earlier stack left, with `upsert_existing_objects` (docs/adr/0003), and for
    `rollout: hot` `enable_config_map_mutable`.

    Outputs: `url`, the base URL that agents use; `policy`, its policy.json; `digest`, the policy's;
    `verdict`, the proof's text; `enforcer`, image and network around it; `record`, all of them.
    Raises PolicyViolatedError, WideningNotAcceptedError, and RefusedError for what does not load.
    """

    url: Output[str]
    policy: Output[str]
    digest: Output[str]
    verdict: Output[str]
    enforcer: Output[str]

    def __init__(  # noqa: PLR0913 - each is a choice of the program's
        self,
        name: str,
        policy: Any,
        namespace: Input[str] | Mapping[str, Any] = "default",
        opts: ResourceOptions | None = None,
        *,
        litellm_url: Input[str] | None = None,
        deployed: str | Record | Unknown | Last | None = LAST,
        accepted_widening: str | None = None,
        policies: pulumi.ProviderResource | None = None,
    ) -> None:
        space, creates = _namespace(namespace)
        self._called = name
        self._base = last_policy(router=name) if isinstance(deployed, Last) else deployed
        self._before = _before(self._base)
        self._accepted = accepted_widening or accepted_widening_of()
        made = self._proved(policy, space, litellm_url)
        # an input of the component: where the proof fails, it is not registered, nor what is in it
        proof = {"digest": _part(made, "digest")} if isinstance(made, Output) else None
        super().__init__("lockgate:index:ModelRouter", name, proof, opts)
        child = ResourceOptions(parent=self)
        if creates:
            metadata: Any = {"name": space, "labels": RESTRICTED}
            home = Namespace(f"{name}-namespace", metadata=metadata, opts=child)
            child = ResourceOptions(parent=self, depends_on=[home])
        deployment = self._register(name, made, child, policies)
        self.url = Output.all(deployment.urn, _part(made, "address")).apply(lambda all_: all_[1])
        self.digest, self.policy = _output(made, "digest"), _output(made, "policy")
        self.verdict, self.enforcer = _output(made, "verdict"), _output(made, "enforcer")
        self._kept = _kept_text(made, self._before)
        said = {"url": self.url, "digest": self.digest, "verdict": self.verdict}
        self.register_outputs({**said, "policy": Output.secret(self.policy)})

    @property
    def record(self) -> dict[str, Output[str]]:
        """What a program exports under the router's name, for the next deployment to compare.

        The long texts are marked secret, so that no preview unfolds them into a page.
        """
        shown = {"url": self.url, "policyDigest": self.digest, "verdict": self.verdict}
        texts = {
            POLICY_OUTPUT: self.policy,
            ENFORCER_OUTPUT: self.enforcer,
            KEPT_OUTPUT: self._kept,
        }
        return shown | {name: Output.secret(text) for name, text in texts.items()}

    def _proved(self, policy: Any, namespace: Any, litellm_url: Any) -> Rendered | Output[Rendered]:
        """Prove what is known now; return an Output where something is known only later."""
        if isinstance(policy, ProvedPolicy):
            self._opens_names = opens_names(policy.policy.spec)
            if isinstance(namespace, Output):
                return namespace.apply(
                    lambda name: self._shown(name, policy), run_with_unknowns=True
                )
            return self._shown(namespace, policy)
        source = source_of(policy, namespace, litellm_url, f"ModelRouter {self._called!r}")
        self._opens_names = source.opens_names
        if not source.outputs:
            return self._judged(source.draft({}, {}))
        return _resolved(source).apply(self._judged, run_with_unknowns=True)

    def _judged(self, draft: Draft) -> Rendered:
        try:
            proved = prove_policy(draft, self._base, self._accepted)
        except NotKnownError as why:
            pulumi.log.warn(f"{self._called}: {why}")
            gone = any(value.path == "namespace" for value in draft.missing)
            space = Output.from_input(UNKNOWN) if gone else draft.namespace
            return unproved(self._called, space, str(why))
        return self._shown(draft.namespace, proved)

    def _shown(self, namespace: str, proved: ProvedPolicy) -> Rendered:
        """Say in preview what a reviewer must not miss."""
        if opens_names(proved.policy.spec) and not self._opens_names:
            why = "decides which objects there are, so it must be plain, in no Output"
            raise pulumi.RunError(f"{self._called}: {FQDN_POLICY}: {why}")
        pulumi.log.info(f"{self._called}: {proved.verdict}")
        for value in proved.missing:
            pulumi.log.info(f"{self._called}: {value.path} is known in `up`, which proves it")
        if proved.widening is not None:
            pulumi.log.info(text_of(proved.widening))
        for found in proved.report.warnings:
            pulumi.log.warn(f"{self._called}: {found.path}: {found.message}")
        for line in notices(proved.policy):
            if line not in proved.verdict:
                pulumi.log.info(line)
        known = "" if contains_unknowns(namespace) else namespace
        pulumi.log.info("\n".join([f"{self._called}: {OPENS}", *network_lines(proved, known)]))
        if contains_unknowns(namespace):
            return unproved(self._called, Output.from_input(namespace), proved.verdict)
        return rendered(self._called, namespace, proved)

    def _register(
        self,
        name: str,
        made: Rendered | Output[Rendered],
        child: ResourceOptions,
        policies: pulumi.ProviderResource | None,
    ) -> Deployment:
        def arguments(short: str) -> dict[str, Any]:
            return {key: _part(made, "objects", short, key) for key in ARGUMENTS[short]}

        account = ServiceAccount(f"{name}-account", **arguments("account"), opts=child)
        policy = _applied(made, lambda known: self._config_maps(known, child, policies))
        network = NetworkPolicy(f"{name}-network-policy", **arguments("network-policy"), opts=child)
        _applied(made, lambda known: _audit_claim(name, known, child, policies))
        before = [account, policy, network]
        if self._opens_names:
            kind = {"api_version": "cilium.io/v2", "kind": "CiliumNetworkPolicy"}
            stated = {**kind, **arguments(CILIUM)}
            before.append(CustomResource(f"{name}-{CILIUM}", **stated, opts=child))
        most = f"{made.rollout_s if isinstance(made, Rendered) else rollout_s(MOST_REPLICAS)}s"
        first = ResourceOptions(
            depends_on=before,
            custom_timeouts=pulumi.CustomTimeouts(create=most, update=most),
        )
        deployment = Deployment(
            f"{name}-deployment",
            **arguments("deployment"),
            opts=ResourceOptions.merge(child, first),
        )
        _applied(made, lambda known: _scaler(name, known, child))
        _applied(made, lambda known: _route(name, known, child))
        Service(f"{name}-service", **arguments("service"), opts=child)
        PodDisruptionBudget(
            f"{name}-disruption-budget", **arguments("disruption-budget"), opts=child
        )
        return deployment

    def _config_maps(
        self, made: Rendered, child: ResourceOptions, policies: pulumi.ProviderResource | None
    ) -> ConfigMap:
        """Register the policy's ConfigMap, and those that a rollback by hand would need."""
        stated = made.objects["policy"]
        space = stated["metadata"]["namespace"]
        own = ResourceOptions.merge(child, ResourceOptions(provider=policies) if policies else None)
        for one in earlier(self._before, made):
            manifest = body(policy_config_map(self._called + SUFFIX, space, one.policy))
            if one.secret:
                manifest["data"] = Output.secret(manifest["data"])
            ConfigMap(self._resource_of(one), **manifest, opts=self._renamed(one, own))
        if made.is_hot:
            # a provider without `enable_config_map_mutable` replaces it, and its name is taken
            own = ResourceOptions.merge(own, ResourceOptions(delete_before_replace=True))
            return ConfigMap(f"{self._called}-policy-in-place", **stated, opts=own)
        if made.current is None:
            return ConfigMap(f"{self._called}-policy", **stated, opts=own)
        current = self._resource_of(made.current)
        return ConfigMap(current, **stated, opts=self._renamed(made.current, own))

    def _resource_of(self, policy: Earlier) -> str:
        return f"{self._called}-policy-{short(digest_of(policy.policy.encode()))}"

    def _renamed(self, policy: Earlier, opts: ResourceOptions) -> ResourceOptions:
        """Take over the one ConfigMap that a stack had before each had a resource of its own."""
        if not self._before or policy.policy != self._before[0].policy:
            return opts
        known_as = [pulumi.Alias(name=f"{self._called}-policy")]
        return ResourceOptions.merge(opts, ResourceOptions(aliases=known_as))


def _scaler(name: str, made: Rendered, child: ResourceOptions) -> None:
    """Register the autoscaler of a router that has one."""
    if SCALER in made.objects:
        HorizontalPodAutoscaler(f"{name}-{SCALER}", **made.objects[SCALER], opts=child)


def _route(name: str, made: Rendered, child: ResourceOptions) -> None:
    """Register the Route of a router that has one."""
    if ROUTE in made.objects:
        kind = {"api_version": "route.openshift.io/v1", "kind": "Route"}
        stated: dict[str, Any] = {**kind, **made.objects[ROUTE]}
        CustomResource(f"{name}-{ROUTE}", **stated, opts=child)


def _audit_claim(
    name: str, made: Rendered, child: ResourceOptions, policies: pulumi.ProviderResource | None
) -> None:
    """Register the claim of the audit file; it outlives the stack, and is found again."""
    if AUDIT_CLAIM in made.objects:
        own = ResourceOptions(retain_on_delete=True, provider=policies)
        stated = made.objects[AUDIT_CLAIM]
        opts = ResourceOptions.merge(child, own)
        PersistentVolumeClaim(f"{name}-{AUDIT_CLAIM}", **stated, opts=opts)


def earlier(before: Sequence[Earlier], made: Rendered) -> list[Earlier]:
    """Return the policies of before that stay beside what was `made`, the latest first."""
    current = None if made.current is None else made.current.policy
    return [one for one in before if one.policy != current][: made.kept]


def _kept_text(made: Rendered | Output[Rendered], before: Sequence[Earlier]) -> Any:
    def text(known: Rendered) -> Any:
        if known.current is None:
            return Output.from_input(UNKNOWN)
        return kept_text([known.current, *earlier(before, known)])

    return _applied(made, text)


def _before(base: str | Record | Unknown | None) -> tuple[Earlier, ...]:
    """Return the policies whose ConfigMaps stand in the cluster, as far as the record says so."""
    if not isinstance(base, Record):
        return ()
    return base.kept or (Earlier(base.policy, secret=True),)


def _applied(made: Rendered | Output[Rendered], what: Callable[[Rendered], Any]) -> Any:
    """Return `what` of what was rendered, now or once it is."""
    return made.apply(what, run_with_unknowns=True) if isinstance(made, Output) else what(made)


def _namespace(stated: Any) -> tuple[Any, bool]:
    """Return a namespace's name and whether the router makes it."""
    if isinstance(stated, Mapping):
        return stated.get("name", "default"), bool(stated.get("create", True))
    return stated, False


def _resolved(source: Source) -> Output[Draft]:
    """Return the draft with the values of its Outputs; it marks for itself what is secret."""
    paths = list(source.outputs)
    values = [Output.from_input(source.outputs[path]) for path in paths]
    secret = Output.all(*(value.is_secret() for value in values))
    # the draft says value by value what is secret; else every object would be, whole
    whole = Output.unsecret(Output.all(Output.all(*values), secret))

    def draft(both: list[Any]) -> Draft:
        known, hidden = both
        return source.draft(
            dict(zip(paths, known, strict=True)), dict(zip(paths, hidden, strict=True))
        )

    return whole.apply(draft, run_with_unknowns=True)


def _part(made: Rendered | Output[Rendered], *path: str) -> Any:
    """Return one value of what was rendered, now or once it is."""
    if isinstance(made, Output):
        return made.apply(lambda whole: _part(whole, *path), run_with_unknowns=True)
    value: Any = getattr(made, path[0])
    for key in path[1:]:
        value = value[key]
    return value


def _output(made: Rendered | Output[Rendered], name: str) -> Output[str]:
    return Output.from_input(_part(made, name))
