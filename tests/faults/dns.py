"""A scripted DNS server on loopback: what a name means is a function, and may be nothing."""

import socket
import threading
from collections.abc import Callable

from twisted.names import dns

Answer = list[str] | int | None
"""Addresses, an error code (RFC 1035, 4.1.1), or None for silence."""
NXDOMAIN, SERVFAIL = 3, 2


class Dns:
    """`asked` has every name with its type; `ttl_s` is on every answer."""

    def __init__(self, meaning: Callable[[str], Answer], ttl_s: int = 1) -> None:
        self.meaning = meaning
        self.ttl_s = ttl_s
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        """Answer nobody any more."""
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                data, peer = self._socket.recvfrom(4096)
            except OSError:
                return
            reply = self._reply(data)
            if reply is not None:
                self._socket.sendto(reply, peer)

    def _reply(self, data: bytes) -> bytes | None:
        message = dns.Message()
        message.fromStr(data)
        query = message.queries[0]
        name = query.name.name.decode()
        self.asked.append(name)
        found = self.meaning(name)
        if found is None:
            return None
        message.answer, message.recAv = 1, 1
        message.additional = []
        if isinstance(found, int):
            message.rCode = found
        else:
            six = query.type == dns.AAAA
            for address in (a for a in found if (":" in a) == six):
                record = (dns.Record_AAAA if six else dns.Record_A)(address, self.ttl_s)
                message.answers.append(
                    dns.RRHeader(query.name.name, query.type, dns.IN, self.ttl_s, record)
                )
        return bytes(message.toStr())
