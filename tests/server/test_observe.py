"""Mode observe in the real process: the request goes on, and its record says what would have been."""

import json
from pathlib import Path
from typing import Any

from lockgate.policy.reading.advice import OBSERVES

from tests.support.proxy import POLICY, Proxy, secrets
from tests.support.upstream import Upstream, reset

HARD = ("x-llmkube-task-complexity", "complex")
PII = ("x-llmkube-classification", "pii")


def observing() -> dict[str, Any]:
    """A policy in which hard requests may not leave the local backend, and all others go outside."""
    policy: dict[str, Any] = json.loads(json.dumps(POLICY))
    policy["policy"] = {"mode": "observe"}
    policy["defaultRoute"] = "cloud"
    policy["rules"] = [
        {"name": "secret", "match": {"dataClassification": ["pii", "phi"]},
         "route": {"backends": ["local"]}, "failClosed": True},
        {"name": "hard", "match": {"taskComplexity": "complex"},
         "route": {"backends": ["local"]}, "failClosed": True},
    ]  # fmt: skip
    return policy


def test_what_would_be_refused_is_served_last_and_recorded(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    for upstream in upstreams.values():
        upstream.reset()
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(tmp_path, observing(), addresses, "--secrets", str(secrets(tmp_path)))
    assert "x-lockgate-backend: local" in proxy.ask(None, HARD).head
    assert proxy.record()["would_refuse"] is None
    upstreams["local"].script = lambda connection, _: reset(connection)
    answer = proxy.ask(None, HARD)
    assert (answer.status, "x-lockgate-backend: cloud" in answer.head) == (200, True)
    record = proxy.record()
    assert (record["would_refuse"], record["rule"]) == ("no_allowed_upstream", "hard")
    assert [(c["backend"], c["reason"]) for c in record["candidates"]] == [
        ("local", "candidate"),
        ("cloud", "observed"),
    ]
    upstreams["cloud"].reset()
    refused = proxy.ask(None, PII)
    assert (refused.status, refused.code) == (503, "no_allowed_upstream")
    assert upstreams["cloud"].connections == 0
    assert proxy.stop() == 0
    assert proxy.log.read_text().count(OBSERVES) == 1
