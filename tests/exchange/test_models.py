"""What GET /v1/models says: the backends, as OpenAI's list of models."""

import json

from lockgate.exchange.models import SHOWN_CHARS, model_documents, models_document, no_such_model
from lockgate.policy.spec.backends import Backend, InferenceServiceRef
from lockgate.policy.spec.model_router import RouterSpec

BARE = Backend(name="a", inference_service_ref=InferenceServiceRef(name="a"))
RICH = Backend(
    name="b",
    inference_service_ref=InferenceServiceRef(name="b"),
    capabilities=("tools", "vision"),
    context_length=32768,
    max_output_tokens=4096,
)
SPEC = RouterSpec(backends=(BARE, RICH), rules=())


def test_a_model_has_what_openai_says_and_its_tier() -> None:
    listed = json.loads(models_document(SPEC))
    assert listed["object"] == "list"
    assert listed["data"][0] == {
        "id": BARE.published_id, "object": "model", "created": 0, "owned_by": "lockgate", "tier": "local",
    }  # fmt: skip


def test_what_a_backend_declares_is_shown_and_nothing_else() -> None:
    rich = json.loads(models_document(SPEC))["data"][1]
    assert rich["capabilities"] == ["tools", "vision"]
    assert (rich["context_length"], rich["max_output_tokens"]) == (32768, 4096)


def test_each_is_found_by_the_id_that_the_list_gives_it() -> None:
    listed = json.loads(models_document(SPEC))["data"]
    assert {one: json.loads(text) for one, text in model_documents(SPEC).items()} == {
        model["id"]: model for model in listed
    }


def test_a_name_that_a_client_made_up_is_said_back_and_cut() -> None:
    assert no_such_model("gpt-9").startswith('"gpt-9" is not among those')
    assert no_such_model("x" * 10_000).startswith(f'"{"x" * SHOWN_CHARS}..." is not')
