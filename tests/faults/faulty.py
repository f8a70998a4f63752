"""``lockgate serve`` with faults inside: run like the command itself, with FAULT in the environment.

FAULT=raise: rendering a request for the model "raise" raises, and so does giving back the connection
of the model "late", when its answer is on its way.
FAULT=swap: the policy file is replaced by the file SWAP as soon as it was read for the first time.
FAULT=block: rendering a request for the model "block" blocks the reactor for two seconds.
FAULT=callbacks: each place of `PLACES` raises for the request whose model has the place's name.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lockgate.connections.client import ClientConnection
from lockgate.connections.connect import ConnectAttempt
from lockgate.connections.inbound import InboundRequest
from lockgate.connections.intake import Intake
from lockgate.connections.slow_client import SlowClientWatch
from lockgate.connections.upstream import Upstream
from lockgate.exchange import events as on
from lockgate.exchange.commands import ReleaseUpstream
from lockgate.server.driver import _EXECUTE, ExchangeDriver
from lockgate.server.policy_file import PolicyFile
from lockgate.server.router import RequestRouter
from lockgate.server.upstreams import Upstreams

from tests.support.serve import main

_serve = RequestRouter.serve


def serve(self: RequestRouter, front: ClientConnection, received: InboundRequest) -> Any:
    """Serve, or fail."""
    if b'"block"' in received.body and os.environ["FAULT"] == "block":
        time.sleep(2)
    return _serve(self, front, received)


_head = Upstreams.request_head


def request_head(self: Upstreams, backend: Any, length: int, request: Any) -> bytes:
    """Render, or fail."""
    if request.scan.model == "raise" and os.environ["FAULT"] == "raise":
        raise RuntimeError("a fault of ours")
    return _head(self, backend, length, request)


_release = ExchangeDriver._release


def release(self: ExchangeDriver, command: Any) -> None:
    """Give back, or fail."""
    if self.exchange.request.scan.model == "late" and os.environ["FAULT"] == "raise":
        raise RuntimeError("a late fault of ours")
    _release(self, command)


def _run_of(callback: Any) -> Any:
    """Return the run that a callback belongs to, None where it is nobody's."""
    owner = getattr(callback, "__self__", None)
    return owner if isinstance(owner, ExchangeDriver) else getattr(owner, "listener", None)


def _model(run: Any) -> str:
    return str(run.exchange.request.scan.model) if isinstance(run, ExchangeDriver) else ""


def _named(data: bytes) -> str:
    """Return the model that a body names in its first bytes."""
    return next((name for name in PLACES if b'"model": "%b"' % name.encode() in data[:99]), "")


def _answers(run: Any, events: Any) -> str:
    heard = any(isinstance(event, on.ResponseWhole | on.ResponseStarted) for event in events)
    return _model(run) if heard else ""


PLACES: dict[str, tuple[type, str, Callable[..., str], bool]] = {
    # the model, where it raises, whose request it is, whether what it should do is done before
    "serve": (RequestRouter, "serve", lambda _, __, received: _named(received.body), False),
    "served": (RequestRouter, "serve", lambda _, __, received: _named(received.body), True),
    "begin": (RequestRouter, "begin", lambda _, __, ___, upload: _named(upload.joined()), False),
    "begun": (RequestRouter, "begin", lambda _, __, ___, upload: _named(upload.joined()), True),
    "complete": (ExchangeDriver, "body_whole", lambda run, _: _model(run), False),
    "completed": (ExchangeDriver, "body_whole", lambda run, _: _model(run), True),
    "dial": (ConnectAttempt, "_next_address", lambda dial: _model(_run_of(dial._connected)), False),
    "connected": (ExchangeDriver, "_connected", lambda run, *_: _model(run), False),
    "unconnected": (ExchangeDriver, "_dial_failed", lambda run, *_: _model(run), False),
    "deadline": (ExchangeDriver, "phase_reached", _model, False),
    "total": (ExchangeDriver, "_total_reached", _model, False),
    "heard": (ExchangeDriver, "feed_all", _answers, False),
    "read": (Upstream, "dataReceived", lambda up, _: _model(_run_of(up.listener)), False),
    "lost": (Upstream, "connectionLost", lambda up, *_: _model(_run_of(up.listener)), False),
    "paused": (ExchangeDriver, "pauseProducing", _model, False),
    "resumed": (ExchangeDriver, "resumeProducing", _model, False),
    "looked": (SlowClientWatch, "_looked", lambda reader: _model(_run_of(reader._gave_up)), False),
    "caller": (ClientConnection, "dataReceived", lambda front, _: _model(front.listener), False),
    "taken": (Intake, "_take_head", lambda intake, _: _model(intake._connection.listener), False),
    "sent": (ClientConnection, "send", lambda front, _: _model(front.listener), False),
    "finished": (ClientConnection, "finished", lambda front, **_: _model(front.listener), False),
}


def fail_at(place: str) -> None:
    """Have a place raise."""
    owner, name, model_of, after = PLACES[place]
    original = getattr(owner, name)

    def faulty(*arguments: Any, **named: Any) -> Any:
        hit = model_of(*arguments, **named) == place
        result = original(*arguments, **named) if after or not hit else None
        if hit:
            raise RuntimeError(f"a fault of ours: {place}")
        return result

    setattr(owner, name, faulty)


if os.environ["FAULT"] == "callbacks":
    for one in PLACES:
        fail_at(one)
_take = PolicyFile.take


def take(self: PolicyFile, text: bytes, check: Any) -> Any:
    """Take what was read, when the file is another one already."""
    if os.environ["FAULT"] == "swap" and not self.text:
        Path(os.environ["SWAP"]).replace(self.path)
    return _take(self, text, check)


PolicyFile.take = take  # type: ignore[method-assign]
_EXECUTE[ReleaseUpstream] = release
if os.environ["FAULT"] != "callbacks":
    RequestRouter.serve = serve  # type: ignore[method-assign]
Upstreams.request_head = request_head  # type: ignore[method-assign]
if __name__ == "__main__":
    sys.exit(main())
