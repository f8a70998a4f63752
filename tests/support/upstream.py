"""A scripted upstream: what comes is read by h11, what goes out is the script's business.

The product's own parser reads nothing here: a mistake in its framing would cancel itself out.
"""

import json
import queue
import socket
import threading
import time
from collections.abc import Callable

import h11

from tests.support.responses import ANSWER, http

Script = Callable[[socket.socket, bytes], None]
"""Responds to one request, which is given as its head as it came and its body without a coding."""
MOST_HEAD_BYTES = 1 << 20


class RequestBytes:
    """One request as h11 reads it: `head` as it came, `body` without its coding, `whole` at its end.

    h11.RemoteProtocolError where the bytes are no request, or where something follows it.
    """

    def __init__(self) -> None:
        self.head = b""
        self.body = bytearray()
        self.whole = False
        self._raw = b""
        self._peer = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD_BYTES)

    def feed(self, data: bytes) -> None:
        """Read on."""
        if not self.head:
            self._raw += data
        self._peer.receive_data(data)
        while not self.whole:
            event = self._peer.next_event()
            if isinstance(event, h11.Request):
                self.head = self._raw.partition(b"\r\n\r\n")[0]
            elif isinstance(event, h11.Data):
                self.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self.whole = True
            else:
                return
        if self._peer.trailing_data[0]:
            raise h11.RemoteProtocolError("something follows the request")


def read_request(connection: socket.socket) -> bytes:
    """Read one request, without a chunked coding; empty at the end."""
    request = RequestBytes()
    while not request.whole:
        piece = connection.recv(65536)
        if not piece and not request.head:
            return b""
        if not piece:
            raise OSError("the request is not whole")
        request.feed(piece)
    return b"%b\r\n\r\n%b" % (request.head, request.body)


def serve_well(connection: socket.socket, _: bytes) -> None:
    """Respond as a model would, without streaming."""
    connection.sendall(http(200, json.dumps(ANSWER).encode()))


def reset(connection: socket.socket) -> None:
    """Close with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


class Upstream:
    """A server whose every response is `script`'s business.

    `requests` has what came, `closed` the time of each connection's end, `faults` what h11 refused.
    """

    def __init__(self) -> None:
        self.script: Script = serve_well
        self.requests: list[bytes] = []
        self.closed = queue.Queue[float]()
        self.connections = 0
        self.faults: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while request := read_request(connection):
                self.requests.append(request)
                self.script(connection, request)
        except OSError:
            pass
        except h11.RemoteProtocolError as fault:
            self.faults.append(str(fault))
        finally:
            self.closed.put(time.monotonic())
            connection.close()

    def reset(self) -> None:
        """Forget what came and serve well again; fail where what came was no request."""
        faults, self.faults = self.faults, []
        self.script = serve_well
        self.requests = []
        self.closed = queue.Queue()
        self.connections = 0
        assert faults == [], "h11 refused what the proxy sent"

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._listener.close()
