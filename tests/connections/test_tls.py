"""How long a TLS session to an upstream is kept, and what a resumed connection offers."""

import ssl
from typing import Any

import pytest
import trustme
from lockgate.connections.credentials import PLATFORM, TlsFiles
from lockgate.connections.tls import SESSION_S, StrictClient, server_context, upstream_tls
from OpenSSL import SSL


class Connection:
    """What of a connection says which session it has."""

    def __init__(self, session: str, version: int = SSL.TLS1_3_VERSION) -> None:
        self._session = session
        self._version = version

    def get_session(self) -> Any:
        return self._session

    def get_protocol_version(self) -> int:
        return self._version


@pytest.fixture
def client() -> StrictClient:
    return StrictClient("a.test", SSL.Context(SSL.TLS_CLIENT_METHOD))


def test_an_older_check_does_not_replace_a_newer_one(client: StrictClient) -> None:
    client.keep(Connection("new"), 20.0)  # type: ignore[arg-type]
    client.keep(Connection("old"), 10.0)  # type: ignore[arg-type]
    assert (client._session, client._checked_at) == ("new", 20.0)


def test_a_host_has_one_client_under_the_same_files() -> None:
    assert upstream_tls("a.test", PLATFORM) is upstream_tls("a.test", PLATFORM)
    assert upstream_tls("a.test", PLATFORM) is not upstream_tls("b.test", PLATFORM)


class Peer:
    """A server in memory, under an authority that `client` trusts."""

    def __init__(self, *names: str, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        authority = trustme.CA()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(self.context)
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        self.files = TlsFiles(authorities=authority.cert_pem.bytes())
        self.client = upstream_tls(names[0], self.files)
        self.newest(newest)

    def newest(self, version: ssl.TLSVersion) -> None:
        self.context.maximum_version = version

    def meet(self, now: float) -> tuple[float, str | None, bool | None]:
        """Shake hands and keep the session; return what it rests on, its version, if resumed."""
        connection, checked_at = self.client.connection(now)
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = self.context.wrap_bio(into, out, server_side=True)
        for step in (connection.do_handshake, server.do_handshake) * 3:
            try:
                step()
            except (SSL.WantReadError, ssl.SSLWantReadError):
                pass
            shovel(connection, into, out)
        server.write(b"answer")
        shovel(connection, into, out)
        assert connection.recv(100) == b"answer"  # and the session's ticket before it
        assert connection.get_alpn_proto_negotiated() == b"http/1.1"
        self.client.keep(connection, checked_at)
        connection.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)
        return checked_at, server.version(), server.session_reused


def shovel(connection: SSL.Connection, into: ssl.MemoryBIO, out: ssl.MemoryBIO) -> None:
    """Carry what each side has said to the other."""
    try:
        into.write(connection.bio_read(1 << 20))
    except SSL.WantReadError:
        pass
    said = out.read()
    if said:
        connection.bio_write(said)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
def test_a_session_is_resumed_for_five_minutes_after_its_check(newest: ssl.TLSVersion) -> None:
    peer = Peer("localhost", newest=newest)
    version = {ssl.TLSVersion.TLSv1_3: "TLSv1.3", ssl.TLSVersion.TLSv1_2: "TLSv1.2"}[newest]
    assert peer.meet(10.0) == (10.0, version, False)
    assert peer.meet(11.0) == (10.0, version, True)  # resting on the same check
    assert peer.meet(10.0 + SESSION_S) == (10.0, version, True)
    late = 10.1 + SESSION_S
    assert peer.meet(late) == (late, version, False)
    assert peer.meet(late + 1) == (late, version, True)


def test_a_server_that_learns_tls_1_3_is_spoken_to_in_it_after_five_minutes() -> None:
    peer = Peer("localhost", newest=ssl.TLSVersion.TLSv1_2)
    assert peer.meet(0.5)[1:] == ("TLSv1.2", False)
    peer.newest(ssl.TLSVersion.TLSv1_3)
    assert peer.meet(1.0)[1:] == ("TLSv1.2", True)
    assert peer.meet(1.0 + SESSION_S)[1:] == ("TLSv1.3", False)


def test_one_context_checks_each_host_by_its_own_name() -> None:
    peer = Peer("a.test", "b.test")
    assert peer.meet(1.0)[1] == "TLSv1.3"
    held, peer.client = peer.client, upstream_tls("c.test", peer.files)
    assert peer.client._context is held._context
    with pytest.raises(SSL.Error, match="certificate verify failed"):
        peer.meet(1.0)
    peer.client = upstream_tls("b.test", peer.files)
    assert peer.meet(1.0)[1:] == ("TLSv1.3", False)


def test_a_connection_that_has_lost_its_name_is_refused() -> None:
    peer = Peer("a.test")
    peer.client._peer = None
    with pytest.raises(SSL.Error, match="certificate verify failed"):
        peer.meet(1.0)


def test_t11_a_key_that_is_half_written_is_refused_and_no_fault() -> None:
    issued = trustme.CA().issue_cert("localhost")
    chain = b"".join(one.bytes() for one in issued.cert_chain_pems)
    key = issued.private_key_pem.bytes()
    server_context(chain, key)
    for size in (0, 1, 20, len(key) // 2, len(key) - 30):
        with pytest.raises(ValueError, match="not a private key"):
            server_context(chain, key[:size])
