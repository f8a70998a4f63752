"""Rows R60 to R69: what runs the proxy meets a full disk, scrapers, bad files, odd addresses."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Start
from tests.faults.dns import NXDOMAIN, Answer, Dns
from tests.faults.load import Load
from tests.faults.rig import HARD, POLICY, Rig, body, changed, request
from tests.support.proxy import ROOT, Proxy, environment, secrets
from tests.support.responses import http
from tests.support.upstream import Upstream
from tests.support.wait import eventually, let_pass

fault = pytest.mark.fault
KEPT = "lockgate.cli.main"
"""Run as people run it: the page is kept for a second."""


def _limit(pid: int, size: int | str) -> None:
    subprocess.run(["prlimit", f"--pid={pid}", f"--fsize={size}:unlimited"], check=True)


@fault("R60", "a file that may grow no further, in a record; then it may", "whole records, all")
@pytest.mark.skipif(shutil.which("prlimit") is None, reason="NOT RUN: there is no prlimit")
def test_r60_a_disk_that_fills_in_a_record(start: Start, tmp_path: Path) -> None:
    """can1357/oh-my-pi#8596."""
    audit = tmp_path / "audit.jsonl"
    policy = {**POLICY, "policy": {"auditLog": {"sink": "file", "filePath": str(audit)}}}
    rig = start(policy=policy, spare_fds=1)
    pid, asked = rig.proxy.process.pid, 30
    for number in range(asked):
        if number == 10:
            eventually(lambda: len(_whole(audit)) == 10)
            _limit(pid, audit.stat().st_size + 700)  # room for one, and the half of another
        assert rig.proxy.ask().status == 200
    eventually(lambda: "audit not writable" in _readyz(rig.proxy))
    assert len(_whole(audit)) < asked
    _limit(pid, "unlimited")
    eventually(lambda: "ready" in _readyz(rig.proxy))
    records = _whole(audit)
    assert [record["sequence"] for record in records] == list(range(1, asked + 1))
    assert rig.metrics()["lockgate_audit_lost"] == 0
    log = rig.proxy.log.read_text()
    assert log.count("File too large") == 1
    assert "audit sink: writes again; 0 records lost so far" in log
    rig.proxy.process.kill()  # its records are not where the invariants look
    rig.proxy.process.wait()


def _whole(file: Path) -> list[dict[str, Any]]:
    """Return the records of a file, none of which may be torn."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def _readyz(proxy: Proxy) -> str:
    return _raw(proxy.admin, b"GET /readyz HTTP/1.1\r\nconnection: close\r\n\r\n").decode()


def _raw(port: int, sent: bytes) -> bytes:
    """Send bytes to a port and read to the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
        heard = b""
        try:
            one.sendall(sent)
        except OSError:
            pass
        try:
            while piece := one.recv(65536):
                heard += piece
        except OSError:
            pass
        return heard


@fault("R60", "two workers, and stdout may grow no further, in a record; then it may", "the same")
@pytest.mark.skipif(shutil.which("prlimit") is None, reason="NOT RUN: there is no prlimit")
def test_r60_a_parents_output_that_fills_in_a_record(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    upstreams["local"].reset()
    out = tmp_path / "out.jsonl"
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    with out.open("wb") as file:
        proxy = Proxy(tmp_path, POLICY, addresses, "--workers", "2", stdout=file)
    for number in range(30):
        if number == 10:
            eventually(lambda: len(_whole(out)) == 10)
            _limit(proxy.process.pid, out.stat().st_size + 700)
        assert proxy.ask().status == 200
    eventually(lambda: "audit not writable" in _readyz(proxy))
    _limit(proxy.process.pid, "unlimited")
    eventually(lambda: len(_whole(out)) == 30)
    assert 'lockgate_audit_lost{worker="parent"} 0.0' in proxy.get("/metrics")
    assert proxy.stop() == 0
    assert "Traceback" not in proxy.log.read_text()


@fault("R61", "a thousand requests with a team of 30 KiB each", "cut in the record; not kept")
def test_r61_long_header_values(start: Start) -> None:
    """cloudflare/vinext#1619, ujeenet/rustango#990."""
    rig = start()
    rounds = 1000
    with rig.connect() as connection, connection.makefile("rb") as answers:
        for number in range(rounds + 10):
            if number == 10:
                before = rig.metrics()["process_resident_memory_bytes"]
            team = f"{number:06}" + '"' * 30_000
            connection.sendall(request(body(), f"x-llmkube-team: {team}"))
            length = 0
            while (line := answers.readline()) != b"\r\n":
                name, _, value = line.lower().partition(b":")
                length = int(value) if name == b"content-length" else length
            answers.read(length)
    assert rig.record()["team"] == "000000" + '"' * 250 + "... (30006 bytes)"
    assert rig.metrics()["process_resident_memory_bytes"] - before < 20 << 20  # it was 90


@fault("R62", "eight connections scrape as fast as they can", "a page a second; clients feel none")
def test_r62_a_flood_of_scrapers(start: Start) -> None:
    """prometheus/client_js#543, spatiumddi/spatiumddi#1055."""
    rig = start(module=KEPT)
    pages: set[bytes] = set()
    count = [0]
    over = threading.Event()

    def scrape() -> None:
        with socket.create_connection(("127.0.0.1", rig.proxy.admin), timeout=10) as one:
            heard = b""
            while not over.is_set():
                one.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 10)
                while heard.count(b"HTTP/1.1 200 OK") < 10:
                    heard += one.recv(1 << 20)
                pages.update(part for part in heard.split(b"HTTP/1.1 200 OK")[1:-1])
                count[0] += 10
                heard = b""

    scrapers = [threading.Thread(target=scrape) for _ in range(8)]
    began = time.monotonic()
    for one in scrapers:
        one.start()
    load = Load(rig.proxy.port)
    let_pass(2)
    load.stop()
    over.set()
    for one in scrapers:
        one.join()
    lasted_s = time.monotonic() - began
    assert load.failures == []
    assert load.count > 100
    assert 2 <= len(pages) <= lasted_s + 2
    assert count[0] <= 8 * (lasted_s * 100 + 20)
    while len(rig.records) < load.count:
        rig.record()
    let_pass(1.1)  # the page that the invariants read is kept too
    rig.proxy.process.kill()
    rig.proxy.process.wait()


@fault(
    "R63", "bodies to the admin port: of a length, chunked, of any method", "413, 405; none read"
)
def test_r63_the_admin_port_takes_no_bodies(rig: Rig) -> None:
    """twisted/twisted#4898."""
    port = rig.proxy.admin
    size = 8 << 20
    lengths = b"content-length: %d\r\n\r\n" % size + b"x" * size
    chunks = b"transfer-encoding: chunked\r\n\r\n" + b"10000\r\n%b\r\n" % (b"x" * 65536) * 128
    for method, status in ((b"GET", b"413"), (b"HEAD", b"413"), (b"POST", b"405")):
        for framed in (lengths, chunks):
            heard = _raw(port, method + b" /metrics HTTP/1.1\r\nhost: x\r\n" + framed)
            assert heard[9:12] in {status, b""}, heard  # a reset may overtake the answer
    heard = _raw(port, b"POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello")
    assert heard.startswith(b"HTTP/1.1 405 ")
    assert b"allow: GET, HEAD\r\n" in heard
    heard = _raw(port, b"HEAD /metrics HTTP/1.0\r\n\r\n")
    assert heard.startswith(b"HTTP/1.1 200 OK")
    assert heard.endswith(b"\r\n\r\n")


def _children(proxy: Proxy) -> list[int]:
    held = Path(f"/proc/{proxy.process.pid}/task/{proxy.process.pid}/children")
    return [int(pid) for pid in held.read_text().split()]


@fault("R64", "good, better, garbage in the file; a worker is killed", "its heir serves the better")
def test_r64_a_new_worker_serves_the_last_good_policy(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    """benoitc/gunicorn#2595: a worker that could not start again took the master with it."""
    upstreams["local"].reset()
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(tmp_path, POLICY, addresses, "--workers", "2")
    before = _digests(proxy)
    proxy.policy_file.write_text(json.dumps(changed("better")))
    eventually(lambda: len(_digests(proxy)) == 1 and _digests(proxy) != before, 10)
    better = _digests(proxy)
    proxy.policy_file.write_text("backends: [oops\n")
    eventually(lambda: proxy.log.read_text().count("policy kept") == 2)
    for pid in _children(proxy):  # both: nobody is left who loaded it
        os.kill(pid, signal.SIGKILL)
        eventually(lambda pid=pid: pid not in _children(proxy))  # type: ignore[misc]
        eventually(lambda: len(_children(proxy)) == 2)
        eventually(lambda: "\r\n\r\nready" in _readyz(proxy), 15)
    assert _digests(proxy) == better
    assert proxy.get("/metrics").count('policy_reloads_total{result="refused",worker=') == 2
    assert [proxy.ask().status for _ in range(20)] == [200] * 20
    proxy.policy_file.write_text(json.dumps(changed("best")))
    eventually(lambda: len(_digests(proxy)) == 1 and _digests(proxy) != better, 10)
    assert proxy.stop() == 0


def _digests(proxy: Proxy) -> set[str]:
    """Return the policies in force: one for each worker that differs."""
    lines = proxy.get("/metrics").splitlines()
    return {line.split('"')[1] for line in lines if line.startswith("lockgate_policy_info{")}


@fault("R64", "a worker cannot start at all, before any served", "the parent ends with its status")
def test_r64_what_cannot_start_ends_with_its_status(tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    audit = {"sink": "file", "filePath": str(tmp_path / "none" / "audit.jsonl")}
    policy.write_text(json.dumps({**POLICY, "policy": {"auditLog": audit}}))
    command = [sys.executable, "-m", KEPT, "serve", "--policy", str(policy), "--workers", "2"]
    command += [
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--address",
        "local=http://h:1",
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert b"cannot write audit records" in done.stderr


@fault("R65", "http_proxy in the environment of two workers", "the page has both, ready when both")
def test_r65_the_parent_asks_its_workers_itself(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    """localstack/localstack#239, bastienwirtz/homer#394."""
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    named = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:9")
    proxy = Proxy(tmp_path, POLICY, addresses, "--workers", "2", env=environment(**named))
    page = proxy.get("/metrics")
    assert all(f'lockgate_in_flight{{worker="{n}"}} 0.0' in page for n in (0, 1))
    assert proxy.stop() == 0


METADATA = [
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "::ffff:0:a9fe:a9fe",
    "2001:0:808:808::5601:5601", "fd00:ec2::254", "100.100.100.200",
]  # fmt: skip
INSIDE = ["64:ff9b::7f00:1", "100::1", "fe80::1", "100.64.0.1"]
ATTESTED = {"tier": "local", "attestedLocal": "it is"}


@fault(
    "R66", "a cloud's and an attested local's name with such addresses", "no connection is tried"
)
def test_r66_a_name_that_hides_an_address(tmp_path: Path) -> None:
    """langflow-ai/langflow#14174, nuxt-modules/og-image#624."""
    meaning: dict[str, Answer] = {}
    policy: dict[str, Any] = {"backends": [], "rules": []}
    places = [(address, {"tier": "cloud"}) for address in METADATA + INSIDE]
    places += [(address, ATTESTED) for address in METADATA]
    for number, (address, tier) in enumerate(places):
        meaning[f"a{number}.test"] = [address]
        external = {"provider": "openai", "model": "m", "url": f"https://a{number}.test/v1"}
        policy["backends"].append({"name": f"a{number}", "external": external, **tier})
        match, route = {"models": [f"m{number}"]}, {"backends": [f"a{number}"]}
        policy["rules"].append({"name": f"r{number}", "match": match, "route": route})
    dns = Dns(lambda name: meaning.get(name, NXDOMAIN))
    proxy = Proxy(tmp_path, policy, {}, "--resolver", f"127.0.0.1:{dns.port}")
    for number, place in enumerate(places):
        answer = proxy.ask({"model": f"m{number}", "messages": []})
        assert (answer.status, answer.code) == (502, "upstream_address"), place
        assert proxy.record()["attempts"][0]["outcome"] == "upstream_address", place
    assert proxy.stop() == 0
    dns.stop()


@fault("R67", "no key, then one, then 401s; a health check that fails", "a line each, and no more")
def test_r67_what_changes_is_told_once(tmp_path: Path, upstreams: dict[str, Upstream]) -> None:
    """sevensolutions/nomad-iis#177."""
    for upstream in upstreams.values():
        upstream.reset()
    policy = json.loads(json.dumps(POLICY))
    policy["backends"][0]["healthCheck"] = {"intervalSeconds": 1, "timeoutSeconds": 1}
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(tmp_path, policy, addresses, "--secrets", str(tmp_path / "secrets"))

    def told(words: str) -> int:
        return proxy.log.read_text().count(words)

    missing = "backend cloud: cannot be used: Secret openai-key is not mounted: there is no "
    assert told(missing) == 1
    for _ in range(30):
        proxy.ask(None, HARD)
    proxy.process.send_signal(signal.SIGHUP)
    eventually(lambda: told(missing) == 2)
    secrets(tmp_path)
    eventually(lambda: told("backend cloud: its Secrets are there") == 1)
    upstreams["cloud"].script = lambda c, _: c.sendall(http(401, b"{}"))
    for _ in range(30):
        proxy.ask(None, HARD)
    assert told("backend cloud: upstream_auth: ") == 1
    upstreams["local"].script = lambda c, _: c.sendall(http(500, b""))
    eventually(lambda: told("backend local: is out: GET /health answers 500") == 1, 10)
    assert proxy.stop() == 0


@fault(
    "R68",
    "`check` and `serve` meet https://host//v1 and https://host",
    "reported; the status stays",
)
def test_r68_a_base_url_that_cannot_work(tmp_path: Path) -> None:
    """abetlen/llama-cpp-python#1032."""
    policy = json.loads(json.dumps(POLICY))
    external = policy["backends"][1]["external"]
    policy["backends"].append({**policy["backends"][1], "name": "other"})
    policy["backends"][2]["external"] = {**external, "url": "https://host.example"}
    external["url"] = "https://host.example//v1"
    file = tmp_path / "p.json"
    file.write_text(json.dumps(policy))
    done = subprocess.run(
        [sys.executable, "-m", KEPT, "check", str(file)],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert len(told) == 2
    assert "backends[1].external.url: 'https://host.example//v1' has a doubled slash" in told[0]
    assert "did you mean `url: https://host.example/v1`?" in told[1]
    proxy = Proxy(tmp_path, policy, {"local": "http://127.0.0.1:9"})
    log = proxy.log.read_text()
    assert log.count("did you mean `url: https://host.example/v1`?") == 2
    assert proxy.stop() == 0


@fault("R69", "the file changes while the proxy loads it", "seen at the first look")
def test_r69_a_change_between_the_load_and_the_first_look(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    """praxis-proxy/praxis#857."""
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    new = tmp_path / "new.json"
    new.write_text(json.dumps(changed("new")))
    env = environment(FAULT="swap", SWAP=str(new))
    proxy = Proxy(tmp_path, POLICY, addresses, module="tests.faults.faulty", env=env)
    (old,) = _digests(proxy)
    eventually(lambda: _digests(proxy) != {old})
    assert proxy.stop() == 0
