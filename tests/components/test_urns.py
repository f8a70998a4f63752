"""What the engine knows a resource by does not change: an existing stack shows no replacement."""

from pathlib import Path

from pulumi_lockgate.stack.evaluate import evaluate, read_stack

ROOT = Path(__file__).parent.parent.parent
ROUTER, MODEL = "lockgate:index:ModelRouter", "lockgate:index:InferenceService"
BEFORE = {
    ("", "pulumi:providers:kubernetes", "policies"),
    ("", "pulumi:providers:kubernetes", "cluster"),
    ("", "kubernetes:core/v1:Namespace", "namespace"),
    ("", MODEL, "qwen3-coder"),
    (f"{MODEL}::qwen3-coder", "kubernetes:core/v1:ServiceAccount", "qwen3-coder-account"),
    (f"{MODEL}::qwen3-coder", "kubernetes:networking.k8s.io/v1:NetworkPolicy", "qwen3-coder-network-policy"),
    (f"{MODEL}::qwen3-coder", "kubernetes:apps/v1:Deployment", "qwen3-coder-deployment"),
    (f"{MODEL}::qwen3-coder", "kubernetes:core/v1:Service", "qwen3-coder-service"),
    (f"{MODEL}::qwen3-coder", "kubernetes:core/v1:Service", "qwen3-coder-pods"),
    ("", ROUTER, "lockgate"),
    (f"{ROUTER}::lockgate", "kubernetes:core/v1:ServiceAccount", "lockgate-account"),
    (f"{ROUTER}::lockgate", "kubernetes:core/v1:ConfigMap", "lockgate-policy-203fa57e68"),  # its alias: `lockgate-policy`
    (f"{ROUTER}::lockgate", "kubernetes:networking.k8s.io/v1:NetworkPolicy", "lockgate-network-policy"),
    (f"{ROUTER}::lockgate", "kubernetes:apps/v1:Deployment", "lockgate-deployment"),
    (f"{ROUTER}::lockgate", "kubernetes:core/v1:Service", "lockgate-service"),
    (f"{ROUTER}::lockgate", "kubernetes:policy/v1:PodDisruptionBudget", "lockgate-disruption-budget"),
}  # fmt: skip
"""Parent, type and name of each resource of the dev stack in version 0.1.0, but for the policy's own."""
DIGESTS = {
    "dev": "sha256:203fa57e684e78a7e0b37491cbebbc069d4c5e54c847aab2788bdaca2194b7b8",
    "staging": "sha256:5e364f537c09ca61aa4241cf8d92be9c28725770d37e4939e1789b37e46af81b",
    "prod": "sha256:2ffa4f7c928f7a17aba6515acd94995f9cd7a96df99976601d1b3291c60c3f36",
}
"""The policies of version 0.1.0, to the byte."""


def test_every_resource_has_the_parent_type_and_name_that_it_had() -> None:
    plan = evaluate("dev", read_stack(ROOT / "stacks" / "Pulumi.dev.yaml"))
    now = {(_above(one.parent), one.type, one.name) for one in plan.resources}
    assert now == BEFORE


def test_every_stacks_policy_has_the_bytes_that_it_had() -> None:
    for stack, digest in DIGESTS.items():
        plan = evaluate(stack, read_stack(ROOT / "stacks" / f"Pulumi.{stack}.yaml"))
        assert plan.outputs["policyDigest"] == digest, stack


def _above(urn: str) -> str:
    kind, _, name = urn.partition("::lockgate::")[2].rpartition("::")
    return "" if kind == "pulumi:pulumi:Stack" else f"{kind.rpartition('$')[2]}::{name}"
