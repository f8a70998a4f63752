"""Large bodies through the real process: up while they arrive, whole or taken back."""

import itertools
import json
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.client import Answer
from tests.support.proxy import POLICY, Proxy
from tests.support.responses import ANSWER, http
from tests.support.upstream import RequestBytes, reset
from tests.support.wait import eventually, let_pass, steady

MIB = 1 << 20
HEAD = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"


class Server:
    """Takes requests byte by byte; `came` has a bytearray for each."""

    def __init__(self, secure: ssl.SSLContext | None = None) -> None:
        self._secure = secure
        self.came: list[bytearray] = []
        self.gone = 0
        self.react: Callable[[socket.socket, bytearray], bool] = lambda _, __: False
        """Called with every read; true ends the connection."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        came = bytearray()
        try:
            if self._secure is not None:
                connection = self._secure.wrap_socket(connection, server_side=True)
            while piece := connection.recv(1 << 16):
                if not came:
                    self.came.append(came)
                came += piece
                if self.react(connection, came):
                    break
                if is_whole(came):
                    connection.sendall(http(200, json.dumps(ANSWER).encode()))
                    came = bytearray()
        except OSError:
            pass
        self.gone += 1
        connection.close()

    def forget(self) -> None:
        self.came, self.gone, self.react = [], 0, lambda _, __: False


def is_whole(came: bytearray) -> bool:
    head = bytes(came[: came.find(b"\r\n\r\n") + 4])
    if b"chunked" in head:
        return came.endswith(b"\r\n0\r\n\r\n")
    length = int(head.rpartition(b"content-length: ")[2].split(b"\r\n")[0])
    return len(came) - len(head) >= length


def body_in(came: bytearray) -> bytes:
    """Return the body that came, without its coding and the white space that fills its length."""
    request = RequestBytes()
    request.feed(bytes(came))
    body = bytes(request.body)
    return body[:-1].rstrip(b" ") + body[-1:]


@pytest.fixture(scope="module")
def servers() -> dict[str, Server]:
    return {"local": Server(), "cloud": Server()}


@pytest.fixture(scope="module")
def one_proxy(
    tmp_path_factory: pytest.TempPathFactory, servers: dict[str, Server]
) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("upload")
    addresses = {name: f"http://127.0.0.1:{s.port}" for name, s in servers.items()}
    secret = folder / "secrets" / "openai-key"
    secret.mkdir(parents=True)
    (secret / "key").write_text("sk-CANARY")
    policy = {**POLICY, "proxy": {**POLICY["proxy"], "quarantineDuration": "100ms"}}
    proxy = Proxy(folder, policy, addresses, "--secrets", str(folder / "secrets"))
    yield proxy
    proxy.stop()
    assert "Traceback" not in proxy.log.read_text()


@pytest.fixture
def proxy(one_proxy: Proxy, servers: dict[str, Server]) -> Iterator[Proxy]:
    for server in servers.values():
        server.forget()
    one_proxy.rest()  # a breaker that a test opened
    for server in servers.values():
        server.forget()
    yield one_proxy
    eventually(lambda: number(one_proxy, "lockgate_memory_held_bytes") == 0)
    assert number(one_proxy, "lockgate_permits_out") == 0
    one_proxy.flushed()


def number(proxy: Proxy, name: str) -> float:
    return proxy.metrics()[name]


def reload(proxy: Proxy) -> None:
    """Let the proxy read its policy anew, and wait until it has."""

    def adopted() -> float:
        return proxy.metrics().get('lockgate_policy_reloads_total{result="adopted"}', 0.0)

    before = adopted()
    proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: adopted() > before)


def large(size: int = 3 * MIB, tail: str = "", **fields: Any) -> bytes:
    """Return a body of about `size` bytes whose model stands first."""
    document = {
        "model": "m",
        "messages": [{"role": "user", "content": "é" * (size // 2)}],
        **fields,
    }
    text = json.dumps(document, ensure_ascii=False)
    return (text[:-1] + tail + "}").encode()


def framed(body: bytes, *, chunked: bool, more: str = "") -> tuple[bytes, list[bytes]]:
    """Return a head, and the body in four pieces, the last one small."""
    cuts = [0, len(body) // 2, len(body) - 100_000, len(body) - 100, len(body)]
    pieces = [body[a:b] for a, b in itertools.pairwise(cuts)]
    if not chunked:
        return f"{HEAD}{more}content-length: {len(body)}\r\n\r\n".encode(), pieces
    coded = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    return f"{HEAD}{more}transfer-encoding: chunked\r\n\r\n".encode(), [
        *coded[:-1],
        coded[-1] + b"0\r\n\r\n",
    ]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_a_large_body_goes_up_before_it_is_whole_and_is_the_same(
    proxy: Proxy, servers: dict[str, Server], chunked: bool, stream: bool
) -> None:
    body = large(stream=stream)
    head, pieces = framed(body, chunked=chunked)
    with proxy.connect() as connection:
        connection.sendall(head + pieces[0])
        eventually(lambda: servers["local"].came and len(servers["local"].came[0]) > MIB)
        for piece in pieces[1:-1]:
            connection.sendall(piece)
        let_pass(0.1)
        assert not is_whole(servers["local"].came[0])
        assert len(servers["local"].came[0]) < len(body) - 60_000, "the last bytes are withheld"
        connection.sendall(pieces[-1])
        answer = Answer.read(connection)
    usage = ',"stream_options":{"include_usage":true}' if stream else ""
    expected = body[:-1] + usage.encode() + b"}"
    assert body_in(servers["local"].came[0]) == expected.replace(b'"m"', b'"qwen"', 1)
    record = proxy.record()
    assert record["bytes_in"] == len(body)
    if stream:  # the scripted answer is no stream: what was seen before the end does not say that
        assert (answer.status, record["stream"]) == (502, True)
    else:
        assert (answer.status, record["outcome"], record["terminal"]) == (200, "complete", "Ud")


def test_a_body_whose_model_stands_last_is_read_whole_first(
    proxy: Proxy, servers: dict[str, Server]
) -> None:
    body = b'{"messages":["' + b"a" * 2 * MIB + b'"],"model":"m"}'
    head, pieces = framed(body, chunked=False)
    with proxy.connect() as connection:
        connection.sendall(head + pieces[0] + pieces[1])
        let_pass(0.2)
        assert servers["local"].came == []
        connection.sendall(pieces[2] + pieces[3])
        assert Answer.read(connection).status == 200
    assert body_in(servers["local"].came[0]) == body.replace(b'"m"', b'"qwen"')


def test_u5_an_upstream_that_dies_in_the_upload_is_left_for_the_next(
    proxy: Proxy, servers: dict[str, Server]
) -> None:
    def die(connection: socket.socket, came: bytearray) -> bool:
        if len(came) > 500_000:
            reset(connection)
            raise OSError
        return False

    servers["local"].react = die
    body = large()
    head, pieces = framed(body, chunked=False)
    with proxy.connect() as connection:
        connection.sendall(head + pieces[0])
        eventually(lambda: servers["cloud"].came)
        for piece in pieces[1:]:
            connection.sendall(piece)
        answer = Answer.read(connection)
    assert answer.status == 200
    assert body_in(servers["cloud"].came[0]) == body.replace(b'"m"', b'"gpt-5"', 1)
    record = proxy.record()
    outcomes = [(a["backend"], a["outcome"]) for a in record["attempts"]]
    assert outcomes == [("local", "upstream_reset")] * 2 + [("cloud", "complete")]


def test_i3_a_sensitive_upload_that_fails_meets_no_cloud(
    proxy: Proxy, servers: dict[str, Server]
) -> None:
    servers["local"].react = lambda connection, _: bool(reset(connection)) or True
    head, pieces = framed(large(), chunked=False, more="x-llmkube-classification: pii\r\n")
    with proxy.connect() as connection:
        connection.sendall(head + pieces[0])
        answer = Answer.read(connection)  # before the body is whole
    assert (answer.status, answer.code) == (503, "no_allowed_upstream")
    assert "connection: close" in answer.head
    assert servers["cloud"].came == []


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        (',"model":"other"', "duplicate_key"),
        (',"api_base":"http://evil"', "client_routing"),
        (',"x":NaN', "invalid_json"),
        (',"stream":"yes"', "invalid_field"),
        ("}", "invalid_json"),
        (',"x":"\\ud800"', None),
    ],
)
def test_c27_what_is_wrong_at_the_end_of_a_body_takes_back_what_went_up(
    proxy: Proxy, servers: dict[str, Server], tail: str, code: str | None
) -> None:
    body = large(tail=tail)
    head, pieces = framed(body, chunked=True)
    with proxy.connect() as connection:
        connection.sendall(head)
        for piece in pieces:
            connection.sendall(piece)
        answer = Answer.read(connection)
    if code is None:  # a lone surrogate is the caller's own affair
        assert answer.status == 200
        return
    assert (answer.status, answer.code) == (400, code)
    eventually(lambda: servers["local"].gone == 1)
    assert not is_whole(servers["local"].came[0])
    record = proxy.record()
    assert (record["outcome"], record["attempts"][0]["outcome"]) == ("bad_request", code)
    assert number(proxy, 'lockgate_breaker_state{backend="local"}') == 0


def test_c2_a_caller_that_leaves_in_an_upload_ends_it(
    proxy: Proxy, servers: dict[str, Server]
) -> None:
    head, pieces = framed(large(), chunked=False)
    with proxy.connect() as connection:
        connection.sendall(head + pieces[0])
        eventually(lambda: servers["local"].came)
    eventually(lambda: servers["local"].gone == 1)
    record = proxy.record()
    assert (record["outcome"], record["terminal"]) == ("client_gone", "Cb")


def test_h6_an_early_error_stops_the_upload_and_is_passed_on(
    proxy: Proxy, servers: dict[str, Server]
) -> None:
    said = (
        b'{"error":{"message":"too many images","type":"invalid_request_error","code":"too_large"}}'
    )
    answered: list[int] = []

    def refuse(connection: socket.socket, came: bytearray) -> bool:
        if not answered and len(came) > 300_000:
            answered.append(len(came))
            connection.sendall(http(413, said))
        return False

    servers["local"].react = refuse
    head, pieces = framed(large(8 * MIB), chunked=False)
    with proxy.connect() as connection:
        connection.sendall(head + pieces[0])
        answer = Answer.read(connection)
    assert (answer.status, answer.json["error"]["message"]) == (413, "too many images")
    assert proxy.record()["outcome"] == "upstream_refused"
    eventually(lambda: servers["local"].gone == 1)


def test_h9_a_good_answer_before_the_request_is_whole_is_none(
    proxy: Proxy, servers: dict[str, Server]
) -> None:
    def hasty(connection: socket.socket, came: bytearray) -> bool:
        if b"hasty" not in came:  # once; closing here would reset over the answer
            came += b"hasty"
            connection.sendall(http(200, json.dumps(ANSWER).encode()))
        return False

    servers["local"].react = hasty
    head, pieces = framed(large(), chunked=False)
    with proxy.connect() as connection:
        connection.sendall(head + pieces[0])
        eventually(lambda: servers["cloud"].came)
        connection.sendall(b"".join(pieces[1:]))
        assert Answer.read(connection).status == 200
    assert proxy.record()["attempts"][0]["outcome"] == "upstream_protocol"


def test_an_upstream_that_does_not_read_holds_nothing_twice(
    proxy: Proxy, servers: dict[str, Server]
) -> None:
    release = threading.Event()
    servers["local"].react = lambda _, __: not release.wait(60)
    body = large(24 * MIB)
    head, pieces = framed(body, chunked=False)
    with proxy.connect() as connection:
        connection.sendall(head + b"".join(pieces[:3]))
        eventually(lambda: servers["local"].came)
        held = steady(lambda: number(proxy, "lockgate_memory_held_bytes"))
        assert held == sum(map(len, pieces[:3]))  # what came, and not what was announced
        release.set()
        connection.sendall(pieces[3])
        assert Answer.read(connection).status == 200
    assert body_in(servers["local"].came[0]) == body.replace(b'"m"', b'"qwen"', 1)


@pytest.mark.slow
def test_c11_an_upload_that_drips_ends_after_its_time(
    proxy: Proxy, servers: dict[str, Server]
) -> None:
    body = large()
    with proxy.connect() as connection:
        connection.settimeout(60)
        connection.sendall(f"{HEAD}content-length: {len(body)}\r\n\r\n".encode() + body[:20_000])
        eventually(lambda: servers["local"].came)
        answer = Answer.read(connection)
    assert (answer.status, answer.code) == (408, "body_timeout")
    eventually(lambda: servers["local"].gone == 1)
    record = proxy.record()
    assert (record["outcome"], record["terminal"]) == ("bad_request", "Cb-body-timeout")


def test_a_request_behind_an_upload_on_the_same_connection_is_served_after_it(
    proxy: Proxy, servers: dict[str, Server]
) -> None:
    small = json.dumps({"model": "m", "messages": []}).encode()
    first, _ = framed(large(), chunked=False)
    second = f"{HEAD}content-length: {len(small)}\r\n\r\n".encode() + small
    with proxy.connect() as connection:
        connection.sendall(first.replace(b"connection: close\r\n", b"") + large() + second)
        answers = Answer.read(connection).raw
    assert answers.count(b"HTTP/1.1 200") == 2
    assert len(servers["local"].came) == 2


def test_p6_an_upload_begun_before_a_reload_is_tried_again_only_where_both_policies_allow(
    proxy: Proxy, servers: dict[str, Server], tmp_path: Path
) -> None:
    old = proxy.policy_file.read_text()
    policy = json.loads(old)
    policy["rules"][-1]["route"]["backends"] = ["local"]
    head, pieces = framed(large(), chunked=False)
    hold = threading.Event()

    def die(connection: socket.socket, came: bytearray) -> bool:
        hold.wait(60)
        reset(connection)
        return True

    servers["local"].react = die
    try:
        with proxy.connect() as connection:
            connection.sendall(head + pieces[0])
            eventually(lambda: servers["local"].came)
            proxy.policy_file.write_text(json.dumps(policy))
            reload(proxy)
            hold.set()
            answer = Answer.read(connection)
        assert answer.status == 502
        assert servers["cloud"].came == []
    finally:
        proxy.policy_file.write_text(old)
        reload(proxy)


def test_an_upload_over_tls_goes_at_the_upstreams_pace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server, release = Server(context), threading.Event()
    server.react = lambda _, __: not release.wait(60)
    external = {"provider": "openai", "model": "gpt-5", "allowPrivateAddress": True}
    policy = {
        "backends": [{"name": "cloud", "tier": "cloud", "external": external}],
        "defaultRoute": "cloud",
    }
    proxy = Proxy(tmp_path, policy, {"cloud": f"https://localhost:{server.port}"})
    body = large(16 * MIB)
    head, pieces = framed(body, chunked=False)
    with proxy.connect() as connection:
        connection.sendall(head + pieces[0] + pieces[1])
        eventually(lambda: server.came)
        release.set()
        connection.sendall(pieces[2] + pieces[3])
        assert Answer.read(connection).status == 200
    assert body_in(server.came[0]) == body.replace(b'"m"', b'"gpt-5"', 1)
    assert proxy.stop() == 0
    assert "Traceback" not in proxy.log.read_text()
