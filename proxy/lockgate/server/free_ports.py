"""Ports that nobody listens on."""

import socket


def free_ports(count: int) -> list[int]:
    """Return so many free loopback ports, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for bound in sockets:
            bound.bind(("127.0.0.1", 0))
        return [int(bound.getsockname()[1]) for bound in sockets]
    finally:
        for bound in sockets:
            bound.close()
