"""One proxy for all clients, between upstreams that answer whole or cut."""

from collections.abc import Iterator

import pytest

from tests.support.proxy import POLICY, Proxy
from tests.support.responses import DONE, END, SSE_HEAD, word
from tests.support.upstream import Upstream, serve_well
from tests.support.wait import eventually


@pytest.fixture(scope="session")
def running(
    tmp_path_factory: pytest.TempPathFactory, upstreams: dict[str, Upstream]
) -> Iterator[Proxy]:
    """A proxy."""
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    policy = {**POLICY, "proxy": {"quarantineDuration": "100ms"}}
    proxy = Proxy(tmp_path_factory.mktemp("clients"), policy, addresses)
    yield proxy
    assert proxy.stop() == 0
    assert "Traceback" not in proxy.log.read_text()


@pytest.fixture
def url(running: Proxy, upstreams: dict[str, Upstream]) -> str:
    """The base URL, with closed breakers behind it."""
    for upstream in upstreams.values():
        upstream.reset()
        upstream.script = serve
    pii = ("x-llmkube-classification", "pii")
    eventually(lambda: running.ask(None, pii).status == 200)
    return f"http://127.0.0.1:{running.port}/v1"


def serve(connection: object, request: bytes) -> None:
    """Answer whole: a stream where one is asked for."""
    if b'"stream": true' in request or b'"stream":true' in request:
        connection.sendall(SSE_HEAD + word("one ") + word("two") + END + DONE)  # type: ignore[attr-defined]
    else:
        serve_well(connection, request)  # type: ignore[arg-type]


@pytest.fixture
def cut(url: str, upstreams: dict[str, Upstream]) -> str:
    """The base URL, with upstreams whose streams break off after a word."""

    def script(connection: object, _: bytes) -> None:
        connection.sendall(SSE_HEAD + word("one "))  # type: ignore[attr-defined]
        raise OSError

    for upstream in upstreams.values():
        upstream.script = script
    return url
