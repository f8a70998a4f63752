"""A client's side, without a client's forgiveness: raw bytes."""

import json
import socket
from typing import Any, Self


class Answer:
    """A whole response as bytes; `clean` when a chunked body had its last chunk."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        head, _, self.body = raw.partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        self.status = int(self.head.split()[1]) if self.head else 0
        self.clean = "chunked" not in self.head or self.body.endswith(b"0\r\n\r\n")

    @classmethod
    def read(cls, connection: socket.socket) -> Self:
        """Read until the other side closes."""
        data = b""
        try:
            while piece := connection.recv(65536):
                data += piece
        except ConnectionResetError:
            pass
        return cls(data)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code."""
        code: str = self.json["error"]["code"]
        return code


def connected(port: int) -> socket.socket | None:
    """Return a connection to a local port, None while nothing listens there."""
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=10)
    except ConnectionRefusedError:
        return None


def unchunked(data: bytes) -> bytes:
    """Return what a chunked body carries, as far as it goes."""
    out = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        out += rest[: int(size, 16)]
        data = rest[int(size, 16) + 2 :]
    return out
