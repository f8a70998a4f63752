"""A proxy between two scripted upstreams, and the ten invariants that every row is held to."""

import json
import re
import socket
from typing import Any

from tests.support.client import Answer, unchunked
from tests.support.proxy import KEY, Proxy
from tests.support.proxy import POLICY as NET_POLICY
from tests.support.upstream import Upstream
from tests.support.wait import eventually

PROMPT = "PROMPT-CANARY"
POLICY: dict[str, Any] = {
    "backends": NET_POLICY["backends"],
    "rules": [
        *NET_POLICY["rules"][:2],
        {"name": "strict", "match": {"models": ["strict"]}, "route": {"backends": ["local"]},
         "timeouts": {"firstToken": "300ms", "idle": "300ms"}},
        {"name": "bounded", "match": {"models": ["bounded"]}, "route": {"backends": ["local"]},
         "timeouts": {"total": "500ms"}},
        {"name": "twice", "match": {"models": ["twice"]}, "route": {"backends": ["local", "cloud"]},
         "timeouts": {"firstToken": "300ms", "idle": "300ms"}},
        {"name": "once", "match": {"models": ["once"]}, "route": {"backends": ["local"]},
         "retry": "connect-only"},
        {"name": "resume", "match": {"models": ["resume"]}, "route": {"backends": ["local", "cloud"]},
         "recovery": "resume", "timeouts": {"idle": "300ms"}},
        {"name": "alone", "match": {"models": ["alone"]}, "route": {"backends": ["local"]}},
        {"name": "all", "route": {"backends": ["local", "cloud"]}},
    ],
    "proxy": {"quarantineDuration": "100ms", "retryAfterMax": "1s", "timeouts": {"connect": "1s"}},
}  # fmt: skip
PII = ("x-llmkube-classification", "pii")
HARD = ("x-llmkube-task-complexity", "complex")
COUNTED = {
    "upstream_dns", "upstream_connect", "upstream_tls", "connect_timeout", "upstream_reset",
    "upstream_protocol", "upstream_truncated", "upstream_error", "upstream_overloaded",
    "idle_timeout", "first_token_timeout",
}  # fmt: skip
"""What the matrix lets a breaker count (I10), said again here: the product's own table is under test."""


def changed(name: str) -> dict[str, Any]:
    """Return the policy with another name for its last rule."""
    policy: dict[str, Any] = json.loads(json.dumps(POLICY))
    policy["rules"][-1]["name"] = name
    return policy


def body(model: str = "m", **fields: Any) -> dict[str, Any]:
    """Return a request's body with a prompt that must not be seen anywhere else."""
    return {"model": model, "messages": [{"role": "user", "content": PROMPT}], **fields}


def request(document: dict[str, Any] | None = None, *fields: str, close: bool = False) -> bytes:
    """Return a request's bytes."""
    data = json.dumps(document or body()).encode()
    lines = ["POST /v1/chat/completions HTTP/1.1", "host: x", *fields]
    lines += ["connection: close"] if close else []
    lines.append(f"content-length: {len(data)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


class Ear(socket.socket):
    """A connection that keeps what it hears."""

    def __init__(self, connection: socket.socket, heard: list[bytes]) -> None:
        timeout = connection.gettimeout()
        super().__init__(fileno=connection.detach())
        self.settimeout(timeout)
        self._kept = heard

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive, and keep it."""
        data = super().recv(size, flags)
        self._kept.append(data)
        return data


class Rig:
    """See the module's text. `answers` and `records` grow with every request of a test."""

    def __init__(
        self, proxy: Proxy, local: Upstream, cloud: Upstream, *, spare_fds: int = 0
    ) -> None:
        self.proxy = proxy
        self.local = local
        self.cloud = cloud
        self.answers: list[Answer] = []
        proxy.heard = self.answers.append
        self._heard: list[bytes] = []  # on raw connections
        self.records: list[dict[str, Any]] = []
        # c-ares keeps its own: epoll, two for waking, inotify on resolv.conf, sockets to servers
        resolves = "--resolver" in proxy.process.args  # type: ignore[operator]
        self._spare_fds = 12 if resolves else spare_fds
        self._before = self.metrics()
        self._log_from = proxy.log.stat().st_size

    # -- what a row does

    def ask(self, document: dict[str, Any] | None = None, *fields: tuple[str, str]) -> Answer:
        """Ask on a connection of its own."""
        return self.proxy.ask(document or body(), *fields)

    def connect(self) -> socket.socket:
        """Return a raw connection; what it hears is held to the invariants too."""
        return Ear(self.proxy.connect(), self._heard)

    def talk(self, data: bytes, *more: bytes) -> Answer:
        """Send raw bytes in pieces on a connection of its own and read until it ends."""
        with self.connect() as connection:
            for piece in (data, *more):
                try:
                    connection.sendall(piece)
                except OSError:
                    break
            answer = Answer.read(connection)
        self.answers.append(answer)
        return answer

    def record(self, seconds: float = 5.0) -> dict[str, Any]:
        """Return the next audit record."""
        record = self.proxy.record(seconds)
        self.records.append(record)
        return record

    def upstream_left_within_a_second(self, upstream: Upstream) -> None:
        """I4: what was asked of an upstream is cancelled within a second of the caller's leaving."""
        upstream.closed.get(timeout=1.0)

    def metrics(self) -> dict[str, float]:
        """Return every sample of the metrics page."""
        return self.proxy.metrics()

    def grew(self, name: str) -> float:
        """Return by how much a metric's samples together grew since the row began."""
        now = self.metrics()
        return sum(v - self._before.get(k, 0.0) for k, v in now.items() if k.split("{")[0] == name)

    # -- what holds in every row

    def hold_the_invariants(self) -> None:
        """Check I1 to I10; I4 and I6 are checked where a row can show them."""
        self._i9_nothing_is_left()
        self._i2_one_record_each()
        for answer in self.answers:
            self._i1_no_false_end(answer)
            self._i8_nothing_leaks(answer.raw.decode("latin-1"))
        for record in self.records:
            self._i3_i5_i7(record)
            self._i8_nothing_leaks(json.dumps(record))
        self._i8_nothing_leaks(b"".join(self._heard).decode("latin-1"))
        log = self.proxy.log.read_text()[self._log_from :]
        self._i8_nothing_leaks(log)
        assert "Traceback" not in log, log
        self._i10_blame()

    def _i9_nothing_is_left(self) -> None:
        idle = ("lockgate_in_flight", "lockgate_permits_out", "lockgate_memory_held_bytes")
        gone = ("lockgate_timers", "lockgate_shadows_running", "lockgate_connections")

        def settled() -> bool:
            now = self.metrics()
            fds = now["process_open_fds"] - now["lockgate_idle_upstreams"]
            before = self._before["process_open_fds"] - self._before["lockgate_idle_upstreams"]
            return (
                all(now[name] == 0 for name in (*idle, *gone)) and fds <= before + self._spare_fds
            )

        def what() -> str:
            now = self.metrics()
            left = {
                n: now[n] for n in (*idle, *gone, "process_open_fds", "lockgate_idle_upstreams")
            }
            return f"I9: before: {self._before}, now: {left}; the end"

        eventually(settled, what=what)

    def _i2_one_record_each(self) -> None:
        ended = int(self.grew("lockgate_requests_total"))
        while len(self.records) < ended:
            self.record()
        assert self.proxy.flushed() == [], "I2: a record too many"
        ids = [record["request_id"] for record in self.records]
        assert len(set(ids)) == len(ids), "I2: two records of one request"
        for answer in self.answers:
            if "\r\nx-lockgate-policy: " in answer.head:
                found = re.search(r"x-request-id: (\S+)", answer.head)
                assert found is not None
                assert found[1] in ids, "I2: an admitted request without a record"

    @staticmethod
    def _i1_no_false_end(answer: Answer) -> None:
        if answer.status != 200 or "x-lockgate-backend" not in answer.head:
            return
        if "text/event-stream" in answer.head:
            said = unchunked(answer.body) if "chunked" in answer.head else answer.body
            assert answer.clean == said.rstrip().endswith(b"[DONE]"), f"I1: {answer.raw[-300:]!r}"
            assert not (b'"error"' in said and b"[DONE]" in said), "I1"
        elif found := re.search(r"content-length: (\d+)", answer.head):
            json.loads(answer.body[: int(found[1])])

    @staticmethod
    def _i3_i5_i7(record: dict[str, Any]) -> None:
        attempts = record["attempts"]
        if record["sensitive"]:
            assert {a["tier"] for a in attempts} <= {"local"}, f"I3: {record}"
            assert record["tier"] in {None, "local"}, f"I3: {record}"
        names = [attempt["backend"] for attempt in attempts]
        most = 1 if record["rule"] == "once" else 2
        assert all(names.count(name) <= most for name in names), f"I5: {record}"
        if record["outcome"] == "complete" and record["rule"] != "resume":
            assert all(a["outcome"] != "complete" for a in attempts[:-1]), f"I5: {record}"
        if attempts:
            deadlines = record["deadlines"]
            assert all(deadlines[n] > 0 for n in ("connect_s", "first_token_s", "idle_s")), "I7"

    @staticmethod
    def _i8_nothing_leaks(text: str) -> None:
        assert KEY not in text, "I8: a key"
        assert PROMPT not in text, "I8: a prompt"

    def _i10_blame(self) -> None:
        blamed = sum(a["outcome"] in COUNTED for r in self.records for a in r["attempts"])
        assert self.grew("lockgate_breaker_failures") <= blamed, "I10"
