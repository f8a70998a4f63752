"""What a transport knows of what its peer has taken."""

import socket
import time

from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactor

from proxy.net.transport import ServerTransport


def test_what_waits_in_the_kernel_is_not_taken() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    peer = socket.create_connection(listener.getsockname())
    ours, address = listener.accept()
    ours.setblocking(False)
    server = ServerTransport(ours, Protocol(), address, None, 1, MemoryReactor())
    sent = 0
    while True:
        try:
            sent += ours.send(b"x" * 65536)
        except BlockingIOError:
            break
    server.sent_bytes = sent
    before = server.taken_bytes
    assert before < sent
    deadline = time.monotonic() + 10
    while server.taken_bytes == before:
        peer.recv(1 << 16)
        assert time.monotonic() < deadline
    for one in (peer, listener, ours):
        one.close()
    assert server.taken_bytes == sent
