"""The processes of a benchmark: nginx as upstream and as proxy, Lockgate, wrk. Loopback only."""

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROXY_CORE, LOAD_CORE = "0", "1"
COMPILED = Path(__file__).parent.parent / "build" / "compiled"
"""Where `make compiled` puts the package as it is deployed; absent without a C compiler."""
ENVOY = Path(sys.executable).with_name("envoy")
"""Where the wheel puts Envoy; absent on platforms that it has no wheel for."""
TEXT = "y" * 600
RESPONSE = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 15, "total_tokens": 24},
    }
)
BODY = json.dumps(
    {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "x" * 800}],
        "temperature": 0.2,
    }
)


def need(*programs: str) -> None:
    """End with a hint when a program is missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        print(
            f"missing: {', '.join(missing)}; on Debian: apt-get install nginx-light wrk util-linux"
        )
        sys.exit(2)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def policy(audit: Path) -> dict[str, Any]:
    """Return ten rules, of which the last one matches; the audit goes to a file."""
    rules: list[dict[str, Any]] = [
        {
            "name": "sensitive",
            "match": {"dataClassification": ["pii", "phi"]},
            "route": {"backends": ["local"]},
            "failClosed": True,
        }
    ]
    rules += [
        {
            "name": f"rule-{number}",
            "match": {"models": [f"other-{number}-*"], "headers": {"X-Org": "one"}},
            "route": {"backends": ["local"]},
        }
        for number in range(8)
    ]
    rules.append(
        {"name": "last", "match": {"models": ["gpt-4*"]}, "route": {"backends": ["local"]}}
    )
    return {
        "backends": [{"name": "local", "inferenceServiceRef": {"name": "model"}}],
        "rules": rules,
        "defaultRoute": "local",
        "policy": {"auditLog": {"sink": "file", "filePath": str(audit)}},
    }


def envoy_config(port: int, upstream: int) -> dict[str, Any]:
    """Return Envoy as an HTTP proxy with one cluster, and nothing else switched on."""

    def at(number: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    def typed(kind: str, **more: Any) -> dict[str, Any]:
        name = f"type.googleapis.com/envoy.extensions.filters.{kind}"
        return {"name": kind, "typed_config": {"@type": name, **more}}

    host = {"name": "all", "domains": ["*"]}
    manager = typed(
        "network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="bench",
        route_config={
            "virtual_hosts": [
                {**host, "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}]}
            ]
        },
        http_filters=[typed("http.router.v3.Router")],
    )
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(upstream)}}]}],
        },
    }
    listener = {"address": at(port), "filter_chains": [{"filters": [manager]}]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


class Bench:
    """What was started, and where it listens; everything ends with the `with`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []
        self.admin = 0

    def spawn(self, core: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a program on one core."""
        process = subprocess.Popen(
            ["taskset", "-c", core, *arguments],
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("ab"),
        )
        self.started.append(process)
        return process

    def nginx(self, core: str, name: str, inside: str) -> None:
        """Start one nginx worker with `inside` its http block."""
        temporary = "".join(
            f"{kind}_temp_path {self.folder}/{name}-{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        text = f"""daemon off; worker_processes 1; pid {self.folder}/{name}.pid;
error_log {self.folder}/{name}.log; events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; {temporary} {inside} }}"""
        config = self.folder / f"{name}.conf"
        config.write_text(text)
        self.spawn(core, "nginx", "-c", str(config), "-p", str(self.folder))

    def upstream(self) -> int:
        """Start the upstream with its fixed answer."""
        port = free_port()
        self.nginx(
            LOAD_CORE,
            "upstream",
            f"server {{ listen 127.0.0.1:{port} backlog=1024; location / "
            f"{{ default_type application/json; return 200 '{RESPONSE}'; }} }}",
        )
        return wait(port)

    def nginx_proxy(self, upstream: int, more: str = "") -> int:
        """Start nginx's proxy_pass with kept connections; the worker's pid is in `nginx_pid`."""
        port = free_port()
        self.nginx(
            PROXY_CORE,
            "proxy",
            f"upstream u {{ server 127.0.0.1:{upstream}; keepalive 64; "
            "keepalive_requests 100000000; }"
            f"server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ proxy_pass http://u; "
            f'proxy_http_version 1.1; proxy_set_header Connection ""; {more} }} }}',
        )
        return wait(port)

    def envoy(self, upstream: int) -> tuple[int, subprocess.Popen[bytes]]:
        """Start one worker of a bare Envoy: one route, the router, kept connections."""
        port = free_port()
        config = self.folder / "envoy.json"
        config.write_text(json.dumps(envoy_config(port, upstream)))
        process = self.spawn(
            PROXY_CORE,
            *(str(ENVOY), "-c", str(config), "--concurrency", "1"),
            *("--disable-hot-restart", "--log-level", "error"),
        )
        return wait(port), process

    def worker_of(self, name: str) -> int:
        """Return the pid of an nginx's one worker."""
        master = int((self.folder / f"{name}.pid").read_text())
        children = Path(f"/proc/{master}/task/{master}/children").read_text()
        return int(children.split()[0])

    def lockgate(
        self,
        upstream: int | str,
        document: dict[str, Any] | None = None,
        *more: str,
        program: tuple[str, ...] = ("-m", "lockgate.cli.main"),
        **environment: str,
    ) -> tuple[int, subprocess.Popen[bytes]]:
        """Start the proxy under test on the same core as nginx's.

        `upstream` is where every backend is: a port, or a URL. `program` is what Python is to run.
        """
        port, self.admin = free_port(), free_port()
        held = document or policy(self.folder / "audit.jsonl")
        file = self.folder / f"policy-{port}.json"
        file.write_text(json.dumps(held))
        url = upstream if isinstance(upstream, str) else f"http://127.0.0.1:{upstream}"
        addresses = [f"--address={backend['name']}={url}" for backend in held["backends"]]
        process = self.spawn(
            PROXY_CORE,
            *(sys.executable, *program, "serve", "--policy", str(file)),
            *("--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{self.admin}"),
            *addresses,
            *more,
            **{**compiled_environment(), **environment},
        )
        return wait(port), process

    def metrics(self) -> dict[str, float]:
        """Return the last proxy's metrics."""
        url = f"http://127.0.0.1:{self.admin}/metrics"
        with urllib.request.urlopen(url, timeout=10) as page:
            lines = page.read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End one program before the others."""
        process.terminate()
        process.wait(timeout=15)
        self.started.remove(process)


def compiled_environment() -> dict[str, str]:
    """Return what makes a Python process import the compiled package, where there is one."""
    if not COMPILED.is_dir():
        return {}
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(COMPILED)}


def build_name() -> str:
    """Say which build of Lockgate is measured."""
    kind = "data path compiled by mypyc" if COMPILED.is_dir() else "plain Python"
    return f"lockgate: {kind}, {platform.python_implementation()} {platform.python_version()}"


def wait(port: int) -> int:
    """Wait until something listens on `port`."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return port
    raise TimeoutError(port)


@contextmanager
def bench() -> Iterator[Bench]:
    """Give a bench and end what it started."""
    with tempfile.TemporaryDirectory(prefix="lockgate-bench-") as folder:
        Path(folder).chmod(0o755)
        held = Bench(Path(folder))
        try:
            yield held
        finally:
            for process in held.started:
                process.terminate()
            for process in held.started:
                process.wait(timeout=15)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Return a process's resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
