"""The stand-in for a model server, as its image starts it: with the flags of the real ones."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

LLAMA_CPP = ["--model", "/models/x.gguf", "--alias", "qwen", "--ctx-size", "4096", "--jinja"]
VLLM = ["--model", "/models/x", "--served-model-name", "qwen", "--max-num-seqs", "4"]


def started(*flags: str) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", "pulumi_lockgate.demo.stand_in", *flags]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(params=[LLAMA_CPP, VLLM], ids=["llama.cpp", "vLLM"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    server = started(*request.param)
    assert server.stdout is not None
    yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    server.send_signal(signal.SIGTERM)
    _, said = server.communicate(timeout=10)
    assert server.returncode == 0, said
    assert said.startswith("ignored: --model /models/x")


def asked(url: str, body: Any = None) -> tuple[int, str]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def test_it_answers_what_probes_and_clients_ask(address: str) -> None:
    assert asked(f"{address}/health") == (200, '{"status": "ok"}')
    models = json.loads(asked(f"{address}/v1/models")[1])
    assert [model["id"] for model in models["data"]] == ["qwen"]
    body = {"model": "qwen", "messages": []}
    whole = json.loads(asked(f"{address}/v1/chat/completions", body)[1])
    assert whole["choices"][0]["message"]["content"].startswith("[qwen] I am a stand-in")
    status, stream = asked(f"{address}/v1/chat/completions", body | {"stream": True})
    assert status == 200
    *_, last, done = stream.split("\n\n")[:-1]
    assert json.loads(last.removeprefix("data: "))["choices"][0]["finish_reason"] == "stop"
    assert done == "data: [DONE]"


@pytest.mark.parametrize("body", [{}, [], "text", 1])
def test_what_is_no_request_is_refused(address: str, body: Any) -> None:
    assert asked(f"{address}/v1/chat/completions", body)[0] == 400
    assert asked(f"{address}/stand-in", body)[0] == 400
    assert json.loads(asked(f"{address}/stand-in")[1]) == {"served": 0, "cancelled": 0}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--port", "http"], "argument --port: invalid int value: 'http'"),
        (["--port"], "argument --port: expected one argument"),
        (["--alias"], "expected one argument"),
    ],
)
def test_a_flag_that_it_knows_must_be_right(flags: list[str], said: str) -> None:
    server = started(*flags)
    _, told = server.communicate(timeout=10)
    assert server.returncode == 2
    assert said in told
