"""Stacks as the SDK's validators are handed them, and what the policies say of one."""

import copy
from collections.abc import Mapping
from typing import Any

from pulumi_lockgate.stack.evaluate import evaluate, read_stack
from pulumi_lockgate.stack.files import stack_file
from pulumi_policy import (
    Policy,
    PolicyResource,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import unknown_checking_proxy


def resource(kind: str, urn: str, props: Mapping[str, Any]) -> PolicyResource:
    held = unknown_checking_proxy(copy.deepcopy(dict(props)))
    name = urn.rpartition("::")[2]
    return PolicyResource(kind, held, urn, name, None, None, None, [], {})


def planned(stack: str) -> list[PolicyResource]:
    """A whole stack of this repository, as the engine hands it to a pack."""
    plan = evaluate(stack, read_stack(stack_file(stack)))
    outputs = {"digest": plan.outputs["policyDigest"], "verdict": plan.outputs["verdict"]}
    held = []
    for one in plan.resources:
        # the engine leaves the stack itself out of a URN's types; the mocks do not
        above = f"{one.parent.split('::')[2]}$" if one.parent else ""
        above = above.removeprefix("pulumi:pulumi:Stack$")
        urn = f"urn:pulumi:{stack}::lockgate::{above}{one.type}::{one.name}"
        props = outputs if one.type == "lockgate:index:ModelRouter" else one.inputs
        held.append(resource(one.type, urn, props))
    return held


def judged(policy: Policy, resources: list[PolicyResource]) -> list[tuple[str, str | None]]:
    """What `policy` reports of a stack: messages and URNs."""
    said: list[tuple[str, str | None]] = []

    def report(message: str, urn: str | None = None) -> None:
        said.append((message, urn))

    if isinstance(policy, StackValidationPolicy):
        policy.validate(StackValidationArgs(resources), report)
    else:
        assert isinstance(policy, ResourceValidationPolicy)
        for one in resources:
            args = ResourceValidationArgs(
                one.resource_type, one.props, one.urn, one.name, one.opts, None
            )
            policy.validate(args, report)
    return said
