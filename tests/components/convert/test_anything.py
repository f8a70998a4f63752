"""Whatever stands anywhere in a source, the answer is a config that loads, or a refusal."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from lockgate.policy.reading.document import Node, from_plain
from lockgate.policy.reading.problem import PolicyRefusedError
from pulumi_lockgate.convert.difference import Imported
from pulumi_lockgate.convert.litellm.config import import_litellm
from pulumi_lockgate.convert.llmkube.router import import_router, load_written

ROUTER: dict[str, Any] = {
    "apiVersion": "inference.llmkube.dev/v1alpha1",
    "kind": "ModelRouter",
    "metadata": {"name": "r", "namespace": "n"},
    "spec": {
        "backends": [
            {"name": "a", "inferenceServiceRef": {"name": "a"}, "capabilities": ["code"], "weight": 1,
             "timeout": "5s", "healthCheck": {"path": "/h"}, "costPerMillionTokens": {"promptUSD": "1"}},
            {"name": "b", "tier": "cloud", "external": {"provider": "openai", "model": "m", "url": "http://x",
             "credentialsSecretRef": {"name": "k"}}},
        ],
        "rules": [
            {"name": "r", "match": {"dataClassification": ["pii"], "models": ["x*"], "headers": {"A": "b"},
             "requiredCapabilities": ["code"], "latencySLOMs": 5, "taskComplexity": "simple"},
             "route": {"backends": ["a"], "strategy": "weighted"}, "failClosed": True, "timeout": "1s"},
        ],
        "defaultRoute": "a", "defaultRouteStrategy": "Static", "dataPlane": "Proxy",
        "policy": {"classification": {"mode": "header-only", "headerKey": "x", "sensitiveClassifications": ["pii"]},
                   "auditLog": {"sink": "stdout"}, "budgets": [{"name": "b", "scope": "router", "maxTokens": 1}],
                   "auth": {"allowlists": [{"team": "t"}]}},
        "proxy": {"replicas": 1, "image": "i", "quarantineDuration": "1s", "responseHeaderTimeout": "1s"},
        "endpoint": {"port": 80, "type": "ClusterIP", "path": "/v1/chat/completions", "gateway": {"enabled": False}},
        "mcpServer": {"enabled": False},
    },
}  # fmt: skip
LITELLM: dict[str, Any] = {
    "model_list": [
        {"model_name": "a", "litellm_params": {"model": "openai/a", "api_key": "k", "weight": 1, "timeout": 5},
         "model_info": {"mode": "chat"}, "rpm": 5},
        {"model_name": "b", "litellm_params": {"model": "hosted_vllm/b", "api_base": "http://10.0.0.1/v1"}},
    ],
    "router_settings": {"fallbacks": [{"a": ["b"]}], "model_group_alias": {"c": "b"}, "timeout": 5,
                        "default_fallbacks": ["b"], "routing_strategy": "simple-shuffle"},
    "litellm_settings": {"fallbacks": [{"b": ["a"]}], "request_timeout": 5, "num_retries": 0},
    "general_settings": {"master_key": "k"},
}  # fmt: skip
TIERS = {"a": "cloud", "b": "local"}


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (holder, key) of every value inside, so that it can be replaced."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 99) | st.floats(0, 9) | st.text(max_size=5)
    | st.sampled_from(["a", "b", "os.environ/X", "*", "[", "5s", "pii", "PII", "http://[", "cloud"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "name", "model"]), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


def answers(
    read: Callable[[tuple[Node, ...]], Imported], source: Any, number: int, value: Any
) -> None:
    """Hold `read` to an answer where one value of `source` is another."""
    changed = deepcopy(source)
    found = list(places(changed))
    holder, key = found[number % len(found)]
    holder[key] = value
    try:
        imported = read((from_plain(changed),))
    except PolicyRefusedError:
        return
    assert all(problem.suggestion for problem in imported.refused)
    assert imported.config or imported.refused
    if imported.config:
        load_written(imported)


@example(6, [])  # no backend at all
@given(st.integers(0, 400), anything)
def test_of_a_model_router(number: int, value: Any) -> None:
    answers(lambda documents: import_router(documents, "f"), ROUTER, number, value)


@given(st.integers(0, 400), anything)
def test_of_a_litellm_config(number: int, value: Any) -> None:
    answers(lambda documents: import_litellm(documents, "f", TIERS), LITELLM, number, value)
