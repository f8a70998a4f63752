"""A stand-in for a model server: OpenAI's chat door, canned words, faults on demand.

Not a model, and it says so in every answer. ``POST /stand-in`` with ``{"mode": ...}`` chooses how
it behaves from then on; ``GET /stand-in`` tells what it has seen. Runs as a process of its own, so
that the demo can kill it: ``python -m pulumi_lockgate.demo.stand_in --alias NAME``; it
prints its port.

It is an image as well (`make image-stand-in`), which takes the flags of the runtimes that it stands
in for. So it knows nothing but Python's own library.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

TEXT: Final = "I am a stand-in, not a model: these words are the same for every prompt."
WORDS: Final = TEXT.split()
EVENT_PAUSE_S: Final = 0.01
SLOW_PAUSE_S: Final = 0.1


class StandIn(ThreadingHTTPServer):
    """One stand-in; `mode` is ok, fail (answers 500), cut (breaks a stream midway) or slow."""

    daemon_threads = True

    def __init__(self, name: str, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        super().__init__(address, _Door)
        self.name = name
        self.mode = "ok"
        self.served = 0
        self.cancelled = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing about clients that went away: that is part of the demo."""


class _Door(BaseHTTPRequestHandler):
    server: StandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's signature
        """Say nothing: the demo tells the story."""

    def do_GET(self) -> None:
        """Tell health, the one model's name, or what was seen."""
        server = self.server
        if self.path == "/health":
            self._json(200, {"status": "ok"})
        elif self.path == "/v1/models":
            model = {"id": server.name, "object": "model", "created": 0, "owned_by": "stand-in"}
            self._json(200, {"object": "list", "data": [model]})
        else:
            self._json(200, {"served": server.served, "cancelled": server.cancelled})

    def do_POST(self) -> None:
        """Serve the chat door, or change mode."""
        length = int(self.headers.get("content-length", "0"))
        try:
            body = json.loads(self.rfile.read(length))
            body["mode" if self.path == "/stand-in" else "model"]
        except (ValueError, KeyError, TypeError):
            self._json(400, {"error": {"message": "no JSON, or no model", "code": "bad_request"}})
            return
        if self.path == "/stand-in":
            self.server.mode = body["mode"]
            self._json(200, {"mode": self.server.mode})
        elif self.server.mode == "fail":
            self._json(500, {"error": {"message": "stand-in told to fail", "code": "boom"}})
        else:
            self.server.served += 1
            self._chat(body)

    def _chat(self, body: dict[str, Any]) -> None:
        if not body.get("stream"):
            self._json(200, self._whole(body["model"]))
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            self._stream(body["model"])
        except OSError:
            self.server.cancelled += 1
            self.close_connection = True

    def _stream(self, model: str) -> None:
        mode = self.server.mode
        for number, event in enumerate(self._events(model)):
            if mode == "cut" and number == 5:
                self.close_connection = True
                return
            data = f"data: {json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            time.sleep(SLOW_PAUSE_S if mode == "slow" else EVENT_PAUSE_S)
        done = b"data: [DONE]\n\n"
        self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(done), done))

    def _events(self, model: str) -> Iterator[dict[str, Any]]:
        yield self._event(model, {"role": "assistant", "content": ""})
        for word in WORDS:
            yield self._event(model, {"content": word + " "})
        yield self._event(model, {}, "stop")

    @staticmethod
    def _event(model: str, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {
            "id": "chatcmpl-stand-in",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": model,
            "choices": [choice],
        }

    def _whole(self, model: str) -> dict[str, Any]:
        text = f"[{self.server.name}] " + TEXT
        message = {"role": "assistant", "content": text}
        return {
            "id": "chatcmpl-stand-in",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": len(WORDS), "total_tokens": 24},
        }

    def _json(self, status: int, document: dict[str, Any]) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main() -> int:
    """Serve until SIGTERM; the first line of stdout is the port."""
    parser = argparse.ArgumentParser(
        prog="stand-in",
        description="A stand-in for a model server: canned words, no model, no GPU.",
        epilog="Other flags of llama.cpp and vLLM are named on stderr and ignored.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--alias",
        "--served-model-name",
        default="stand-in",
        metavar="NAME",
        help="the model's name",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", default=0, type=int, help="port; 0 for any that is free")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # else a first process waits for its kill
    given, ignored = parser.parse_known_args()
    if ignored:
        os.write(2, f"ignored: {' '.join(ignored)}\n".encode())
    server = StandIn(given.alias, (given.host, given.port))
    os.write(1, b"%d\n" % server.server_address[1])
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
