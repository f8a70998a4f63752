"""`lockgate serve --quick`: a first run without a file, against a model server as it answers."""

import json
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner
from lockgate.cli.main import cli
from lockgate.cli.quick import free_place

from tests.quickstart.model_servers import OLLAMA, serving
from tests.support.proxy import ROOT, environment, free_port
from tests.support.wait import eventually

CANARY = "sk-CANARY-quick"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_serves_what_it_found_and_says_how_to_try_it(tmp_path: Path, workers: str) -> None:
    log, port, admin = tmp_path / "log", free_port(), free_port()
    line = [sys.executable, "-m", "lockgate.cli.main", "serve", "--quick", "--workers", workers]
    line += ["--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}"]
    with serving(OLLAMA) as ollama, log.open("wb") as err, (tmp_path / "out").open("wb") as out:
        around = environment(OLLAMA_HOST=f"127.0.0.1:{ollama}", OPENAI_API_KEY=CANARY)
        proxy = subprocess.Popen(line, cwd=ROOT, env=around, stdout=out, stderr=err)
        try:
            eventually(lambda: ready(admin), 60, what=log.read_text)
            body = json.dumps({"model": "gpt-oss:20b", "messages": []}).encode()
            fields = {"content-type": "application/json", "x-llmkube-classification": "pii"}
            url = f"http://127.0.0.1:{port}/v1/chat/completions"
            asked = urllib.request.Request(url, body, fields)
            with urllib.request.urlopen(asked, timeout=10) as response:
                assert response.headers["x-lockgate-backend"] == "ollama-qwen3-8b"
                assert json.load(response)["model"] == "qwen3:8b"
            proxy.send_signal(1)  # a reload: there is no file to read
            assert ready(admin)
        finally:
            proxy.terminate()
            assert proxy.wait(30) == 0
    said = log.read_text()
    assert "PROVED: no request marked sensitive has a cloud backend" in said
    assert said.count(f"  curl http://127.0.0.1:{port}/v1/") == 3
    assert "OPENAI_API_KEY in the environment" in said
    assert CANARY not in said + (tmp_path / "out").read_text()


def ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as page:
            return page.status == 200
    except OSError:
        return False


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name a policy with --policy FILE, or take --quick: one of the two"),
        (("--quick", "--policy", "p.yaml"), "name a policy with --policy FILE, or take --quick"),
        (("--quick",), "nothing to route to was found on this machine"),
    ],
)
def test_what_cannot_be_served_ends_with_2(
    words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockgate.cli.quick.ports_of", lambda _: [])
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(cli, ["serve", *words])
    assert (done.exit_code, said in done.stderr) == (2, True), done.output


def test_a_port_that_a_model_server_has_is_not_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        host, free = free_place(("127.0.0.1", port))
    assert (host, port < free <= port + 20) == ("127.0.0.1", True)
