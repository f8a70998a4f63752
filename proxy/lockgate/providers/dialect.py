"""The request head for each provider: the path for chat, how the key is sent.

- openai, litellm and any OpenAI-compatible server: ``BASE/chat/completions`` with
  ``Authorization: Bearer`` (https://platform.openai.com/docs/api-reference/authentication).
- anthropic: its OpenAI-compatible endpoint ``BASE/v1/chat/completions``, same header
  (https://docs.anthropic.com/en/api/openai-sdk); its native dialect comes with a later version.

Of the client's headers only those go up that the backend lists in `upwardHeaders`.
"""

from collections.abc import Mapping
from typing import Final

from lockgate.policy.spec.backends import Backend

USER_AGENT: Final = b"lockgate"


def chat_path(backend: Backend, base_path: str) -> str:
    """Return the path for chat under the backend's base path."""
    anthropic = backend.external is not None and backend.external.provider == "anthropic"
    return base_path.rstrip("/") + ("/v1" if anthropic else "") + "/chat/completions"


def head_prefix(backend: Backend, base_path: str, host: str, key: str | None) -> bytes:
    """Return the head's part that is the same for every request to this backend."""
    lines = [
        f"POST {chat_path(backend, base_path)} HTTP/1.1".encode("ascii"),
        b"host: " + host.encode("ascii"),
        b"content-type: application/json",
        b"accept: application/json, text/event-stream",
        b"accept-encoding: identity",
        b"user-agent: " + USER_AGENT,
    ]
    if backend.tier == "cloud":
        lines.append(b"connection: close")
    if key is not None:
        lines.append(b"authorization: Bearer " + key.encode("ascii"))
    return b"\r\n".join(lines) + b"\r\n"


def probe_bytes(path: str, host: str, key: str | None) -> bytes:
    """Return a health check's request: a GET for `path`, with the backend's own key."""
    lines = [f"GET {path} HTTP/1.1", f"host: {host}", "accept: */*", "accept-encoding: identity"]
    lines.append(f"user-agent: {USER_AGENT.decode()}")
    if key is not None:
        lines.append(f"authorization: Bearer {key}")
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n"


def connection_named(headers: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """Return the fields that `Connection` names: for this hop only (RFC 9110, section 7.6.1)."""
    values = headers.get("connection", ())
    return frozenset(token.strip().lower() for value in values for token in value.split(","))


def request_head(
    prefix: bytes,
    backend: Backend,
    length: int | None,
    request_id: str,
    client_headers: Mapping[str, tuple[str, ...]],
) -> bytes:
    """Return a request's head: prefix, listed client headers, request id, framing, blank line.

    `length` None: the body is chunked.
    """
    names: tuple[str, ...] = backend.upward_headers
    listed = _listed(names, client_headers) if names else b""
    own_id = request_id.encode("ascii")
    if length is None:
        framing = b"transfer-encoding: chunked"
        return b"%b%bx-request-id: %b\r\n%b\r\n\r\n" % (prefix, listed, own_id, framing)
    return b"%b%bx-request-id: %b\r\ncontent-length: %d\r\n\r\n" % (
        prefix,
        listed,
        own_id,
        length,
    )


def _listed(names: tuple[str, ...], client_headers: Mapping[str, tuple[str, ...]]) -> bytes:
    """Render those of the client's headers that go up."""
    lines = b""
    hop = connection_named(client_headers)
    for name in names:
        if name.lower() in hop:
            continue
        for value in client_headers.get(name.lower(), ()):
            lines += b"%b: %b\r\n" % (name.lower().encode("ascii"), value.encode("latin-1"))
    return lines
