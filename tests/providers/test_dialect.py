"""The head that goes up: the provider's path and key, the caller's listed fields, our framing."""

import h11
import pytest
from lockgate.policy.spec.backends import Backend, External, InferenceServiceRef
from lockgate.providers.dialect import (
    chat_path,
    connection_named,
    head_prefix,
    probe_bytes,
    request_head,
)

LOCAL = Backend(name="a", inference_service_ref=InferenceServiceRef(name="a"))


def cloud(provider: str) -> Backend:
    return Backend(name="c", tier="cloud", external=External(provider=provider, model="m"))  # type: ignore[arg-type]


def fields(head: bytes) -> dict[bytes, bytes]:
    """Return what h11 reads of a head."""
    peer = h11.Connection(h11.SERVER)
    peer.receive_data(head)
    event = peer.next_event()
    assert isinstance(event, h11.Request)
    return dict(event.headers)


@pytest.mark.parametrize(
    ("backend", "base", "path"),
    [
        (LOCAL, "/v1", "/v1/chat/completions"),
        (LOCAL, "/v1/", "/v1/chat/completions"),
        (LOCAL, "", "/chat/completions"),
        (cloud("openai"), "/v1", "/v1/chat/completions"),
        (cloud("anthropic"), "", "/v1/chat/completions"),
        (cloud("anthropic"), "/proxy/", "/proxy/v1/chat/completions"),
    ],
)
def test_the_chat_door_is_under_the_base_path(backend: Backend, base: str, path: str) -> None:
    assert chat_path(backend, base) == path


def test_a_key_is_shown_where_there_is_one_and_a_cloud_connection_is_not_kept() -> None:
    head = fields(head_prefix(cloud("openai"), "/v1", "api.example", "sk-1") + b"\r\n")
    assert head[b"authorization"] == b"Bearer sk-1"
    assert (head[b"host"], head[b"connection"]) == (b"api.example", b"close")
    bare = fields(head_prefix(LOCAL, "/v1", "a:8080", None) + b"\r\n")
    assert b"authorization" not in bare
    assert b"connection" not in bare


def test_of_the_callers_fields_only_the_listed_ones_go_up_and_none_of_its_hop() -> None:
    backend = Backend(
        name="a",
        inference_service_ref=InferenceServiceRef(name="a"),
        upward_headers=("X-Org", "X-Hop"),
    )
    came = {
        "x-org": ("one", "two"), "x-hop": ("no",), "cookie": ("no",), "connection": ("close, X-Hop",),
    }  # fmt: skip
    head = request_head(b"POST / HTTP/1.1\r\nhost: x\r\n", backend, 5, "req-1", came)
    assert head.count(b"x-org: ") == 2
    assert b"no" not in head
    assert fields(head)[b"content-length"] == b"5"
    assert fields(head)[b"x-request-id"] == b"req-1"


def test_a_body_without_a_length_is_chunked() -> None:
    head = request_head(b"POST / HTTP/1.1\r\nhost: x\r\n", LOCAL, None, "req-1", {})
    assert fields(head)[b"transfer-encoding"] == b"chunked"
    assert b"content-length" not in fields(head)


def test_connection_names_fields_in_any_case_and_in_several_lines() -> None:
    named = connection_named({"connection": ("Close, X-A", "x-b")})
    assert named == {"close", "x-a", "x-b"}
    assert connection_named({}) == frozenset()


def test_a_health_check_is_a_get_with_the_backends_own_key() -> None:
    asked = fields(probe_bytes("/health", "a:8080", "sk-1"))
    assert (asked[b"host"], asked[b"authorization"]) == (b"a:8080", b"Bearer sk-1")
    assert b"authorization" not in fields(probe_bytes("/health", "a:8080", None))
