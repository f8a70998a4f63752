"""`lockgate fetch` as a pod runs it: a process, TLS, credentials in files, a kill in the middle."""

import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.fetching.shelf import Shelf, sha256, shelf
from tests.support.proxy import environment
from tests.support.wait import eventually

DATA = bytes(range(256)) * 40_000
LINE = [sys.executable, "-m", "lockgate.cli.main", "fetch"]


@pytest.fixture
def authority(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    file = tmp_path / "ca.crt"
    ca.cert_pem.write_to_path(file)
    return context, file


@pytest.fixture
def server(authority: tuple[ssl.SSLContext, Path]) -> Iterator[Shelf]:
    with shelf(authority[0]) as made:
        made.files["/m.gguf"] = DATA
        yield made


def url(server: Shelf) -> str:
    return f"https://localhost:{server.server_address[1]}/m.gguf"


def fetch(*words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    held = {**environment(), **more}
    return subprocess.run(
        [*LINE, *words], capture_output=True, text=True, timeout=60, check=False, env=held
    )


def test_a_file_over_tls_of_a_private_authority(
    server: Shelf, authority: tuple[ssl.SSLContext, Path], tmp_path: Path
) -> None:
    line = (url(server), "--to", str(tmp_path / "to"), "--sha256", sha256(DATA))
    refused = fetch(*line, HTTPS_PROXY="", https_proxy="")
    assert refused.returncode == 1
    assert "its certificate is not trusted" in refused.stderr
    assert "--ca" in refused.stderr
    done = fetch(*line, "--ca", str(authority[1]))
    assert done.returncode == 0, done.stderr
    assert "m.gguf: 10.2 MB, verified by its sha256 sum" in done.stdout
    assert (tmp_path / "to" / "m.gguf").read_bytes() == DATA


def test_a_wrong_sum_ends_with_1_and_leaves_nothing_to_serve(
    server: Shelf, authority: tuple[ssl.SSLContext, Path], tmp_path: Path
) -> None:
    to = tmp_path / "to"
    line = (url(server), "--to", str(to), "--ca", str(authority[1]))
    done = fetch(*line, "--sha256", "0" * 64)
    assert done.returncode == 1
    assert f"m.gguf has the sha256 sum {sha256(DATA)}, and {'0' * 64} was to come" in done.stderr
    assert not (to / "m.gguf").exists()


def test_a_process_that_is_killed_is_gone_on_with(
    server: Shelf, authority: tuple[ssl.SSLContext, Path], tmp_path: Path
) -> None:
    to = tmp_path / "to"
    line = (url(server), "--to", str(to), "--ca", str(authority[1]), "--sha256", sha256(DATA))

    def stuck(handler: Any) -> bool:
        if len(server.asked) > 1:
            return False
        handler.send_response(200)
        handler.send_header("content-length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA[:5_000_000])
        handler.wfile.flush()
        handler.rfile.read()
        return True

    server.answers.append(stuck)
    process = subprocess.Popen([*LINE, *line], env=environment(), stdout=subprocess.DEVNULL)
    part = to / ".fetch-m.gguf.fetch"
    eventually(lambda: part.exists() and part.stat().st_size > 3_000_000, 30, every_s=0.05)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert not (to / "m.gguf").exists()
    begun = part.stat().st_size
    assert fetch(*line).returncode == 0
    assert (to / "m.gguf").read_bytes() == DATA
    assert server.ranges_asked("/m.gguf")[1:] == [f"bytes={begun}-"]


def test_credentials_are_read_from_the_files_of_a_secret(
    server: Shelf, authority: tuple[ssl.SSLContext, Path], tmp_path: Path
) -> None:
    held = tmp_path / "secret"
    held.mkdir()
    (held / "token").write_text("CANARY\n")
    line = (url(server), "--to", str(tmp_path / "to"), "--ca", str(authority[1]))
    done = fetch(*line, "--sha256", sha256(DATA), "--credentials", str(held))
    assert done.returncode == 0, done.stderr
    assert server.asked[-1][2]["authorization"] == "Bearer CANARY"
    assert "CANARY" not in done.stdout + done.stderr


def test_a_hub_of_ones_own_by_the_variable_that_its_tools_read(tmp_path: Path) -> None:
    with shelf() as hub:
        line = ("hf://o/r", "--to", str(tmp_path / "to"))
        done = fetch(*line, HF_ENDPOINT=hub.url, HF_TOKEN="CANARY")
        assert done.returncode == 1
        assert "answers 404" in done.stderr
        assert hub.asked[0][1] == "/api/models/o/r/revision/main"
        assert hub.asked[0][2]["authorization"] == "Bearer CANARY"
        assert "CANARY" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model.gguf"], "is none of hf://"),
        (["https://h.example/m.gguf"], "nothing else says what https:// must bring"),
        (["hf://o/r", "--sha256", "abc"], "is not 64 hex digits"),
        (["hf://o/r", "--endpoint", "hub"], "is not a URL"),
        (["hf://o/r", "--ca", __file__], "holds no certificates"),
        (["hf://o/r", "--credentials", "/nowhere"], "does not exist"),
    ],
)
def test_wrong_usage_ends_with_2(tmp_path: Path, words: list[str], said: str) -> None:
    done = fetch(*words, "--to", str(tmp_path / "to"))
    assert done.returncode == 2
    assert said in done.stderr.replace("\n", " ")
    assert not (tmp_path / "to").exists()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = fetch("hf://o/r", "--to", str(tmp_path / "file" / "to"))
    assert done.returncode == 1
    assert "cannot be written: Not a directory" in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
