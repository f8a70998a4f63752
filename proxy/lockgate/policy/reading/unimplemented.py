"""Fields of the schema that do not act yet: refused by name, from this one table.

A field that is accepted must act. A row goes when its field begins to.
"""

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen


@frozen
class Row:
    """A field that does not act: its path, for which values, and what to write instead.

    In `path`, ``[]`` stands for any index.
    """

    path: str
    suggestion: str
    when: Callable[[Any], bool] = lambda _: True
    note: str = "any value"


def _among(*values: object) -> Callable[[Any], bool]:
    return lambda value: value in values


_LEAVE_OUT: Final = "leave it out"

TABLE: Final = (
    Row("backends[].costPerMillionTokens", "leave it out; budgets come later"),
    Row(
        "backends[].external.provider",
        "write `provider: openai`, `anthropic` or `litellm`; a LiteLLM proxy speaks to the others",
        _among("bedrock", "vertex_ai", "azure_openai"),
        "bedrock, vertex_ai, azure_openai",
    ),
    Row("rules[].onUnsupported", _LEAVE_OUT),
    Row("policy.auth", "leave it out; keep clients apart with a NetworkPolicy"),
    Row("policy.budgets", _LEAVE_OUT),
    Row(
        "policy.classification.mode",
        "write `mode: header-only`",
        _among("detector", "hybrid"),
        "detector, hybrid",
    ),
    Row("policy.auditLog.sink", "write `sink: stdout` or `file`", _among("otlp"), "otlp"),
    Row(
        "policy.auditLog.includeRequestBody",
        "leave it out: prompts are never recorded",
        _among(True),
        "true",
    ),
    Row(
        "proxy.egress.fqdnPolicy",
        "write `fqdnPolicy: cilium`, `cidrs` or `gateway`: in a Calico policy, `domains` are of "
        "Calico Enterprise and Calico Cloud alone",
        _among("calico"),
        "calico",
    ),
    Row("endpoint.path", "leave it out; the doors are /v1/chat/completions and /v1/models"),
    Row("endpoint.gateway", _LEAVE_OUT),
    Row("dataPlane", "leave it out; the proxy is the data plane"),
    Row("gatewayRef", _LEAVE_OUT),
    Row("mcpServer", _LEAVE_OUT),
)

BY_PATH: Final = {row.path: row for row in TABLE}
