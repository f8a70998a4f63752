"""Real clients: each gets whole answers and streams, and each sees a cut stream as an error."""

import asyncio
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import openai
import pytest

from tests.support.responses import http
from tests.support.upstream import Upstream, serve_well

HERE = Path(__file__).parent
ASK: dict[str, Any] = {"model": "m", "messages": []}


def sdk(url: str, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="x", **{"max_retries": 0, **options})


def test_openai_gets_an_answer_and_its_headers(url: str) -> None:
    raw = sdk(url).chat.completions.with_raw_response.create(**ASK)
    assert raw.headers["x-lockgate-backend"] == "local"
    assert raw.headers["x-request-id"].startswith("req-")
    assert raw.parse().choices[0].message.content == "hello"


def test_openai_streams(url: str) -> None:
    parts = sdk(url).chat.completions.create(**ASK, stream=True)
    assert "".join(p.choices[0].delta.content or "" for p in parts) == "one two"


def test_openai_streams_without_blocking(url: str) -> None:
    async def ask() -> tuple[str, str]:
        async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as client:
            one = await client.chat.completions.create(**ASK)
            parts = await client.chat.completions.create(**ASK, stream=True)
            text = "".join([p.choices[0].delta.content or "" async for p in parts])
            return one.choices[0].message.content or "", text

    assert asyncio.run(ask()) == ("hello", "one two")


def test_openai_sees_a_cut(cut: str) -> None:
    with pytest.raises(openai.APIError, match="stopped before its end"):
        list(sdk(cut).chat.completions.create(**ASK, stream=True))

    async def ask() -> None:
        async with openai.AsyncOpenAI(base_url=cut, api_key="x", max_retries=0) as client:
            async for _ in await client.chat.completions.create(**ASK, stream=True):
                pass

    with pytest.raises(openai.APIError):
        asyncio.run(ask())


def test_openais_own_retries_meet_our_retry_after(url: str, upstreams: dict[str, Upstream]) -> None:
    began = time.monotonic()

    def limited(connection: Any, request: bytes) -> None:
        if time.monotonic() < began + 1.5:
            connection.sendall(http(429, b"{}", "retry-after: 2"))
        else:
            serve_well(connection, request)

    for upstream in upstreams.values():
        upstream.script = limited
    answer = sdk(url, max_retries=2).chat.completions.create(**ASK)
    assert answer.choices[0].message.content == "hello"
    assert len(upstreams["local"].requests) >= 2


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (422, openai.UnprocessableEntityError),
    ],
)
def test_openai_reads_our_errors(
    url: str, upstreams: dict[str, Upstream], status: int, error: type[openai.APIStatusError]
) -> None:
    said = b'{"error": {"message": "no such tool", "type": "invalid_request_error", "code": "t"}}'
    upstreams["local"].script = lambda c, _: c.sendall(http(status, said))
    with pytest.raises(error, match="no such tool") as raised:
        sdk(url).chat.completions.create(**ASK)
    assert raised.value.code == "t"


def test_httpx(url: str) -> None:
    with httpx.Client() as client:
        assert client.post(f"{url}/chat/completions", json=ASK).json()["id"] == "c1"
        text = client.post(f"{url}/chat/completions", json={**ASK, "stream": True}).text
        assert text.endswith("data: [DONE]\n\n")


def test_httpx_sees_a_cut(cut: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{cut}/chat/completions", json={**ASK, "stream": True})


def test_aiohttp(url: str) -> None:
    async def ask() -> tuple[str, str]:
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{url}/chat/completions", json=ASK) as one:
                found = (await one.json())["id"]
            async with session.post(f"{url}/chat/completions", json={**ASK, "stream": True}) as two:
                return found, await two.text()

    found, text = asyncio.run(ask())
    assert found == "c1"
    assert text.endswith("data: [DONE]\n\n")


def test_aiohttp_sees_a_cut(cut: str) -> None:
    async def ask() -> None:
        async with aiohttp.ClientSession() as session:
            body = {**ASK, "stream": True}
            async with session.post(f"{cut}/chat/completions", json=body) as answer:
                await answer.text()

    with pytest.raises(aiohttp.ClientPayloadError):
        asyncio.run(ask())


def program(command: list[str], url: str, kind: str) -> subprocess.CompletedProcess[str]:
    """Run a client of another language."""
    return subprocess.run(
        [*command, f"{url}/chat/completions", kind],
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip


CURL = ["curl", "--http1.1", "-sS", "-N", "-H", "content-type: application/json", "-d"]


def curl(url: str, *, stream: bool) -> subprocess.CompletedProcess[str]:
    body = json.dumps({**ASK, "stream": stream})
    return subprocess.run(
        [*CURL, body, f"{url}/chat/completions"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.skipif(not shutil.which("curl"), reason="NOT RUN: no curl")
def test_curl(url: str) -> None:
    assert json.loads(curl(url, stream=False).stdout)["id"] == "c1"
    done = curl(url, stream=True)
    assert (done.returncode, done.stdout.endswith("data: [DONE]\n\n")) == (0, True)


@pytest.mark.skipif(not shutil.which("curl"), reason="NOT RUN: no curl")
def test_curl_sees_a_cut(cut: str) -> None:
    assert curl(cut, stream=True).returncode == 18  # CURLE_PARTIAL_FILE


OTHERS = {
    "node": ["node", str(HERE / "fetch.mjs")],
    "go": ["go", "run", str(HERE / "fetch.go")],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_languages(url: str, name: str) -> None:
    if not shutil.which(name):
        pytest.skip(f"NOT RUN: no {name}")
    plain = program(OTHERS[name], url, "plain")
    assert plain.returncode == 0, plain.stderr
    assert json.loads(json.loads(plain.stdout)["text"])["id"] == "c1"
    stream = program(OTHERS[name], url, "stream")
    assert json.loads(stream.stdout)["text"].endswith("data: [DONE]\n\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_languages_see_a_cut(cut: str, name: str) -> None:
    if not shutil.which(name):
        pytest.skip(f"NOT RUN: no {name}")
    done = program(OTHERS[name], cut, "stream")
    assert done.returncode != 0
    assert done.stdout == ""
