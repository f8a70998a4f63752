"""Python's own `http.server` as a backend: what it reads of a body is what Content-Length says."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.responses import ANSWER


class Plain(http.server.BaseHTTPRequestHandler):
    """Answers well. An HTTP/1.0 answer has no length: it lasts until the connection."""

    server: "PlainServer"

    def do_POST(self) -> None:
        """Take a request as people's model servers do."""
        self.server.framings.append(
            (self.headers["content-length"], self.headers["transfer-encoding"])
        )
        if self.headers["content-length"] is None:
            self.send_error(411)
            return
        body = json.loads(self.rfile.read(int(self.headers["content-length"])), parse_int=float)
        self.server.bodies.append(body)
        kind, data = self.server.answer(body)
        self.send_response(200)
        self.send_header("content-type", kind)
        if self.protocol_version == "HTTP/1.1":
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


class PlainServer(http.server.ThreadingHTTPServer):
    """`bodies` and `framings` (length, coding) came; `answer` makes an answer of a body."""

    def __init__(self, handler: type[Plain]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.bodies: list[Any] = []
        self.framings: list[tuple[str | None, str | None]] = []
        self.answer: Callable[[Any], tuple[str, bytes]] = well


def well(body: Any) -> tuple[str, bytes]:
    """Return a stream or a whole answer, as is asked for."""
    if not body.get("stream"):
        return "application/json", json.dumps(ANSWER).encode()
    return "text/event-stream", _event("one ") + _event("two") + _event(None)


def cut(_: Any) -> tuple[str, bytes]:
    """Return a stream that ends without its finish_reason."""
    return "text/event-stream", _event("one ") + _event("two")


def _event(text: str | None) -> bytes:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": "stop" if text is None else None}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: %b\n\n" % json.dumps({**chunk, "choices": [choice]}).encode()


@contextmanager
def plain_server(version: str) -> Iterator[PlainServer]:
    """Run one that speaks this HTTP."""
    server = PlainServer(type("Versioned", (Plain,), {"protocol_version": version}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
