"""Random ModelRouter manifests of LLMKube, and requests as it reads them."""

from typing import Any

from hypothesis import strategies as st

NAMES = ("a", "b", "c")
LABELS = ("pii", "phi", "public", "secret", "PUBLIC", "PII")
MODELS = ("gpt-4o", "gpt-3", "a", "b", "one", "qwen3")
_some_labels = st.lists(st.sampled_from(LABELS), min_size=1, max_size=2)


def _maybe(values: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=values)


@st.composite
def _backend(draw: st.DrawFn, name: str) -> dict[str, Any]:
    more = draw(_maybe({
        "displayName": st.just(f"shown-{name}"),
        "capabilities": st.lists(st.sampled_from(["code", "vision"]), unique=True),
        "weight": st.sampled_from([0, 1, 3]),
        "timeout": st.sampled_from(["5s", "3m"]),
        "healthCheck": st.sampled_from([{"path": "/h"}, {}]),
    }))  # fmt: skip
    if draw(st.booleans()):
        return {"name": name, "inferenceServiceRef": {"name": f"svc.{name}"}, **more}
    inside = ["http://10.1.1.1", "http://s.svc/v1"]
    tier = draw(st.sampled_from(["cloud", "cloud", "local"]))
    url = draw(st.sampled_from([*inside, "https://x.example.com"] if tier == "cloud" else inside))
    external = {"provider": "openai", "model": "m", "url": url}
    return {"name": name, "external": external, "tier": tier, **more}


_dimensions = {
    "dataClassification": _some_labels,
    "taskComplexity": st.sampled_from(["simple", "complex"]),
    "models": st.lists(st.sampled_from(["gpt-*", "gpt-4o", "a", "[", "*"]), min_size=1, max_size=2),
    "headers": st.sampled_from([{"X-Org": "one"}, {"x-org": "two"}]),
    "requiredCapabilities": st.sampled_from([["code"], ["code", "vision"]]),
    "latencySLOMs": st.just(800),
}


@st.composite
def _match(draw: st.DrawFn) -> dict[str, Any]:
    """Draw one or two dimensions, labels more often: where all are stated, little matches."""
    names = st.lists(st.sampled_from(["dataClassification", *_dimensions]), min_size=1, max_size=2)
    return {name: draw(_dimensions[name]) for name in draw(names)}


@st.composite
def router_specs(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the spec of a ModelRouter, also one that LLMKube's own validator would refuse."""
    names = NAMES[: draw(st.sampled_from([3, 2, 3, 1]))]
    routes = st.fixed_dictionaries(
        {"backends": st.lists(st.sampled_from(names), min_size=1, max_size=3)},
        optional={"strategy": st.sampled_from(["primary-fallback", "weighted", "shadow"])},
    )
    rules = [
        {
            "name": f"r{number}",
            "route": draw(routes),
            **draw(
                _maybe({"match": _match(), "failClosed": st.booleans(), "timeout": st.just("9s")})
            ),
        }
        for number in range(draw(st.sampled_from([2, 1, 3, 0, 4])))
    ]
    spec = {"backends": [draw(_backend(name)) for name in names], "rules": rules}
    default = draw(st.sampled_from([*names, None]))
    sensitive = st.lists(st.sampled_from(["pii", "secret", "PHI"]), max_size=2)
    classification = st.fixed_dictionaries({}, optional={"sensitiveClassifications": sensitive})
    policy = st.fixed_dictionaries({"classification": classification})
    strategy = st.sampled_from(["Static", "BackendNameMatch"])
    spec |= {} if default is None else {"defaultRoute": default}
    return spec | draw(_maybe({"defaultRouteStrategy": strategy, "policy": policy}))


_label = st.sampled_from(["pii", "PHI", "public", "secret", "Public", "typo", "internal"])
read_headers = st.fixed_dictionaries({}, optional={
    "x-llmkube-classification": _label,
    "x-llmkube-task-complexity": st.sampled_from(["simple", "complex", "odd"]),
    "x-org": st.sampled_from(["one", "two", "three"]),
})  # fmt: skip
models = st.sampled_from((*MODELS, "shown-a", "shown-b"))
any_headers = st.fixed_dictionaries({}, optional={
    "x-llmkube-classification": st.lists(
        _label | st.sampled_from(["public, secret", "secret,public", ""]), min_size=1, max_size=2
    ),
    "x-llmkube-task-complexity": st.lists(
        st.sampled_from(["simple", "complex", "Complex", "odd"]), min_size=1, max_size=2
    ),
    "x-org": st.lists(st.sampled_from(["one", "two"]), min_size=1, max_size=2),
})  # fmt: skip
