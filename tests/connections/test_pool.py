"""Which connections of a backend are used again: local ones, and cloud ones that may be."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lockgate.connections.connect import Destination
from lockgate.connections.endpoint import endpoint_of
from lockgate.connections.pool import CLOUD_AGE_S, IDLE_S, ConnectionPool
from lockgate.connections.tls import StrictClient
from lockgate.connections.upstream import Upstream
from lockgate.policy.reading.load import load_policy
from lockgate.policy.reading.problem import PolicyRefusedError
from lockgate.policy.spec.backends import Backend, External
from twisted.internet.task import Clock

from tests.support.proxy import POLICY, Proxy, secrets
from tests.support.upstream import Upstream as Server

HARD = ("x-llmkube-task-complexity", "complex")


RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Client(StrictClient):
    """Stands for what made a TLS connection; another one stands for other files."""

    def __init__(self) -> None:
        """Have no context."""

    def keep(self, connection: Any, checked_at: float) -> None:
        """Take no session."""


class Tls:
    """Returns who makes TLS connections at the moment."""

    def __init__(self) -> None:
        self.client = Client()

    def __call__(self, _: str) -> Any:
        return self.client


class Transport:
    """Takes what is written."""

    connection = producer = None
    checked_at = 0.0
    unsent_bytes = sent_bytes = 0
    aborted = False

    def write(self, data: bytes) -> None:
        """Take it."""

    def abortConnection(self) -> None:
        self.aborted = True


def made(tls: Tls, checked_at: float) -> Any:
    """Return a connection that carried a whole response."""
    upstream = Upstream()
    upstream.makeConnection(Transport())
    upstream.secured_by = tls.client
    upstream.checked_at = checked_at
    upstream.send(b"GET / HTTP/1.1\r\n\r\n", lambda _: None)
    upstream.dataReceived(RESPONSE)
    return upstream


def pool(tls: Tls, clock: Clock, *, keep: bool, tier: Any = "cloud") -> ConnectionPool:
    external = External(provider="openai", model="m", url="https://example.com/v1")
    backend = Backend(name="b", tier=tier, external=external, keep_connections=keep)
    anything: Any = None
    return ConnectionPool(
        Destination(clock, anything, backend, endpoint_of(backend), (), tls=tls, refused=anything)
    )


def test_a_cloud_connection_is_not_kept_unless_its_backend_says_so() -> None:
    tls, clock = Tls(), Clock()
    fresh, kept = made(tls, 0.0), made(tls, 0.0)
    for upstream, keep in ((fresh, False), (kept, True)):
        one = pool(tls, clock, keep=keep)
        one.release(upstream)
        assert (one.idle, upstream.transport.aborted) == (int(keep), not keep)
        assert one.kept() is (upstream if keep else None)


@pytest.mark.parametrize(
    ("idle_s", "age_s", "used"),
    [
        (IDLE_S - 1, 0.0, True),
        (IDLE_S, 0.0, False),
        (1.0, CLOUD_AGE_S - 2, True),
        (1.0, CLOUD_AGE_S - 1, False),
    ],
)
def test_a_kept_cloud_connection_has_an_idle_time_and_an_age(
    idle_s: float, age_s: float, used: bool
) -> None:
    tls, clock = Tls(), Clock()
    clock.advance(1000)
    one, upstream = pool(tls, clock, keep=True), made(tls, 1000 - age_s)
    one.release(upstream)
    clock.advance(idle_s)
    assert one.kept() is (upstream if used else None)
    assert upstream.transport.aborted is not used


def test_a_local_connection_has_no_age() -> None:
    tls, clock = Tls(), Clock()
    clock.advance(10 * CLOUD_AGE_S)
    one, upstream = pool(tls, clock, keep=False, tier="local"), made(tls, 0.0)
    one.release(upstream)
    assert one.kept() is upstream


def test_a_connection_under_other_tls_files_is_not_used() -> None:
    tls, clock = Tls(), Clock()
    one, upstream = pool(tls, clock, keep=True), made(tls, 0.0)
    one.release(upstream)
    tls.client = Client()
    assert one.kept() is None
    assert upstream.transport.aborted


def test_the_field_is_for_the_cloud_tier() -> None:
    text = b"backends: [{ name: a, inferenceServiceRef: { name: a }, keepConnections: true }]"
    with pytest.raises(
        PolicyRefusedError, match="keepConnections: is for tier cloud; leave it out"
    ):
        load_policy(text, "p.yaml")


@pytest.fixture
def serve(tmp_path: Path, local: Server, cloud: Server) -> Iterator[Callable[..., Proxy]]:
    started: list[Proxy] = []
    for server in (local, cloud):
        server.reset()

    def run(**of_cloud: Any) -> Proxy:
        first, second = POLICY["backends"]
        policy = {**POLICY, "backends": [first, {**second, **of_cloud}]}
        ports = {"local": local.port, "cloud": cloud.port}
        addresses = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        line = ("--secrets", str(secrets(tmp_path)))
        started.append(Proxy(tmp_path, policy, addresses, *line))
        return started[-1]

    yield run
    for proxy in started:
        assert proxy.stop() == 0


@pytest.mark.parametrize(("of_cloud", "connections"), [({}, 3), ({"keepConnections": True}, 1)])
def test_requests_share_a_cloud_connection_only_where_they_may(
    serve: Callable[..., Proxy], cloud: Server, of_cloud: dict[str, Any], connections: int
) -> None:
    proxy, before = serve(**of_cloud), cloud.connections
    for _ in range(3):
        assert proxy.ask(None, HARD).status == 200
    assert cloud.connections - before == connections
    reused = [proxy.record()["attempts"][0]["reused"] for _ in range(3)]
    assert reused == ([False, True, True] if of_cloud else [False] * 3)
