"""Cloud tier: a fresh TLS connection for each request, against nginx with keep-alive off.

Both verify the upstream (an nginx with TLS) by an authority made for this run. nginx is measured
twice: resuming TLS sessions as it does by default, and with a whole handshake each time.
"""

import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from house import ANSWER, LOAD_CORE, PROXY_CORE, Bench, bench, build_name, free_port, need, wait
from proxying import ROUNDS, wrk


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


def upstream(held: Bench) -> int:
    """Start the TLS upstream."""
    port = free_port()
    held.nginx(
        LOAD_CORE,
        "upstream",
        f"server {{ listen 127.0.0.1:{port} ssl backlog=1024; "
        f"ssl_certificate {held.folder}/leaf.crt; "
        f"ssl_certificate_key {held.folder}/leaf.key; location / "
        f"{{ default_type application/json; return 200 '{ANSWER}'; }} }}",
    )
    return wait(port)


def nginx_proxy(held: Bench, port: int, *, resume: bool) -> int:
    """Start nginx's proxy_pass with a fresh, verified connection for each request."""
    own = free_port()
    held.nginx(
        PROXY_CORE,
        f"proxy-{resume}",
        f"server {{ listen 127.0.0.1:{own} backlog=1024; location / {{ "
        f"proxy_pass https://127.0.0.1:{port}; proxy_ssl_verify on; proxy_ssl_name bench.test; "
        f"proxy_ssl_trusted_certificate {held.folder}/ca.crt; "
        f"proxy_ssl_session_reuse {'on' if resume else 'off'}; "
        "proxy_http_version 1.1; proxy_set_header Connection close; } }",
    )
    return wait(own)


def main() -> None:
    """Print the table."""
    need("nginx", "wrk", "taskset", "openssl")
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    print(build_name())
    with bench() as held:
        certificates(held.folder)
        port = upstream(held)
        external = {"provider": "openai", "model": "m", "allowPrivateAddress": True}
        document = {
            "backends": [{"name": "cloud", "tier": "cloud", "external": external}],
            "defaultRoute": "cloud",
            "policy": {"auditLog": {"sink": "file", "filePath": str(held.folder / "audit.jsonl")}},
        }
        ports = {
            "nginx, resuming": nginx_proxy(held, port, resume=True),
            "nginx": nginx_proxy(held, port, resume=False),
            "lockgate": held.lockgate(
                f"https://127.0.0.1:{port}", document, SSL_CERT_FILE=str(held.folder / "ca.crt")
            )[0],
        }
        rates: dict[str, list[float]] = {name: [] for name in ports}
        for one in ports.values():
            wrk(held, one, 16, 1)
        for _ in range(ROUNDS):
            for name, one in ports.items():
                rates[name].append(wrk(held, one, 16, seconds)[0])
    print(f"fresh TLS connections, 16 callers, median of {ROUNDS}:")
    median = {name: statistics.median(found) for name, found in rates.items()}
    for name, rate in median.items():
        print(f"  {name:<16} {rate:>8.0f} requests/s   lockgate: {median['lockgate'] / rate:.2f}")


if __name__ == "__main__":
    main()
