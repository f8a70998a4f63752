"""Lockgate for Pulumi programs: `import pulumi_lockgate as lockgate`.

`ModelRouter` runs one proved policy, `InferenceService` one model, on the nodes
of a `NodePool`; a `MetalHost` is a Mac outside the cluster that serves one.
`Policy`, `Backend` and `Rule` say a policy in Python; `prove_policy` proves one before anything
else is registered.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pulumi_lockgate.draft import RefusedError
    from pulumi_lockgate.inference_service import InferenceService
    from pulumi_lockgate.metal_host import MetalHost
    from pulumi_lockgate.model_router import ModelRouter
    from pulumi_lockgate.node_pool import NodePool
    from pulumi_lockgate.proved_policy import (
        PolicyViolatedError,
        ProvedPolicy,
        WideningNotAcceptedError,
        prove_policy,
    )
    from pulumi_lockgate.typed import Backend, Policy, Rule

__all__ = [
    "Backend",
    "InferenceService",
    "MetalHost",
    "ModelRouter",
    "NodePool",
    "Policy",
    "PolicyViolatedError",
    "ProvedPolicy",
    "RefusedError",
    "Rule",
    "WideningNotAcceptedError",
    "prove_policy",
]

_ROOMS: Final = {
    "Backend": "typed",
    "InferenceService": "inference_service",
    "MetalHost": "metal_host",
    "ModelRouter": "model_router",
    "NodePool": "node_pool",
    "Policy": "typed",
    "PolicyViolatedError": "proved_policy",
    "ProvedPolicy": "proved_policy",
    "RefusedError": "draft",
    "Rule": "typed",
    "WideningNotAcceptedError": "proved_policy",
    "prove_policy": "proved_policy",
}
"""Loaded when they are first used: a command's help needs neither Pulumi nor the solver."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
