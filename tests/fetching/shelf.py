"""A server of files that can misbehave: it cuts, ignores ranges, redirects, refuses."""

import hashlib
import http.server
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Shelf(http.server.ThreadingHTTPServer):
    """Files by path. `asked` is (method, path, headers) of each request.

    `answers` are called with the handler before anything else, and say whether they answered.
    """

    daemon_threads = True

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.cut_at: list[int] = []
        """Of the next answers, after how many bytes each is cut."""
        self.ranges = True
        self.answers: list[Callable[[Any], bool]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def ranges_asked(self, path: str) -> list[str | None]:
        return [h.get("range") for m, p, h in self.asked if (m, p) == ("GET", path)]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Shelf
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers))
        if any(answer(self) for answer in self.server.answers):
            return
        data = self.server.files.get(self.path.partition("?")[0])
        if data is None:
            self.give(404, b"{}")
            return
        etag = f'"{hashlib.md5(data).hexdigest()}"'
        if headers.get("if-match", etag) != etag:
            self.give(412, b"")
            return
        first, status, more = 0, 200, {"ETag": etag}
        asked = re.fullmatch("bytes=([0-9]+)-", headers.get("range", ""))
        if asked and self.server.ranges:
            first, status = int(asked[1]), 206
            more["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            if first >= len(data):
                self.give(416, b"")
                return
        self.give(status, data[first:], **more)

    do_HEAD = do_GET

    def give(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.cut_at and status < 300:
            self.wfile.write(body[: self.server.cut_at.pop(0)])
            self.close_connection = True
            return
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def shelf(context: ssl.SSLContext | None = None) -> Iterator[Shelf]:
    """A running one, with TLS where there is a context for it."""
    with Shelf() as made:
        if context is not None:
            made.socket = context.wrap_socket(made.socket, server_side=True)
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
