"""The real proxy in a process of its own, between scripted upstreams and real clients."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from lockgate.http1.framing import ChunkedBody, LengthBody

ROOT = Path(__file__).parent.parent.parent
Script = Callable[[socket.socket, bytes], None]

ANSWER = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
}  # fmt: skip


def http(status: int, body: bytes, *headers: str, kind: str = "application/json") -> bytes:
    """Return a whole answer with its length."""
    lines = [
        f"HTTP/1.1 {status} X",
        f"content-type: {kind}",
        f"content-length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunk(data: bytes) -> bytes:
    """Return one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


SSE_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


def word(text: str) -> bytes:
    """Return one chunk with one content event."""
    event = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
             "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}  # fmt: skip
    return chunk(b"data: " + json.dumps(event).encode() + b"\n\n")


END = chunk(b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n')  # fmt: skip
DONE = chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def serve_well(connection: socket.socket, _: bytes) -> None:
    """Answer as a model would, without streaming."""
    connection.sendall(http(200, json.dumps(ANSWER).encode()))


def reset(connection: socket.socket) -> None:
    """Close with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


def environment(**more: str) -> dict[str, str]:
    """Return what lets a child import the tests too, whichever build is tested."""
    paths = [path for path in (os.environ.get("PYTHONPATH"), str(ROOT)) if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **more}


class Upstream:
    """A server whose every answer is `script`'s business; `requests` has what came."""

    def __init__(self) -> None:
        self.script: Script = serve_well
        self.requests: list[bytes] = []
        self.closed = queue.Queue[float]()
        self.connections = 0
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
        finally:
            self.closed.put(time.monotonic())
            connection.close()

    def reset(self) -> None:
        """Forget what came and serve well again."""
        self.script = serve_well
        self.requests = []
        self.closed = queue.Queue()
        self.connections = 0

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._listener.close()


def read_request(connection: socket.socket) -> bytes:
    """Read one request, without a chunked coding; empty at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    framing = framing_of(head)
    out = [framing.feed(body)]
    while not framing.done:
        piece = connection.recv(65536)
        if not piece:
            raise OSError("the request is not whole")
        out.append(framing.feed(piece))
    return head + b"\r\n\r\n" + b"".join(out)


def framing_of(head: bytes) -> LengthBody | ChunkedBody:
    """Return what finds the end of a request's body."""
    lines = head.split(b"\r\n")
    if b"transfer-encoding: chunked" in lines:
        return ChunkedBody()
    lengths = [int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")]
    return LengthBody(lengths[0] if lengths else 0)


class Proxy:
    """`lockgate serve` on a policy; `records` is what it wrote to stdout."""

    def __init__(
        self,
        folder: Path,
        policy: dict[str, Any],
        addresses: dict[str, str],
        *more: str,
        descriptors: int | None = None,
        module: str = "tests.net.fresh",
        port: int | None = None,
        **options: Any,
    ) -> None:
        self.policy_file = folder / "policy.json"
        self.policy_file.write_text(json.dumps(policy))
        self.port, self.admin = port or free_port(), free_port()
        self.records: queue.Queue[dict[str, Any]] = queue.Queue()
        self.heard: Callable[[Answer], Any] = id  # told of every answer
        arguments = [
            sys.executable,
            "-m",
            module,
            "serve",
            "--policy",
            str(self.policy_file),
        ]
        arguments += [
            "--listen",
            f"127.0.0.1:{self.port}",
            "--admin",
            f"127.0.0.1:{self.admin}",
            *more,
        ]
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
        threading.Thread(target=self._read, daemon=True).start()
        self._wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.records.put(json.loads(line))

    def _wait(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.get("/readyz")
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError(self.log.read_text())

    def get(self, path: str) -> str:
        """Return an admin page."""
        url = f"http://127.0.0.1:{self.admin}{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())

    def record(self) -> dict[str, Any]:
        """Return the next audit record."""
        return self.records.get(timeout=5)

    def connect(self) -> socket.socket:
        """Return a raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(
        self, body: bytes | dict[str, Any] | None = None, *fields: tuple[str, str], **more: Any
    ) -> "Answer":
        """Send one request on a connection of its own and read the whole answer."""
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

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Signal and wait; return the exit status."""
        self.process.send_signal(how)
        return self.process.wait(timeout=15)


class Answer:
    """A whole answer as bytes; `clean` when a chunked body had its last chunk."""

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


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


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


@pytest.fixture(scope="session")
def upstreams() -> dict[str, Upstream]:
    """Two scripted upstreams for the whole session."""
    return {"local": Upstream(), "cloud": Upstream()}


@pytest.fixture(scope="session")
def shared_proxy(
    tmp_path_factory: pytest.TempPathFactory, upstreams: dict[str, Upstream]
) -> Iterator[Proxy]:
    """One proxy for the tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("proxy")
    secret = folder / "secrets" / "openai-key"
    secret.mkdir(parents=True)
    (secret / "OPENAI_API_KEY").write_text("sk-CANARY\n")
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(folder, POLICY, addresses, "--secrets", str(folder / "secrets"))
    yield proxy
    assert proxy.stop() == 0
    log = proxy.log.read_text()
    assert "sk-CANARY" not in log
    assert "Traceback" not in log, log


@pytest.fixture
def proxy(shared_proxy: Proxy, upstreams: dict[str, Upstream]) -> Proxy:
    """The shared proxy with closed breakers, no old record, and upstreams that serve well."""
    for upstream in upstreams.values():
        upstream.reset()
    warm = {
        "local": ("x-llmkube-classification", "pii"),
        "cloud": ("x-llmkube-task-complexity", "complex"),
    }
    for name, field in warm.items():
        deadline = time.monotonic() + 5
        while f"x-lockgate-backend: {name}" not in shared_proxy.ask(None, field).head:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    time.sleep(0.12)
    while not shared_proxy.records.empty():
        shared_proxy.records.get()
    for upstream in upstreams.values():
        upstream.reset()
    return shared_proxy


@pytest.fixture
def local(upstreams: dict[str, Upstream]) -> Upstream:
    """The local upstream."""
    return upstreams["local"]


@pytest.fixture
def cloud(upstreams: dict[str, Upstream]) -> Upstream:
    """The cloud's upstream."""
    return upstreams["cloud"]
