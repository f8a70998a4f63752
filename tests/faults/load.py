"""Callers that ask without a pause while something happens to the proxy."""

import socket
import threading

from tests.faults.rig import request


class Load:
    """Callers that ask without a pause; `failures` has what was not 200."""

    def __init__(self, port: int, clients: int = 4) -> None:
        self.port = port
        self.count = 0
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
                    for number in range(20):
                        connection.sendall(request(close=number == 19))
                        data = b""
                        while not data.endswith(b"}"):
                            piece = connection.recv(65536)
                            if not piece:
                                break
                            data += piece
                        if not data.startswith(b"HTTP/1.1 200"):
                            self.failures.append(repr(data[:200]))
                        self.count += 1
                        if not data or b"connection: close" in data or self._stop.is_set():
                            break
            except OSError as problem:
                self.failures.append(repr(problem))

    def stop(self) -> None:
        """End and wait."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=20)
