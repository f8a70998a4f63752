"""A witness as people use it: the line runs, and what arrives is what was decided."""

import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from lockgate.bodies.splices import scan
from lockgate.doors import NO_RULES
from lockgate.http1.request_head import read_head
from pulumi_lockgate.proof.report import URL, Witness

from tests.proof.policies import of, report, rule

ROOT = Path(__file__).parent.parent.parent
curl = pytest.mark.skipif(not shutil.which("curl"), reason="NOT RUN: no `curl` on PATH")


def sent(line: str) -> bytes:
    """Run a line in a shell against a socket of our own; return the bytes that arrive."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        line = line.replace(URL, f"http://127.0.0.1:{server.getsockname()[1]}/v1/chat/completions")
        arrived: list[bytes] = []

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                raw = b""
                while b"\r\n\r\n" not in raw or len(raw.partition(b"\r\n\r\n")[2]) < length(raw):
                    raw += connection.recv(65536)
                connection.sendall(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n")
                arrived.append(raw)

        thread = threading.Thread(target=answer)
        thread.start()
        subprocess.run(["bash", "-c", line], check=True, capture_output=True, timeout=20)
        thread.join()
    return arrived[0]


def length(raw: bytes) -> int:
    found = re.search(rb"content-length: ([0-9]+)", raw, re.IGNORECASE)
    return int(found[1]) if found else 0


@curl
@pytest.mark.parametrize(
    "witness",
    [
        Witness("m", (("x-llmkube-classification", "phi"),)),
        Witness("gpt-4'o\"$HOME`é", (("x-a", 'it\'s "so" $PATH \\ `x`'), ("x-a", "two"))),
        Witness("m", (("x-llmkube-task-complexity", "complex\xa0"), ("x-b", "a'\\\xff"))),
        Witness("m", (("user-agent", "mine"),), ("accept", "content-type")),
    ],
)
def test_the_line_sends_what_was_decided(witness: Witness) -> None:
    head, _, body = sent(witness.curl()).partition(b"\r\n\r\n")
    fields = read_head(head + b"\r\n\r\n", NO_RULES).headers
    assert {name: fields[name] for name in witness.fields} == witness.fields
    assert not set(witness.withheld) & set(fields)
    assert scan(body).model == witness.model


def test_a_field_that_curl_sends_by_itself_is_withheld_where_a_rule_reads_it() -> None:
    keep = rule("keep", "l", headers={"Content-Type": "application/json"})
    (leak,) = of("leak", report(keep, rule("all", "c"), default_route="l"))
    assert leak.witness is not None
    assert leak.witness.withheld == ("content-type",)
    assert "application/json" not in leak.witness.curl()


def test_the_report_is_the_same_whatever_the_hash_seed() -> None:
    code = (
        "from random import Random; from pulumi_lockgate.proof.checks import prove\n"
        "from lockgate.policy.reading.load import compiled; from tests.proof import chances\n"
        "for s in range(40): print(prove(compiled(chances.policy(Random(s), rich=True))).to_dict())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
            timeout=100,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    assert b"leak" in told.pop()
