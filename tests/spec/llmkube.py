"""What LLMKube's router-proxy does with a request, naively, from its own sources and schema.

A request is one model and one value for each header, as it reads them. Patterns in the tests have
no class, escape or slash; a bad one is ``[``.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any


def _equal(match: Mapping[str, Any], label: str, headers: Mapping[str, str]) -> bool:
    """Whether the dimensions that are equalities hold."""
    labels = match.get("dataClassification") or [label]
    complexity = headers.get("x-llmkube-task-complexity", "").lower()
    return (
        label in labels
        and match.get("taskComplexity", complexity) == complexity
        and all(headers.get(n.lower()) == v for n, v in match.get("headers", {}).items())
    )


def _takes(pattern: str, model: str) -> bool:
    """Whether a pattern takes a model's name; a star ends at a slash."""
    return fnmatchcase(model, pattern) and model.count("/") == pattern.count("/")


def _matches(spec: Any, rule: Any, model: str, label: str, headers: Mapping[str, str]) -> bool:
    match = rule.get("match") or {}
    patterns = match.get("models")
    if patterns and not any(_takes(p, model) for p in patterns if p != "["):
        return False
    needed = set(match.get("requiredCapabilities", ()))
    held = {b["name"]: set(b.get("capabilities", ())) for b in spec["backends"]}
    if needed and not any(needed <= held[name] for name in rule["route"]["backends"]):
        return False
    return _equal(match, label, headers)


def cloud_reached(spec: Any, model: str, headers: Mapping[str, str]) -> set[str]:
    """Return the cloud backends that may get this request, each failure allowed for."""
    policy = (spec.get("policy") or {}).get("classification") or {}
    label = headers.get(policy.get("headerKey", "x-llmkube-classification"), "").lower()
    tiers = {b["name"]: b.get("tier", "local") for b in spec["backends"]}
    rule = next(
        (r for r in spec.get("rules", ()) if _matches(spec, r, model, label, headers)), None
    )
    if rule is not None:
        chain = rule["route"]["backends"]  # it never goes on to defaultRoute
        sensitive = label in (policy.get("sensitiveClassifications") or ("pii", "phi"))
        gate = rule.get("failClosed", False) and sensitive
        if gate and any(tiers[name] != "local" for name in chain):
            return set()
    else:
        named = [b["name"] for b in spec["backends"] if b.get("displayName", b["name"]) == model]
        by_name = spec.get("defaultRouteStrategy") == "BackendNameMatch"
        chain = named[:1] if by_name and named else [spec.get("defaultRoute")]
    return {name for name in chain if name is not None and tiers[name] == "cloud"}
