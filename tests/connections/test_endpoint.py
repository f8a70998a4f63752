"""Where a backend is, how its provider is spoken to, and what its names mean."""

import pytest
from lockgate.connections.endpoint import NoAddressError, endpoint_of
from lockgate.policy.deciding.labels import read_labels
from lockgate.policy.spec.backends import Backend, External, InferenceServiceRef, SecretRef
from lockgate.policy.spec.model_router import Classification
from lockgate.providers.dialect import chat_path, head_prefix, request_head


def external(provider: str, url: str | None = None) -> Backend:
    held = External(provider=provider, model="m", url=url)  # type: ignore[arg-type]
    return Backend(name="b", tier="cloud", external=held)


@pytest.mark.parametrize(
    ("backend", "override", "address", "path"),
    [
        (external("openai"), None, "https api.openai.com 443", "/v1/chat/completions"),
        (external("anthropic"), None, "https api.anthropic.com 443", "/v1/chat/completions"),
        (external("litellm", "https://l.example:4000/v1"), None, "https l.example 4000", "/v1/chat/completions"),
        (external("openai", "https://h/openai/v1/"), None, "https h 443", "/openai/v1/chat/completions"),
        (external("openai"), "http://127.0.0.1:9", "http 127.0.0.1 9", "/v1/chat/completions"),
        (external("openai"), "http://[::1]:9/base", "http ::1 9", "/base/chat/completions"),
        (
            Backend(name="b", inference_service_ref=InferenceServiceRef(name="q.3", namespace="ns")),
            None, "http q-3.ns.svc.cluster.local 8080", "/v1/chat/completions",
        ),
        (
            Backend(name="b", inference_service_ref=InferenceServiceRef(name="q")),
            None, "http q 8080", "/v1/chat/completions",
        ),
    ],
)  # fmt: skip
def test_an_endpoint_out_of_the_policy(
    backend: Backend, override: str | None, address: str, path: str
) -> None:
    found = endpoint_of(backend, override)
    assert f"{found.scheme} {found.host} {found.port}" == address
    assert chat_path(backend, found.base_path) == path


def test_a_backend_without_an_address_is_told() -> None:
    with pytest.raises(NoAddressError):
        endpoint_of(external("litellm"))


def test_cloud_requests_close_their_connection_and_local_ones_keep_it() -> None:
    cloud = head_prefix(external("openai"), "/v1", "h", "sk-1")
    assert b"connection: close" in cloud
    assert b"authorization: Bearer sk-1" in cloud
    local = Backend(name="b", inference_service_ref=InferenceServiceRef(name="q"))
    prefix = head_prefix(local, "/v1", "q:8080", None)
    assert b"connection" not in prefix
    assert b"authorization" not in prefix
    whole = request_head(prefix, local, 2, "req-1", {"x-org": ("a",)})
    assert whole.endswith(b"x-request-id: req-1\r\ncontent-length: 2\r\n\r\n")


def test_names_that_a_backend_goes_by() -> None:
    ref = InferenceServiceRef(name="qwen")
    assert Backend(name="b", inference_service_ref=ref).published_id == "b"
    assert Backend(name="b", display_name="d", inference_service_ref=ref).published_id == "d"
    assert Backend(name="b", inference_service_ref=ref).upstream_model == "qwen"
    assert Backend(name="b", inference_service_ref=ref, served_model="s").upstream_model == "s"
    assert (
        Backend(name="b", inference_service_ref=ref, served_model="caller").upstream_model is None
    )
    cloud = External(provider="openai")
    assert Backend(name="b", external=cloud, served_model="caller").upstream_model is None


def test_a_secret_is_a_name_and_nothing_else() -> None:
    assert repr(SecretRef(name="k")) == "SecretRef(name='k')"


def test_labels_are_the_policys_own() -> None:
    own = Classification(sensitive_classifications=("genomic",), known_classifications=("open",))
    assert read_labels(("genomic",), own).sensitive
    assert not read_labels(("open",), own).sensitive
    assert read_labels(("pii",), own).unrecognised
