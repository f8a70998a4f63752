"""Small policies for the proof's tests."""

from typing import Any

from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.load import compiled
from lockgate.policy.spec.backends import Backend, External, InferenceServiceRef
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.rules import Match, RouteTo, Rule
from pulumi_lockgate.proof.checks import prove
from pulumi_lockgate.proof.report import Finding, Report

LOCAL = Backend(name="l", inference_service_ref=InferenceServiceRef(name="l"))
CLOUD = Backend(name="c", tier="cloud", external=External(provider="openai", model="m"))
SENSITIVE = ("pii", "phi")


def rule(name: str, *backends: str, closed: bool = True, **match: Any) -> Rule:
    return Rule(
        name=name,
        match=Match(**match) if match else None,
        route=RouteTo(backends=backends),
        fail_closed=closed,
    )


KEEP = rule("keep", "l", data_classification=SENSITIVE)


def policy(
    *rules: Rule, backends: tuple[Backend, ...] = (LOCAL, CLOUD), **fields: Any
) -> LoadedPolicy:
    return compiled(RouterSpec(backends=backends, rules=rules, **fields))


def report(*rules: Rule, **fields: Any) -> Report:
    return prove(policy(*rules, **fields))


def of(kind: str, found: Report) -> list[Finding]:
    return [one for one in found.findings if one.kind == kind]
