"""Real Chromium: a page of a listed origin may call, stream and read; any other one may not."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import serve
from tests.support.proxy import POLICY, Proxy
from tests.support.upstream import Upstream

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here: apt-get install chromium"
)

PAGE = """<!doctype html><body><script>
const url = "http://127.0.0.1:%d/v1";
const headers = {"authorization": "Bearer x", "content-type": "application/json",
  "x-stainless-os": "Linux", "x-llmkube-team": "red"};
async function ask(path, options) {
  try {
    const answer = await fetch(url + path, options);
    const text = await answer.text();
    return [answer.status, answer.headers.get("x-request-id"),
      answer.headers.get("x-lockgate-backend"), text.includes("[DONE]")];
  } catch (problem) { return problem.name; }
}
const post = body => ({method: "POST", headers, body: JSON.stringify(body)});
(async () => {
  const said = {
    models: await ask("/models"),
    stream: await ask("/chat/completions", post({model: "m", messages: [], stream: true})),
    refused: await ask("/chat/completions", post({model: 1})),
    simple: await ask("/chat/completions", {method: "POST", mode: "no-cors",
      body: JSON.stringify({model: "m", messages: []})}),
  };
  document.body.textContent = JSON.stringify(said);
})();
</script></body>"""


class Site(BaseHTTPRequestHandler):
    """Serves the page under whatever name it is asked for."""

    page = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def browse(url: str, profile: Path) -> dict[str, Any]:
    """Return what the page wrote."""
    arguments = [
        str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--disable-background-networking", f"--user-data-dir={profile}",
        "--host-resolver-rules=MAP *.example 127.0.0.1", "--virtual-time-budget=10000", "--dump-dom", url,
    ]  # fmt: skip
    done = subprocess.run(arguments, capture_output=True, timeout=60, check=False)
    found = re.search(r"<body>(\{.*\})</body>", done.stdout.decode())
    assert found is not None, done
    document: dict[str, Any] = json.loads(unescape(found[1]))
    return document


def test_a_listed_page_reads_streams_and_errors_and_another_reaches_nothing(
    site: ThreadingHTTPServer, upstreams: dict[str, Upstream], tmp_path: Path
) -> None:
    port = site.server_port
    listed = f"http://chat.example:{port}"
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    policy = {**POLICY, "endpoint": {"cors": {"origins": [listed]}}}
    proxy = Proxy(tmp_path, policy, addresses)
    Site.page = (PAGE % proxy.port).encode()
    upstreams["local"].reset()
    upstreams["local"].script = serve
    try:
        ours = browse(listed, tmp_path / "ours")
        served = len(upstreams["local"].requests)
        theirs = browse(f"http://evil.example:{port}", tmp_path / "theirs")
    finally:
        assert proxy.stop() == 0
    ids = {name: answer[1] for name, answer in ours.items()}
    assert all(ids[name].startswith("req-") for name in ("models", "stream", "refused"))
    assert {name: (a[0], *a[2:]) for name, a in ours.items()} == {
        "models": (200, None, False),
        "stream": (200, "local", True),
        "refused": (400, None, False),
        "simple": (0, None, False),  # opaque: sent without a preflight, and not to be read
    }
    assert served == 2
    assert {theirs[name] for name in ("models", "stream", "refused")} == {"TypeError"}
    assert len(upstreams["local"].requests) == served
