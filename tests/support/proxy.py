"""The real proxy in a process of its own."""

import contextlib
import itertools
import json
import os
import random
import selectors
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from tests.support.client import Answer
from tests.support.wait import eventually

ROOT = Path(__file__).parent.parent.parent
KEY = "sk-CANARY"
SERVE = "tests.support.serve"
LISTEN_PORTS = (10_000, 32_000)
WORKERS = 8
PORTS_EACH = (LISTEN_PORTS[1] - LISTEN_PORTS[0]) // WORKERS

POLICY: dict[str, Any] = {
    "backends": [
        {"name": "local", "inferenceServiceRef": {"name": "qwen"}, "upwardHeaders": ["x-org"]},
        {
            "name": "cloud", "tier": "cloud",
            "external": {"provider": "openai", "model": "gpt-5", "allowPrivateAddress": True,
                         "credentialsSecretRef": {"name": "openai-key"}},
        },
    ],
    "rules": [
        {"name": "keep", "match": {"dataClassification": ["pii", "phi"]},
         "route": {"backends": ["local"]}, "failClosed": True},
        {"name": "hard", "match": {"taskComplexity": "complex"}, "route": {"backends": ["cloud", "local"]}},
        {"name": "strict", "match": {"models": ["strict"]}, "route": {"backends": ["local"]},
         "failClosed": True, "timeouts": {"firstToken": "300ms", "idle": "300ms"}},
        {"name": "all", "route": {"backends": ["local", "cloud"]}},
    ],
    "defaultRoute": "local",
    "proxy": {"quarantineDuration": "2s", "retryAfterMax": "1s"},
}  # fmt: skip
TO_EACH = {
    "local": ("x-llmkube-classification", "pii"),
    "cloud": ("x-llmkube-task-complexity", "complex"),
}
"""A field with which a request goes to this backend first."""


def environment(**more: str) -> dict[str, str]:
    """Return what lets a child import the tests too, whichever build is tested."""
    paths = [path for path in (os.environ.get("PYTHONPATH"), str(ROOT)) if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more}


def secrets(folder: Path) -> Path:
    """Write the cloud's key where a Secret would be mounted."""
    found = folder / "secrets"
    (found / "openai-key").mkdir(parents=True)
    (found / "openai-key" / "OPENAI_API_KEY").write_text(KEY + "\n")
    return found


def _ports() -> Iterator[int]:
    """Yield ports below those that the kernel gives to clients; each xdist worker has its own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    first, last = (
        LISTEN_PORTS[0] + worker * PORTS_EACH,
        LISTEN_PORTS[0] + (worker + 1) * PORTS_EACH,
    )
    start = random.randrange(first, last)
    yield from itertools.cycle([*range(start, last), *range(first, start)])


_next_port = _ports()


def free_port() -> int:
    """Return a port that nothing listens on, and that no client of another test is given."""
    while True:
        port = next(_next_port)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Records:
    """Reads a proxy's stdout as it comes, so that its pipe never fills; a record is a line."""

    def __init__(self, out: IO[bytes] | None) -> None:
        self._rest = b""
        self._found: deque[dict[str, Any]] = deque()
        self._changed = threading.Condition()
        self._out = -1 if out is None else out.fileno()
        if out is not None:
            os.set_blocking(self._out, False)
            threading.Thread(target=self._run, args=(out,), daemon=True).start()

    def _run(self, out: IO[bytes]) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(out, selectors.EVENT_READ)
            while ready.select() and self.take():
                pass

    def take(self) -> bool:
        """Read all that is in the pipe now; False at its end."""
        with self._changed:
            piece = b"."
            while piece:
                try:
                    piece = os.read(self._out, 1 << 20)
                except BlockingIOError:
                    return True
                *lines, self._rest = (self._rest + piece).split(b"\n")
                self._found += map(json.loads, lines)
                self._changed.notify_all()
            return False

    def wait(self, seconds: float) -> bool:
        """Return whether there is a record, now or within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._found), seconds)

    def all(self, most: int | None = None) -> list[dict[str, Any]]:
        """Return those that were read and not asked for yet, oldest first."""
        with self._changed:
            count = len(self._found) if most is None else most
            return [self._found.popleft() for _ in range(count)]


class Proxy:
    """`lockgate serve` on a policy; `record` and `flushed` give what it wrote to stdout.

    `heard` is called with every response that `ask` gets.
    """

    def __init__(
        self,
        folder: Path,
        policy: dict[str, Any],
        addresses: dict[str, str],
        *more: str,
        descriptors: int | None = None,
        module: str = SERVE,
        port: int | None = None,
        **options: Any,
    ) -> None:
        self.policy_file = folder / "policy.json"
        self.policy_file.write_text(json.dumps(policy))
        self.port, self.admin = port or free_port(), free_port()
        self.heard: Callable[[Answer], Any] = id
        arguments = [sys.executable, "-m", module, "serve", "--policy", str(self.policy_file)]
        arguments += ["--listen", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin}"]
        arguments += more
        for name, url in addresses.items():
            arguments += ["--address", f"{name}={url}"]
        self.log = folder / "proxy.log"
        if descriptors is not None:
            arguments = ["prlimit", f"--nofile={descriptors}:{descriptors}", *arguments]
        self.process = subprocess.Popen(
            arguments,
            stderr=self.log.open("wb"),
            **{"stdout": subprocess.PIPE, "cwd": ROOT, "env": environment(), **options},
        )
        self.records = Records(self.process.stdout)
        self._wait()

    def _wait(self) -> None:
        eventually(self._is_up, 60, what=self.log.read_text, every_s=0.02)

    def _is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            self.get("/readyz")
        except OSError:
            return False
        return True

    def get(self, path: str, seconds: float = 5.0) -> str:
        """Return an admin page."""
        url = f"http://127.0.0.1:{self.admin}{path}"
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            return str(answer.read().decode())

    def metrics(self) -> dict[str, float]:
        """Return every sample of the metrics page."""
        found = {}
        for line in self.get("/metrics").splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name] = float(value)
        return found

    def record(self, seconds: float = 5.0) -> dict[str, Any]:
        """Return the next audit record."""
        if not self.records.wait(0.0):
            self._look()
        assert self.records.wait(seconds), "no record came"
        return self.records.all(most=1)[0]

    def flushed(self) -> list[dict[str, Any]]:
        """Return all records that were made and not asked for yet (a worker's come by themselves)."""
        self._look()
        self.records.take()
        return self.records.all()

    def _look(self) -> None:
        """Let what waits be written."""
        if self.process.poll() is None:
            self.get("/healthz")

    def connect(self) -> socket.socket:
        """Return a raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def ask(
        self, body: bytes | dict[str, Any] | None = None, *fields: tuple[str, str], **more: Any
    ) -> Answer:
        """Send one request on a connection of its own and read the whole response."""
        if body is None:
            body = {"model": "m", "messages": []}
        data = body if isinstance(body, bytes) else json.dumps({**body, **more}).encode()
        lines = ["POST /v1/chat/completions HTTP/1.1", "host: x", "connection: close"]
        lines += [
            f"{name}: {value}" for name, value in (*fields, ("content-length", str(len(data))))
        ]
        with self.connect() as connection:
            connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
            answer = Answer.read(connection)
        self.heard(answer)
        return answer

    def rest(self) -> None:
        """Wait until both backends are asked again, nothing runs, and forget the records."""
        for name, field in TO_EACH.items():
            eventually(partial(self._is_asked, name, field), what=f"a way to {name}")
        eventually(lambda: self.metrics()["lockgate_in_flight"] == 0, what="the end of what ran")
        self.flushed()

    def _is_asked(self, name: str, field: tuple[str, str]) -> bool:
        return f"x-lockgate-backend: {name}" in self.ask(None, field).head

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Signal and wait; return the exit status."""
        self.process.send_signal(how)
        return self.process.wait(timeout=30)
