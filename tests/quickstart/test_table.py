"""The table says where a backend is and whether it answers; the commands work."""

import shlex
import socket

from lockgate.quickstart.first_policy import Found, spec_of
from lockgate.quickstart.servers import ModelServer
from lockgate.quickstart.table import backend_lines, curl_lines, nothing_found

OLLAMA = ModelServer("Ollama", "http://127.0.0.1:11434/v1", ("qwen3:8b",), ("kimi-k2.5:cloud",))


def test_a_row_for_each_backend_and_what_was_left_out() -> None:
    found = Found((OLLAMA,), ("openai",))
    spec = spec_of(found)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        spec["backends"][1]["external"]["url"] = f"https://127.0.0.1:{port}/v1"
        head, local, cloud, left_out = backend_lines(spec, found)
    assert head.split() == ["backend", "tier", "model", "url", "reachable", "key"]
    assert local.split() == ["ollama-qwen3-8b", "local", "qwen3:8b", OLLAMA.url, "yes", "none", "needed"]  # fmt: skip
    assert cloud.endswith("yes        OPENAI_API_KEY in the environment")
    assert left_out == "left out, since Ollama runs them in its cloud: kimi-k2.5:cloud"
    assert list(backend_lines(spec, found))[2].split()[5] == "no"


def test_three_commands_to_try_it_with() -> None:
    models, chat, sensitive = curl_lines(spec_of(Found((OLLAMA,), ())), "http://127.0.0.1:8080/v1")
    assert models == "curl http://127.0.0.1:8080/v1/models"
    assert '"model": "qwen3:8b"' in shlex.split(chat)[-1]
    assert shlex.split(sensitive)[-1] == "x-llmkube-classification: pii"


def test_nothing_found_says_where_it_looked() -> None:
    said = nothing_found(["OPENAI_API_KEY"])
    assert "Ollama (port 11434)" in said
    assert "OPENAI_API_KEY" in said
