"""What clients read of the models there are: GET /v1/models, one of them, or that there is no such.

https://platform.openai.com/docs/api-reference/models; the fields beyond `id`, `object`, `created`
and `owned_by` are there where the policy declares them.
"""

from typing import Any, Final

import orjson

from lockgate.policy.spec.backends import Backend
from lockgate.policy.spec.model_router import RouterSpec

SHOWN_CHARS: Final = 128
"""As much of a name that a client made up as is said back to it."""


def models_document(spec: RouterSpec) -> bytes:
    """Return the list of all."""
    data = [_model(backend) for backend in spec.backends]
    return orjson.dumps({"object": "list", "data": data})


def model_documents(spec: RouterSpec) -> dict[str, bytes]:
    """Return each by its id."""
    return {backend.published_id: orjson.dumps(_model(backend)) for backend in spec.backends}


def no_such_model(name: str) -> str:
    """Return what is said to who asked for `name`."""
    shown = name if len(name) <= SHOWN_CHARS else f"{name[:SHOWN_CHARS]}..."
    return f'"{shown}" is not among those that GET /v1/models lists.'


def _model(backend: Backend) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": backend.published_id,
        "object": "model",
        "created": 0,
        "owned_by": "lockgate",
        "tier": backend.tier,
    }
    if backend.capabilities:
        document["capabilities"] = list(backend.capabilities)
    if backend.context_length is not None:
        document["context_length"] = backend.context_length
    if backend.max_output_tokens is not None:
        document["max_output_tokens"] = backend.max_output_tokens
    return document
