"""Finds model servers on loopback, and which of their models really run on this machine.

A port alone says nothing: whatever listens is asked for its models and told apart by what it
answers, each product by a page that only it has. (llama.cpp also answers some of Ollama's paths.)
Ollama lists models that run in its own cloud beside those that run here; the first are left out, as
they are in tier local.

Sources: https://docs.ollama.com/api (`/api/version`, `/api/tags` with `remote_host`),
https://github.com/ggml-org/llama.cpp/tree/master/tools/server (`/props`),
https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html (`owned_by` is `vllm`),
https://lmstudio.ai/docs/developer/rest (`/api/v0/models`).
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import frozen

from lockgate.policy.spec.names import is_ollama_cloud

PORTS: Final[Mapping[int, str]] = {
    11434: "Ollama",
    8080: "llama.cpp",
    8000: "vLLM",
    1234: "LM Studio",
    30000: "SGLang",
}
"""Where each product listens unless it is told otherwise."""
TIMEOUT_S: Final = 1.0
MAX_PAGE_BYTES: Final = 4 << 20
_NO_CHAT: Final = ("embed", "rerank", "whisper")
"""Parts of the names of models that answer no chat."""
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks without the proxies that the environment may name."""
Get = Callable[[str], Any]
"""Returns the JSON document at a URL, None where there is none."""


@frozen
class ModelServer:
    """One model server: its product, base URL, and models.

    `elsewhere` are models that it lists and that do not run here.
    """

    product: str
    url: str
    models: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()


def look(ports: Iterable[int], get: Get | None = None) -> list[ModelServer]:
    """Return the model servers that answer on `ports` of loopback, in that order."""
    ask = get or fetch
    numbers = list(dict.fromkeys(ports))
    if not numbers:
        return []
    with ThreadPoolExecutor(len(numbers)) as pool:
        found = pool.map(lambda port: _server(f"http://127.0.0.1:{port}", ask), numbers)
        return [server for server in found if server is not None]


def ports_of(environment: Mapping[str, str]) -> list[int]:
    """Return the ports to look at: the usual ones, first that of OLLAMA_HOST where it is here."""
    stated = environment.get("OLLAMA_HOST", "")
    try:
        place = urlsplit(stated if "://" in stated else f"//{stated}")
        port = place.port or 11434
    except ValueError:
        return list(PORTS)
    here = place.hostname in {"127.0.0.1", "localhost", "0.0.0.0", "::1"}  # noqa: S104 - compared
    return list(dict.fromkeys([*([port] if here else []), *PORTS]))


def _server(root: str, get: Get) -> ModelServer | None:
    listed = _items(get(f"{root}/v1/models"), "data")
    names = [str(model["id"]) for model in listed if isinstance(model.get("id"), str)]
    owners = {model.get("owned_by") for model in listed}
    if not names or "lockgate" in owners:
        return None
    url = f"{root}/v1"
    if isinstance(_member(get(f"{root}/props"), "default_generation_settings"), dict):
        return ModelServer("llama.cpp", url, _chat(names))
    if isinstance(_member(get(f"{root}/api/version"), "version"), str):
        return _ollama(root, url, get)
    for owner, product in (("vllm", "vLLM"), ("sglang", "SGLang")):
        if owner in owners:
            return ModelServer(product, url, _chat(names))
    kinds = _items(get(f"{root}/api/v0/models"), "data")
    if kinds:
        talkers = [str(m["id"]) for m in kinds if m.get("type") in {"llm", "vlm"} and "id" in m]
        return ModelServer("LM Studio", url, _chat(talkers))
    return ModelServer("OpenAI-compatible", url, _chat(names))


def _ollama(root: str, url: str, get: Get) -> ModelServer:
    tags = _items(get(f"{root}/api/tags"), "models")
    named = {str(tag["name"]): tag for tag in tags if isinstance(tag.get("name"), str)}
    away = [n for n, tag in named.items() if tag.get("remote_host") or is_ollama_cloud(n)]
    here = [name for name in named if name not in away]
    return ModelServer("Ollama", url, _chat(here), tuple(away))


def _chat(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if not any(part in name.lower() for part in _NO_CHAT))


def _member(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, dict) else None


def _items(document: Any, name: str) -> list[dict[str, Any]]:
    found = _member(document, name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def fetch(url: str) -> Any:
    """Return the JSON document at `url`, None where there is none within a second."""
    try:
        with _DIRECT.open(url, timeout=TIMEOUT_S) as response:
            return json.loads(response.read(MAX_PAGE_BYTES))
    except (OSError, HTTPException, ValueError, RecursionError):
        return None
