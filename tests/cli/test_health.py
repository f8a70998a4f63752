"""`lockgate health`: a container's health check, whose exit status is what is read."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lockgate.cli.main import cli

from tests.support.proxy import POLICY, Proxy, free_port


def health(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["health", *arguments])


@contextmanager
def answering(data: bytes) -> Iterator[str]:
    """Serve one answer, whatever is asked; give the address."""

    class Door(BaseHTTPRequestHandler):
        def handle(self) -> None:
            self.request.recv(4096)
            self.request.sendall(data)

    with HTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_proxy_that_serves_is_ready(tmp_path: Path) -> None:
    addresses = {name: f"http://127.0.0.1:{free_port()}" for name in ("local", "cloud")}
    proxy = Proxy(tmp_path, POLICY, addresses)
    told = health("--admin", f"127.0.0.1:{proxy.admin}")
    assert proxy.stop() == 0
    assert told.exit_code == 0, told.output
    assert "[+] accepting\n" in told.output
    assert told.output.endswith("\nready\n")
    gone = health("--admin", f"127.0.0.1:{proxy.admin}")
    assert gone.exit_code == 1
    assert gone.output.startswith(f"no answer from 127.0.0.1:{proxy.admin}: ")


def test_one_that_drains_is_not_and_what_it_says_is_shown() -> None:
    with answering(b"HTTP/1.1 503 no\r\ncontent-length: 22\r\n\r\n[-] draining\nnot ready") as at:
        told = health("--admin", at)
    assert (told.exit_code, told.output) == (1, "[-] draining\nnot ready\n")


@pytest.mark.parametrize(
    "data", [b"220 mail\r\n", b"HTTP/1.1 200 OK\r\nconte", b"HTTP/1.1 200 OK\r\n\r\nhello", b""]
)
def test_what_is_no_proxy_is_not_ready(data: bytes) -> None:
    with answering(data) as at:
        told = health("--admin", at)
    assert told.exit_code == 1, told.output
    assert "Traceback" not in told.output


def test_one_that_hangs_is_given_up() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:  # takes, never answers
        told = health("--admin", f"127.0.0.1:{server.server_port}", "--timeout", "100ms")
    assert told.exit_code == 1
    assert "timed out" in told.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--admin", "9090"], "'9090' is not HOST:PORT, like 127.0.0.1:8080"),
        (["--timeout", "soon"], "'soon' is not a duration"),
        (["--timeout", "0s"], "no proxy answers in no time; write one like 2s"),
        (["now"], "unexpected extra argument (now)"),
    ],
)
def test_wrong_usage_is_refused_by_name(words: list[str], said: str) -> None:
    told = health(*words)
    assert told.exit_code == 2
    assert said in told.output
