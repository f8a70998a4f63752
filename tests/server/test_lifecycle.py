"""The life of the process: readiness, reload, drain."""

import json
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.proxy import POLICY, ROOT, Proxy
from tests.support.upstream import Upstream
from tests.support.wait import eventually


@pytest.fixture
def own(tmp_path: Path, upstreams: dict[str, Upstream]) -> Iterator[Proxy]:
    """A proxy of the test's own, with an audit file."""
    for upstream in upstreams.values():
        upstream.reset()
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(tmp_path, POLICY, addresses, "--drain-grace", "1s")
    yield proxy
    if proxy.process.poll() is None:
        proxy.stop(signal.SIGKILL)


def changed() -> dict[str, Any]:
    policy: dict[str, Any] = json.loads(json.dumps(POLICY))
    policy["rules"][-1]["name"] = "everything"
    return policy


def digest(proxy: Proxy) -> str:
    return proxy.ask().head.split("x-lockgate-policy: ")[1].split("\r\n")[0]


def test_a_changed_policy_file_is_picked_up_whole(own: Proxy) -> None:
    before = digest(own)
    new = own.policy_file.with_suffix(".new")
    new.write_text(json.dumps(changed()))
    new.rename(own.policy_file)
    eventually(lambda: digest(own) != before)
    assert "x-lockgate-rule: everything" in own.ask().head


def readiness(proxy: Proxy) -> int:
    try:
        proxy.get("/readyz")
    except urllib.error.HTTPError as unready:
        return unready.code
    return 200


def test_the_drain_delay_still_accepts_and_readiness_is_off(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    upstreams["local"].reset()
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(tmp_path, POLICY, addresses, "--drain-delay", "800ms")
    proxy.process.send_signal(signal.SIGTERM)
    eventually(lambda: readiness(proxy) == 503)
    assert proxy.get("/healthz") == "ok\n"
    answer = proxy.ask()
    assert answer.status == 200
    assert "connection: close" in answer.head
    assert proxy.process.wait(timeout=30) == 0


def test_audit_to_a_file_and_hangup_after_rotation(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    upstreams["local"].reset()
    audit = tmp_path / "audit.jsonl"
    policy = {**POLICY, "policy": {"auditLog": {"sink": "file", "filePath": str(audit)}}}
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(tmp_path, policy, addresses)
    proxy.ask()
    assert proxy.flushed() == []
    audit.rename(tmp_path / "old.jsonl")
    proxy.process.send_signal(signal.SIGHUP)
    eventually(audit.exists)
    proxy.ask()
    assert proxy.stop() == 0
    lines = [(tmp_path / name).read_text().splitlines() for name in ("old.jsonl", "audit.jsonl")]
    assert [len(part) for part in lines] == [1, 1]
    assert [json.loads(part[0])["sequence"] for part in lines] == [1, 2]
    assert audit.stat().st_mode & 0o777 == 0o600


def test_addresses_are_checked_at_connect_time(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    policy: dict[str, Any] = json.loads(json.dumps(POLICY))
    del policy["backends"][1]["external"]["allowPrivateAddress"]
    cloud = upstreams["cloud"]
    cloud.reset()
    addresses = {"local": "http://192.0.2.1:9", "cloud": f"http://127.0.0.1:{cloud.port}"}
    proxy = Proxy(tmp_path, policy, addresses)
    answer = proxy.ask()
    assert (answer.status, answer.code) == (502, "upstream_address")
    codes = [attempt["outcome"] for attempt in proxy.record()["attempts"]]
    assert codes == ["upstream_address"] * len(codes)
    assert cloud.connections == 0
    proxy.stop()


def test_a_missing_key_takes_its_backend_out_and_nothing_else(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    for upstream in upstreams.values():
        upstream.reset()
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(tmp_path, POLICY, addresses, "--secrets", str(tmp_path / "none"))
    answer = proxy.ask(None, ("x-llmkube-task-complexity", "complex"))
    assert "x-lockgate-backend: local" in answer.head
    assert proxy.record()["skipped"] == [{"backend": "cloud", "reason": "credentials_missing"}]
    assert 'lockgate_credentials_missing{backend="cloud"} 1.0' in proxy.get("/metrics")
    proxy.stop()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--policy", "/nonexistent"], "cannot be read"),
        (["--policy", "POLICY", "--listen", "nowhere"], "HOST:PORT"),
        (["--policy", "POLICY", "--address", "moon=http://127.0.0.1:1"], "names no backend"),
        (["--policy", "BROKEN"], "is not a field"),
        (["--policy", "NO-AUDIT"], "cannot write audit records"),
        (["--policy", "NO-AUDIT", "--workers", "2"], "cannot write audit records"),
        (["--policy", "POLICY", "--address", "local=http://h:99999"], "is not BACKEND=URL"),
        (["--policy", "POLICY", "--address", "local=http://"], "is not BACKEND=URL"),
        (["--policy", "POLICY", "--resolver", "nowhere:53"], "is not an address"),
    ],
)
def test_what_does_not_load_is_exit_2_with_a_reason(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "POLICY").write_text(json.dumps(POLICY))
    (tmp_path / "BROKEN").write_text(json.dumps({**POLICY, "rulez": []}))
    audit = {"sink": "file", "filePath": "/nonexistent/audit"}
    address = {"external": {"provider": "openai", "model": "m", "url": "http://127.0.0.1:9/v1"}}
    unwritable = {
        **POLICY,
        "backends": [{"name": "local", "tier": "local", **address}, POLICY["backends"][1]],
    }
    unwritable["policy"] = {"auditLog": audit}
    (tmp_path / "NO-AUDIT").write_text(json.dumps(unwritable))
    run = [
        sys.executable,
        "-m",
        "lockgate.cli.main",
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ]
    run += [str(tmp_path / a) if a in {"POLICY", "BROKEN", "NO-AUDIT"} else a for a in arguments]
    done = subprocess.run(run, capture_output=True, text=True, check=False, cwd=ROOT, timeout=30)
    assert done.returncode == 2
    assert said in done.stderr
