"""What servers say of a request, in their own published words, and whose fault it then is."""

import json
from typing import Any

import pytest
from lockgate.exchange.refusal import Refused, judge, status_of
from lockgate.exchange.response_body import said_in
from lockgate.exchange.retry import Failure

Body = dict[str, Any] | list[Any]


def flat(message: str, kind: str = "BadRequestError") -> Body:
    """vLLM's and SGLang's shape."""
    return {"object": "error", "message": message, "type": kind, "param": None, "code": 400}


def nested(message: str, kind: str = "invalid_request_error", code: object = None) -> Body:
    """OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def verdict(status: int, body: Body) -> Refused | Failure:
    return judge(status, said_in(json.dumps(body).encode()))


TOO_LONG: dict[str, tuple[int, Body]] = {
    # vllm-project/vllm#20409
    "vLLM V0": (400, flat("This model's maximum context length is 16384 tokens. However, you "
                          "requested 122946 tokens (112946 in the messages, 10000 in the completion).")),
    # vllm-project/vllm, vllm/renderers/params.py
    "vLLM V1": (400, nested("You passed 9000 input tokens and requested 100 output tokens. However, "
                            "the model's context length is only 8192 tokens, resulting in a maximum "
                            "input length of 8092 tokens.", "BadRequestError", 400)),
    # sgl-project/sglang, python/sglang/srt/managers/tokenizer_manager.py
    "SGLang": (400, flat("The input (61709 tokens) is longer than the model's context length "
                         "(40960 tokens).")),
    # sgl-project/sglang#4048
    "SGLang, another": (400, flat("Input length (160062 tokens) exceeds the maximum allowed length "
                                  "(59862 tokens). Use a shorter input.")),
    # ggml-org/llama.cpp, tools/server/server-common.cpp; seen with xllamacpp 2026.10
    "llama.cpp": (400, {"error": {"code": 400, "type": "exceed_context_size_error",
                                  "message": "request (2023 tokens) exceeds the available context "
                                             "size (512 tokens), try increasing it"}}),
    # ollama/ollama, llm/llama_server.go
    "Ollama": (400, nested("the prompt is longer than the context length currently available to "
                           "the model; shorten the prompt")),
    # huggingface/text-generation-inference, router/src/validation.rs
    "TGI": (422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= "
                           "4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`",
                  "error_type": "validation"}),
    # google-gemini/gemini-cli#6678
    "Gemini": (400, [{"error": {"code": 400, "status": "INVALID_ARGUMENT",
                                "message": "The input token count (1200293) exceeds the maximum "
                                           "number of tokens allowed (1048576)."}}]),
    "Mistral": (400, flat("Prompt contains 159202 tokens and 0 draft tokens, too large for model "
                          "with 131072 maximum context length", "invalid_request_invalid_args")),
    # anthropics/claude-code#12186
    "Anthropic": (400, {"type": "error", "error": {"type": "invalid_request_error", "message":
                        "prompt is too long: 208310 tokens > 200000 maximum"}}),
    # aws-samples/bedrock-chat#95
    "Bedrock": (400, {"message": "Input is too long for requested model."}),
    # mckaywrigley/chatbot-ui#102
    "OpenAI": (400, nested("This model's maximum context length is 4097 tokens. However, you "
                           "requested 4120 tokens.", code="context_length_exceeded")),
    # cline/cline#5474
    "OpenAI, newer": (400, nested("Input tokens exceed the configured limit of 272000 tokens.")),
    # BerriAI/litellm, litellm_core_utils/exception_mapping_utils.py
    "Azure": (400, nested("This model's maximum context length is 8192 tokens.")),
    # refly-ai/refly#1177
    "OpenRouter": (400, nested("This endpoint's maximum context length is 16384 tokens. However, "
                               "you requested about 26265 tokens.", code=400)),
    # seen with litellm 1.106.2 before a llama.cpp
    "LiteLLM": (400, nested("litellm.ContextWindowExceededError: litellm.BadRequestError: "
                            "OpenAIException - request (2020 tokens) exceeds the available context "
                            "size (512 tokens), try increasing it", code="400")),
}  # fmt: skip


@pytest.mark.parametrize("server", TOO_LONG)
def test_a_prompt_that_is_too_long_is_known_by_each_servers_words(server: str) -> None:
    status, body = TOO_LONG[server]
    assert verdict(status, body) == Failure("upstream_context", status)


@pytest.mark.parametrize("server", ["vLLM V0", "SGLang", "llama.cpp", "TGI", "OpenAI"])
def test_the_same_is_known_inside_a_200(server: str) -> None:
    said = said_in(json.dumps(TOO_LONG[server][1]).encode())
    assert status_of(said) in {400, 422}


@pytest.mark.parametrize(
    "body",
    [
        nested("Rate limit reached on tokens per minute (TPM): Limit 6000. Please reduce the length "
               "of the messages."),
        nested("Invalid 'user': string too long. Expected a string with maximum length 64.",
               code="string_above_max_length"),
        nested("temperature must be between 0 and 2"),
    ],
)  # fmt: skip
def test_other_400s_are_the_callers_own(body: Body) -> None:
    assert isinstance(verdict(400, body), Refused)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        # seen with litellm 1.106.2
        (400, nested("/chat/completions: Invalid model name passed in model=nosuch. Call "
                     "`/v1/models` to view available models for your key.", code="400"),
         "upstream_model"),
        (400, nested("No connected db.", "no_db_connection", "400"), "upstream_auth"),
        (429, nested("No deployments available for selected model, Try again in 60 seconds.",
                     "all_deployments_in_cooldown", "429"), "upstream_rate_limited"),
        (404, nested("The model `x` does not exist.", "NotFoundError", 404), "upstream_model"),
        (404, {"error": {"message": "File Not Found", "type": "not_found_error", "code": 404}},
         "upstream_path"),
        (404, {"detail": "Not Found"}, "upstream_path"),
        (405, {"detail": "Method Not Allowed"}, "upstream_path"),
        (410, nested("The model `old` has been retired."), "upstream_model"),
        (401, nested("no"), "upstream_auth"),
        (402, nested("no"), "upstream_auth"),
        (429, nested("You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
         "insufficient_quota"),
        (413, nested("Request too large for model on tokens per minute", "tokens",
                     "rate_limit_exceeded"), "upstream_rate_limited"),
        (424, {"error": "Request failed during generation", "error_type": "generation"},
         "upstream_error"),
        (500, nested("CUDA error: feature not supported", "server_error"), "upstream_error"),
        (504, nested("x"), "first_token_timeout"),
        (524, nested("x"), "first_token_timeout"),
        (529, nested("Overloaded", "overloaded_error"), "upstream_error"),
    ],
)  # fmt: skip
def test_what_is_not_the_callers_goes_on(status: int, body: Body, code: str) -> None:
    found = verdict(status, body)
    assert isinstance(found, Failure)
    assert found.code == code


def test_of_the_upstreams_text_a_caller_reads_a_bounded_sentence() -> None:
    said = said_in(json.dumps({"error": {"message": "ä" * 5000, "type": "x"}}).encode())
    assert said.message is not None
    assert len(said.message.encode()) <= 1024
    assert set(said.message) == {"ä"}
