"""One proxy for the tests that leave it as it was, between two scripted upstreams."""

from collections.abc import Iterator

import pytest

from tests.support.client import Answer
from tests.support.proxy import KEY, POLICY, ROOT, Proxy, environment, free_port, secrets
from tests.support.responses import ANSWER, DONE, END, SSE_HEAD, chunk, http, word
from tests.support.upstream import Upstream, read_request, reset, serve_well

__all__ = [
    "ANSWER", "DONE", "END", "POLICY", "ROOT", "SSE_HEAD", "Answer", "Proxy", "Upstream", "chunk",
    "environment", "free_port", "http", "read_request", "reset", "serve_well", "word",
]  # fmt: skip


@pytest.fixture(scope="session")
def shared_proxy(
    tmp_path_factory: pytest.TempPathFactory, upstreams: dict[str, Upstream]
) -> Iterator[Proxy]:
    """One proxy for the tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("proxy")
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(folder, POLICY, addresses, "--secrets", str(secrets(folder)))
    yield proxy
    assert proxy.stop() == 0
    log = proxy.log.read_text()
    assert KEY not in log
    assert "Traceback" not in log, log


@pytest.fixture
def proxy(shared_proxy: Proxy, upstreams: dict[str, Upstream]) -> Proxy:
    """The shared proxy with closed breakers, no old record, and upstreams that serve well."""
    for upstream in upstreams.values():
        upstream.reset()
    shared_proxy.rest()
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
