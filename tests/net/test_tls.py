"""How long a TLS session to an upstream is kept."""

from typing import Any

import pytest
from OpenSSL import SSL

from proxy.govern.credentials import PLATFORM
from proxy.net.tls import SESSION_S, StrictClient, client_tls


class Connection:
    """What of a connection says which session it has."""

    def __init__(self, session: str) -> None:
        self._session = session

    def get_session(self) -> Any:
        return self._session


@pytest.fixture
def client() -> StrictClient:
    return StrictClient("a.test", SSL.Context(SSL.TLS_CLIENT_METHOD))


def test_a_resumed_session_is_as_old_as_the_check_it_rests_on(client: StrictClient) -> None:
    client.keep(Connection("whole"), 10.0)  # type: ignore[arg-type]
    client.look(10.0 + SESSION_S)
    assert client._session == "whole"
    client.look(10.1 + SESSION_S)
    assert client._session is None
    resumed: Any = Connection("resumed")
    client._resumed_from[resumed] = 10.0
    client.keep(resumed, 11.0 + SESSION_S)
    client.look(11.0 + SESSION_S)
    assert client._session is None


def test_an_older_check_does_not_replace_a_newer_one(client: StrictClient) -> None:
    client.keep(Connection("new"), 20.0)  # type: ignore[arg-type]
    old: Any = Connection("old")
    client._resumed_from[old] = 10.0
    client.keep(old, 21.0)
    assert (client._session, client._checked_at) == ("new", 20.0)


def test_a_host_has_one_client_under_the_same_files() -> None:
    assert client_tls("a.test", PLATFORM) is client_tls("a.test", PLATFORM)
    assert client_tls("a.test", PLATFORM) is not client_tls("b.test", PLATFORM)
