"""Cloud tier: a fresh TLS connection for each request, against nginx with keep-alive off.

Both verify the upstream (an nginx with TLS) by an authority made for this run. nginx is measured
twice: resuming TLS sessions as it does by default, and with a whole handshake each time; all of it
with TLS 1.2, where resuming costs no key exchange, and with TLS 1.3, where it costs one.

The machine's other work shows in the rates; the CPU time of each proxy's process shows less of it.
"""

import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from proxying import ROUNDS, Round, measured
from rig import (
    LOAD_CORE,
    PROXY_CORE,
    RESPONSE,
    Bench,
    bench,
    build_name,
    free_port,
    need,
    wait,
)


def certificates(folder: Path) -> None:
    """Make an authority and a leaf for 127.0.0.1 with openssl."""
    run = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ]
    authority = ["-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=bench", "-days", "2"]
    leaf = ["-keyout", "leaf.key", "-out", "leaf.crt", "-subj", "/CN=leaf", "-days", "2"]
    leaf += [
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-addext",
        "subjectAltName=IP:127.0.0.1,DNS:bench.test",
    ]
    leaf += ["-addext", "basicConstraints=critical,CA:FALSE"]
    for more in (authority, leaf):
        subprocess.run([*run, *more], cwd=folder, check=True, capture_output=True)


def upstream(held: Bench, version: str) -> int:
    """Start the TLS upstream."""
    port = free_port()
    held.nginx(
        LOAD_CORE,
        f"upstream-{version}",
        f"server {{ listen 127.0.0.1:{port} ssl backlog=1024; ssl_protocols {version}; "
        f"ssl_certificate {held.folder}/leaf.crt; "
        f"ssl_certificate_key {held.folder}/leaf.key; location / "
        f"{{ default_type application/json; return 200 '{RESPONSE}'; }} }}",
    )
    return wait(port)


def nginx_proxy(held: Bench, port: int, version: str, *, resume: bool) -> tuple[int, int]:
    """Start nginx's proxy_pass with a fresh, verified connection for each request.

    Return its port and its worker's pid.
    """
    own, name = free_port(), f"proxy-{version}-{resume}"
    held.nginx(
        PROXY_CORE,
        name,
        f"server {{ listen 127.0.0.1:{own} backlog=1024; location / {{ "
        f"proxy_pass https://127.0.0.1:{port}; proxy_ssl_verify on; proxy_ssl_name bench.test; "
        f"proxy_ssl_trusted_certificate {held.folder}/ca.crt; proxy_ssl_protocols {version}; "
        f"proxy_ssl_session_reuse {'on' if resume else 'off'}; "
        "proxy_http_version 1.1; proxy_set_header Connection close; } }",
    )
    return wait(own), held.worker_of(name)


def lockgate(held: Bench, port: int) -> tuple[int, int]:
    """Start the proxy under test; return its port and its pid."""
    external = {"provider": "openai", "model": "m", "allowPrivateAddress": True}
    document = {
        "backends": [{"name": "cloud", "tier": "cloud", "external": external}],
        "defaultRoute": "cloud",
        "policy": {"auditLog": {"sink": "file", "filePath": str(held.folder / "audit.jsonl")}},
    }
    own, process = held.lockgate(
        f"https://127.0.0.1:{port}", document, SSL_CERT_FILE=str(held.folder / "ca.crt")
    )
    return own, process.pid


def measure(held: Bench, version: str, seconds: int) -> None:
    """Print one version's table: medians of alternating runs."""
    port = upstream(held, version)
    proxies = {
        "nginx, resuming": nginx_proxy(held, port, version, resume=True),
        "nginx": nginx_proxy(held, port, version, resume=False),
        "lockgate": lockgate(held, port),
    }
    found: dict[str, list[Round]] = {name: [] for name in proxies}
    for own, pid in proxies.values():
        measured(held, own, pid, 16, 1)
    for _ in range(ROUNDS):
        for name, (own, pid) in proxies.items():
            found[name].append(measured(held, own, pid, 16, seconds))
    print(f"fresh connections, {version}, 16 clients, median of {ROUNDS}; lockgate of it:")
    median = {
        n: [statistics.median(column) for column in zip(*f, strict=True)] for n, f in found.items()
    }
    own_rate, _, own_cpu = median["lockgate"]
    for name, (rate, _, cpu) in median.items():
        print(
            f"  {name:<16} {rate:>6.0f} requests/s {own_rate / rate:>5.2f}"
            f"   {cpu:>4.0f} us of CPU {cpu / own_cpu:>5.2f}"
        )


def main() -> None:
    """Print the tables."""
    need("nginx", "wrk", "taskset", "openssl")
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    print(build_name())
    with bench() as held:
        certificates(held.folder)
        for version in ("TLSv1.2", "TLSv1.3"):
            measure(held, version, seconds)


if __name__ == "__main__":
    main()
