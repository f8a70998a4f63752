"""The processes of the demo: two stand-ins and the real proxy, and the audit lines it writes."""

import json
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from attrs import define, field

START_S: Final = 20.0
AUDIT_S: Final = 5.0


@define
class StandInProcess:
    """A stand-in model in a process of its own."""

    name: str
    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def become(self, mode: str) -> None:
        """Choose how it behaves from now on."""
        self._ask(json.dumps({"mode": mode}).encode())

    def cancelled(self) -> int:
        """Return how many streams it saw cancelled."""
        seen: int = self._ask(None)["cancelled"]
        return seen

    def kill(self) -> None:
        """End it, as a crash would."""
        self.process.kill()
        self.process.wait()

    def _ask(self, data: bytes | None) -> dict[str, Any]:
        request = urllib.request.Request(self.url + "/stand-in", data=data)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - loopback
            document: dict[str, Any] = json.load(answer)
        return document


@define
class RunningDemo:
    """Everything that runs during the demo."""

    local: StandInProcess
    cloud: StandInProcess
    proxy: subprocess.Popen[str]
    url: str
    admin_url: str
    _records: "queue.Queue[dict[str, Any]]" = field(factory=queue.Queue)

    def next_record(self) -> dict[str, Any]:
        """Return the next audit record; queue.Empty when none comes."""
        return self._records.get(timeout=AUDIT_S)

    def metrics(self) -> str:
        """Return the proxy's metrics page."""
        address = self.admin_url + "/metrics"
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - loopback
            return str(answer.read().decode())

    def collect(self, lines: IO[str]) -> None:
        """Read audit lines until the proxy ends."""
        for line in lines:
            self._records.put(json.loads(line))


@contextmanager
def running_demo(policy_json: bytes) -> Iterator[RunningDemo]:
    """Run the proxy on `policy_json` between two stand-ins; everything is ended on leaving."""
    started: list[subprocess.Popen[str]] = []
    with tempfile.TemporaryDirectory(prefix="lockgate-demo-") as folder:
        try:
            yield _open(Path(folder), policy_json, started)
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(timeout=10)


def _open(folder: Path, policy_json: bytes, started: list[subprocess.Popen[str]]) -> RunningDemo:
    policy = folder / "policy.json"
    policy.write_bytes(policy_json)
    secret = folder / "secrets" / "openai-key"
    secret.mkdir(parents=True)
    (secret / "OPENAI_API_KEY").write_text("sk-a-key-for-a-stand-in\n")
    local = _stand_in("local-qwen", started)
    cloud = _stand_in("cloud-gpt", started)
    port, admin = _free_port(), _free_port()
    proxy = subprocess.Popen(
        [
            *(sys.executable, "-m", "lockgate.cli.main", "serve"),
            *("--policy", str(policy), "--secrets", str(folder / "secrets")),
            *("--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}"),
            *("--address", f"local-qwen={local.url}", "--address", f"cloud-gpt={cloud.url}"),
        ],
        stdout=subprocess.PIPE,
        stderr=(folder / "proxy.log").open("w"),
        text=True,
    )
    started.append(proxy)
    demo = RunningDemo(local, cloud, proxy, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}")
    _wait_ready(demo, folder / "proxy.log")
    threading.Thread(target=demo.collect, args=(proxy.stdout,), daemon=True).start()
    return demo


def _stand_in(name: str, started: list[subprocess.Popen[str]]) -> StandInProcess:
    process = subprocess.Popen(
        [sys.executable, "-m", "pulumi_lockgate.demo.stand_in", "--alias", name],
        stdout=subprocess.PIPE,
        text=True,
    )
    started.append(process)
    assert process.stdout is not None
    return StandInProcess(name, process, int(process.stdout.readline()))


def _wait_ready(demo: RunningDemo, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and demo.proxy.poll() is None:
        try:
            with urllib.request.urlopen(demo.admin_url + "/readyz", timeout=1):  # noqa: S310
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the proxy did not start:\n" + log.read_text())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
