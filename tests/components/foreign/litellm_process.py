"""The real LiteLLM proxy, in a process of its own environment, with nothing behind it.

Reads a JSON line `{"config": ..., "requests": [...]}` and answers with one. Its own app, its own
reading of the config and its own router run unmodified; `litellm.acompletion`, which would send a
request to a deployment, is replaced by one that notes the deployment and fails as it is told.
A deployment is known by its `api_key`, which says its number; it fails in one way, or in several
one after the other.
"""

import asyncio
import contextlib
import io
import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_MODE="PRODUCTION", DO_NOT_TRACK="1")
REPLIES = sys.stdout
sys.stdout = sys.stderr  # what it prints as it starts is no answer

import httpx  # noqa: E402 - after the above
import litellm  # noqa: E402 - after the above
from litellm.proxy import proxy_server  # noqa: E402 - after the above
from litellm.proxy.route_llm_request import route_request  # noqa: E402 - after the above

logging.disable(logging.CRITICAL)
GLOBALS = {
    name: getattr(litellm, name)
    for name in (
        "fallbacks",
        "default_fallbacks",
        "context_window_fallbacks",
        "content_policy_fallbacks",
        "model_alias_map",
    )
}
FOLDER = tempfile.TemporaryDirectory()
FILE = Path(FOLDER.name) / "config.yaml"
called: list[list[Any]] = []
failing: dict[str, Any] = {}


def failure(kind: str, model: str) -> Exception:
    response = httpx.Response(500, request=httpx.Request("POST", "http://nowhere"))
    if kind == "long":
        return litellm.ContextWindowExceededError("too long", model, "openai")
    if kind == "content":
        return litellm.ContentPolicyViolationError("refused", model, "openai")
    if kind == "busy":
        return litellm.RateLimitError("busy", "openai", model)
    return litellm.InternalServerError("down", "openai", model, response=response)


async def acompletion(*_: Any, **given: Any) -> Any:
    called.append([given.get("api_key"), given.get("api_base")])
    kinds = failing.get(given.get("api_key"), failing.get("*"))
    kind = kinds.pop(0) if isinstance(kinds, list) and len(kinds) > 1 else kinds
    kind = kind[0] if isinstance(kind, list) else kind
    if kind is not None:
        raise failure(kind, given["model"])
    message = {"role": "assistant", "content": "hi"}
    choice = {"message": message, "finish_reason": "stop", "index": 0}
    return litellm.ModelResponse(choices=[choice], model=given["model"])


async def load(config: dict[str, Any]) -> None:
    for name, value in GLOBALS.items():
        setattr(litellm, name, value)
    FILE.write_text(json.dumps(config))
    with contextlib.redirect_stdout(io.StringIO()):
        router, models, _ = await proxy_server.ProxyConfig().load_config(None, str(FILE))
    proxy_server.llm_router, proxy_server.llm_model_list = router, models
    proxy_server.master_key = None


async def answer(line: dict[str, Any]) -> dict[str, Any]:
    try:
        await load(line["config"])
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return {"refused": f"{type(error).__name__}: {error}"}
    told = []
    for request in line["requests"]:
        called.clear()
        failing.clear()
        failing.update(request["failing"])
        send = by_http if request["whole"] else by_router
        text = await send(request["body"])
        told.append({"called": list(called), "text": text[:300]})
    return {"told": told}


async def by_http(body: dict[str, Any]) -> str:
    """Send a body to the whole of the proxy, as a client does."""
    transport = httpx.ASGITransport(app=proxy_server.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://litellm") as client:
        done = await client.post("/v1/chat/completions", json=body)
    return f"{done.status_code} {done.text}"


async def by_router(body: dict[str, Any]) -> str:
    """Hand a body to the proxy's own routing, which is most of the way and five times as fast."""
    try:
        found = await route_request(dict(body), proxy_server.llm_router, None, "acompletion")
        return str(await found)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return f"{type(error).__name__}: {error}"


async def main() -> None:
    litellm.acompletion = acompletion
    litellm.suppress_debug_info = True
    providers = sorted(str(getattr(one, "value", one)) for one in litellm.provider_list)
    print(json.dumps({"providers": providers}), file=REPLIES, flush=True)
    for line in sys.stdin:
        print(json.dumps(await answer(json.loads(line))), file=REPLIES, flush=True)


asyncio.run(main())
