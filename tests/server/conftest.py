"""One proxy for the tests that leave it as it was, between two scripted upstreams."""

from collections.abc import Iterator

import pytest

from tests.support.proxy import KEY, POLICY, Proxy, secrets
from tests.support.upstream import Upstream


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
