"""What a person sees of a first policy: its backends, and lines to try it with."""

import json
import socket
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from lockgate.quickstart.first_policy import Found, url_of
from lockgate.quickstart.servers import PORTS

REACH_S: Final = 2.0


def backend_lines(spec: dict[str, Any], found: Found) -> Iterator[str]:
    """Yield a table of the backends of a spec in wire form: where, whether reachable, which key."""
    rows = [("backend", "tier", "model", "url", "reachable", "key")]
    for backend in spec["backends"]:
        external, url = backend["external"], url_of(backend)
        secret = external.get("credentialsSecretRef", {}).get("name")
        key = f"{found.keys[secret]} in the environment" if secret else "none needed"
        answers = "yes" if backend["tier"] == "local" else _reached(url)
        model = external.get("model", "the client's")
        rows.append((backend["name"], backend["tier"], model, url, answers, key))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip()
    for server in found.servers:
        if server.elsewhere:
            names = ", ".join(server.elsewhere)
            yield f"left out, since {server.product} runs them in its cloud: {names}"


def nothing_found(variables: list[str]) -> str:
    """Return what is said where there is neither a model server nor a key."""
    looked = ", ".join(f"{product} (port {port})" for port, product in PORTS.items())
    return (
        "nothing to route to was found on this machine\n"
        f"looked on 127.0.0.1 for {looked},\n"
        f"and in the environment for {' and '.join(variables)}\n"
        "start a model server (`ollama serve`, and `ollama pull qwen3:8b` once), or export a key"
    )


def curl_lines(spec: dict[str, Any], base_url: str) -> Iterator[str]:
    """Yield three commands to try a router at `base_url` with."""
    model = _asked(spec)
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]})
    chat = f"curl {base_url}/chat/completions -H 'content-type: application/json' -d '{body}'"
    yield f"curl {base_url}/models"
    yield chat
    yield f"{chat} -H 'x-llmkube-classification: pii'"


def _asked(spec: dict[str, Any]) -> str:
    """Return a model that the default backend serves."""
    first = spec["backends"][0]
    if "displayName" in first:
        return str(first["displayName"])
    return {"openai": "gpt-5", "anthropic": "claude-opus-4-7"}[first["name"]]


def _reached(url: str) -> str:
    """Return whether a connection to `url` opens; nothing is sent."""
    place = urlsplit(url)
    try:
        socket.create_connection((place.hostname, place.port or 443), REACH_S).close()
    except OSError:
        return "no"
    return "yes"
