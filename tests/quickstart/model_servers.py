"""What model servers answer, each as its documentation shows it, and a server that answers so."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Pages = Mapping[str, Any]


def listed(owner: str, *ids: str) -> dict[str, Any]:
    """Return a list of models in OpenAI's shape."""
    models = [{"id": name, "object": "model", "created": 1, "owned_by": owner} for name in ids]
    return {"object": "list", "data": models}


OLLAMA: Pages = {
    "/v1/models": listed("library", "qwen3:8b", "gpt-oss:20b", "kimi-k2.5:cloud", "away"),
    "/api/version": {"version": "0.12.3"},
    "/api/tags": {
        "models": [
            {"name": "qwen3:8b", "model": "qwen3:8b", "size": 5_200_000_000},
            {"name": "gpt-oss:20b", "model": "gpt-oss:20b", "size": 13_000_000_000},
            {"name": "kimi-k2.5:cloud", "model": "kimi-k2.5:cloud", "size": 384},
            {"name": "away", "remote_model": "x", "remote_host": "https://ollama.com:443"},
            {"name": "nomic-embed-text:latest", "model": "nomic-embed-text:latest"},
        ]
    },
}
LLAMA: Pages = {
    "/v1/models": listed("llamacpp", "tiny"),
    "/props": {"default_generation_settings": {"n_ctx": 512}, "model_path": "/m/tiny.gguf"},
    "/api/tags": {"models": [{"name": "tiny", "model": "tiny"}]},
}
VLLM: Pages = {"/v1/models": listed("vllm", "Qwen/Qwen3-8B"), "/version": {"version": "0.11.0"}}
SGLANG: Pages = {"/v1/models": listed("sglang", "qwen")}
LM_STUDIO: Pages = {
    "/v1/models": listed("organization_owner", "qwen3-8b", "text-embedding-nomic"),
    "/api/v0/models": {
        "object": "list",
        "data": [
            {"id": "qwen3-8b", "object": "model", "type": "llm", "state": "loaded"},
            {"id": "text-embedding-nomic", "object": "model", "type": "embeddings"},
        ],
    },
}
OTHER: Pages = {"/v1/models": listed("me", "m")}
LOCKGATE: Pages = {"/v1/models": listed("lockgate", "m")}
NO_MODELS: Pages = {"/v1/models": listed("library"), "/api/version": {"version": "0.12.3"}}


@contextmanager
def serving(pages: Pages) -> Iterator[int]:
    """Serve `pages` on loopback and chat with whoever asks; gives the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = pages.get(self.path)
            self._give(404 if found is None else 200, found or {"error": "no page"})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            message = {"role": "assistant", "content": f"from {asked['model']}"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._give(
                200,
                {"id": "x", "object": "chat.completion", "created": 1, "model": asked["model"],
                 "choices": [choice]},
            )  # fmt: skip

        def _give(self, status: int, document: Any) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
