"""The rules as policies of Pulumi's SDK."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from pulumi_policy import (
    Policy,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from lockgate_pack.credentials import misplaced
from lockgate_pack.images import unversioned
from lockgate_pack.network import uncovered
from lockgate_pack.proof import unproved
from lockgate_pack.resources import Pod, Resource, pod_of
from lockgate_pack.restricted import unrestricted

PodRule = Callable[[Pod], Iterator[str]]
StackRule = Callable[[Iterable[Resource]], Iterator[tuple[str, str]]]


def _over_pods(name: str, description: str, rule: PodRule) -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        pod = pod_of(args.resource_type, args.props)
        for message in rule(pod) if pod is not None else ():
            report(message, args.urn)

    return ResourceValidationPolicy(name, description, validate)


def _over_stack(name: str, description: str, rule: StackRule) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for message, urn in rule(args.resources):
            report(message, urn)

    return StackValidationPolicy(name, description, validate)


POLICIES: Final = [
    _over_pods(
        "image-has-a-version",
        "Every container's image carries a tag other than latest, or a digest.",
        unversioned,
    ),
    _over_pods(
        "pod-is-restricted",
        "Every pod meets the Pod Security Standards' profile restricted.",
        unrestricted,
    ),
    _over_stack(
        "cloud-credential-in-router-only",
        "A cloud backend's credential Secret is given to the router's pods and to no others.",
        misplaced,
    ),
    _over_stack(
        "pod-has-a-network-policy",
        "Every pod that a Lockgate component made is under a NetworkPolicy, both ways.",
        uncovered,
    ),
    _over_stack(
        "router-has-a-proof",
        "Every router puts out the proof of the very policy that it runs.",
        unproved,
    ),
]
