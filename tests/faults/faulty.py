"""``lockgate serve`` with faults inside: run like the command itself, with FAULT in the environment.

FAULT=raise: rendering a request for the model "raise" raises, and so does giving back the connection
of the model "late", when its answer is on its way.
FAULT=block: rendering a request for the model "block" blocks the reactor for two seconds.
"""

import os
import sys
import time
from typing import Any

from proxy.exchange.commands import ReleaseUpstream
from proxy.net.arriving import Received
from proxy.net.desk import Desk
from proxy.net.front import Front
from proxy.net.run import _EXECUTE, Run
from tests.net.fresh import main

_serve = Desk.serve


def serve(self: Desk, front: Front, received: Received) -> Any:
    """Serve, or fail."""
    if b'"block"' in received.body and os.environ["FAULT"] == "block":
        time.sleep(2)
    return _serve(self, front, received)


_head = Desk.request_head


def request_head(self: Desk, backend: Any, length: int, request: Any) -> bytes:
    """Render, or fail."""
    if request.scan.model == "raise" and os.environ["FAULT"] == "raise":
        raise RuntimeError("a fault of ours")
    return _head(self, backend, length, request)


_release = Run._release


def release(self: Run, command: Any) -> None:
    """Give back, or fail."""
    if self.exchange.request.scan.model == "late" and os.environ["FAULT"] == "raise":
        raise RuntimeError("a late fault of ours")
    _release(self, command)


_EXECUTE[ReleaseUpstream] = release
Desk.serve = serve  # type: ignore[method-assign]
Desk.request_head = request_head  # type: ignore[method-assign]
sys.exit(main())
