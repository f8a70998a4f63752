"""Every field of the schema acts or is refused by name; this walks the types to show it.

`ACTS` names, for each field that is accepted, where a test shows what it does.
"""

import re
from pathlib import Path

import pytest
from lockgate.policy.reading.reference import page
from lockgate.policy.reading.unimplemented import BY_PATH

TESTS = Path(__file__).parent.parent
FIELD = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
PATHS = FIELD.findall(page())

REQUESTS, LIFE, LOAD = "server/test_requests.py", "server/test_lifecycle.py", "policy/test_load.py"
ROLLOUT, AUDIT = "components/test_rollout.py", "components/test_audit.py"
MANIFESTS, PLAN, MACHINE = (
    "components/test_manifests.py",
    "components/test_plan.py",
    "exchange/test_machine.py",
)
ADDRESSES, DECIDE, HERE = (
    "policy/test_address.py",
    "properties/test_decide.py",
    "policy/test_fields_act.py",
)
DOORS, SITE = "faults/test_doors.py", "components/test_site.py"
DEADLINES, ENDPOINT = "exchange/test_deadlines.py", "connections/test_resolver.py"
ACTS = {
    "backends[]": LOAD, "backends[].name": LOAD, "backends[].displayName": ENDPOINT,
    "backends[].inferenceServiceRef": ENDPOINT, "backends[].inferenceServiceRef.name": ENDPOINT,
    "backends[].inferenceServiceRef.namespace": ENDPOINT, "backends[].external": REQUESTS,
    "backends[].external.provider": ENDPOINT, "backends[].external.model": REQUESTS,
    "backends[].external.url": ENDPOINT, "backends[].external.credentialsSecretRef": LIFE,
    "backends[].external.credentialsSecretRef.name": LIFE,
    "backends[].external.allowPrivateAddress": LIFE, "backends[].tier": DECIDE,
    "backends[].servedModel": ENDPOINT, "backends[].capabilities": DECIDE,
    "backends[].contextLength": MACHINE, "backends[].timeout": DEADLINES,
    "backends[].timeouts": DEADLINES, "backends[].attestedLocal": ADDRESSES,
    "backends[].upwardHeaders": REQUESTS, "rules[]": DECIDE, "rules[].name": REQUESTS,
    "rules[].match": DECIDE, "rules[].match.dataClassification": DECIDE,
    "rules[].match.taskComplexity": DECIDE, "rules[].match.models": DECIDE,
    "rules[].match.headers": DECIDE, "rules[].match.requiredCapabilities": DECIDE,
    "rules[].route": DECIDE, "rules[].route.backends": DECIDE, "rules[].route.strategy": "exchange/test_order.py",
    "rules[].route.refuse": DECIDE, "policy.strict": "cli/test_check.py", "policy.mode": "policy/test_observe.py", "rules[].failClosed": REQUESTS, "rules[].timeout": MACHINE, "rules[].timeouts": DEADLINES,
    "rules[].retry": MACHINE, "rules[].recovery": "exchange/test_resume.py", "defaultRoute": DECIDE,
    "defaultRouteStrategy": DECIDE, "policy": DECIDE, "policy.classification": DECIDE,
    "policy.classification.mode": LOAD, "policy.classification.headerKey": ENDPOINT,
    "policy.classification.sensitiveClassifications": ENDPOINT,
    "policy.classification.knownClassifications": ENDPOINT, "policy.auditLog": LIFE,
    "policy.auditLog.sink": LIFE, "policy.auditLog.filePath": LIFE,
    "policy.auditLog.includeRequestBody": LOAD, "policy.auditLog.volumeClaim": AUDIT,
    "policy.auditLog.volumeClaim.existing": AUDIT, "policy.auditLog.volumeClaim.size": AUDIT,
    "policy.auditLog.volumeClaim.storageClass": AUDIT, "proxy": MANIFESTS, "proxy.replicas": MANIFESTS,
    "proxy.image": MANIFESTS, "proxy.imagePullSecrets[]": MANIFESTS,
    "proxy.imagePullSecrets[].name": MANIFESTS, "proxy.resources": MANIFESTS,
    "proxy.quarantineDuration": "exchange/test_breaker.py",
    "proxy.responseHeaderTimeout": DEADLINES, "proxy.retryAfterMax": MACHINE,
    "proxy.timeouts": DEADLINES, "proxy.privateRanges": ADDRESSES,
    "proxy.privateRanges[]": ADDRESSES, "proxy.privateRanges[].cidr": ADDRESSES,
    "proxy.privateRanges[].why": "proof/test_widenings.py", "proxy.drainDelay": LIFE,
    "proxy.drainGrace": LIFE, "proxy.revisionHistoryLimit": MANIFESTS, "proxy.nodeSelector": MANIFESTS,
    "proxy.rollout": ROLLOUT, "endpoint": MANIFESTS, "endpoint.port": MANIFESTS,
    "endpoint.type": MANIFESTS, "endpoint.nodePort": MANIFESTS, "endpoint.cors": DOORS,
    "endpoint.route": SITE, "endpoint.route.host": SITE, "proxy.site": SITE, "proxy.site.platform": SITE,
    "proxy.site.registry": SITE, "proxy.site.caConfigMapRef": SITE, "proxy.site.caConfigMapRef.name": SITE,
    "proxy.site.caConfigMapRef.key": SITE, "endpoint.cors.origins": DOORS, "backends[].maxOutputTokens": DOORS,
}  # fmt: skip
STRATEGIES, ORDER, TLS = (
    "server/test_strategies.py",
    "exchange/test_order.py",
    "faults/test_tls.py",
)
ACTS |= {
    "backends[].weight": ORDER, "backends[].healthCheck": STRATEGIES,
    "backends[].healthCheck.path": STRATEGIES, "backends[].healthCheck.intervalSeconds": STRATEGIES,
    "backends[].healthCheck.timeoutSeconds": STRATEGIES, "rules[].match.latencySLOMs": ORDER,
    "proxy.memoryBudget": "faults/test_process.py", "rules[].route.shadowPercent": STRATEGIES, "backends[].tls": TLS,
    "backends[].tls.caSecretRef": TLS, "backends[].tls.caSecretRef.name": TLS,
    "backends[].tls.clientCertSecretRef": TLS, "backends[].tls.clientCertSecretRef.name": TLS,
}  # fmt: skip
ACTS |= {
    f"backends[].serviceRef{name}": "components/test_service_ref.py"
    for name in ("", ".name", ".namespace", ".port", ".path", ".podLabels")
}  # fmt: skip
ACTS |= {
    f"proxy.autoscaling{name}": ROLLOUT for name in ("", ".maxReplicas", ".minReplicas", ".cpuPercent", ".by")
}  # fmt: skip
ACTS |= {
    "proxy.callerMemory": "exchange/test_memory.py", "proxy.callerMemory.share": "exchange/test_memory.py",
    "proxy.callerMemory.except": "exchange/test_memory.py", "proxy.minReadRate": "connections/test_client.py",
    "endpoint.keepAlive": "connections/test_client.py", "backends[].keepConnections": "connections/test_pool.py",
    "backends[].downwardHeaders": "exchange/test_real_answers.py",
    "backends[].streamUsage": MACHINE, "proxy.maxEventBytes": "exchange/test_real_answers.py",
}  # fmt: skip
NETWORK = "components/test_network.py"
ACTS |= {
    f"proxy.egress{name}": NETWORK
    for name in (
        "", ".cidrs", ".gateway", ".gateway.namespace", ".gateway.pods", ".gateway.port",
        ".fqdnPolicy", ".backends[]", ".backends[].name", ".backends[].cidrs",
        ".backends[].gateway", ".backends[].gateway.namespace", ".backends[].gateway.pods",
        ".backends[].gateway.port", ".dns", ".dns.namespace", ".dns.port",
    )
}  # fmt: skip
for callers in ("endpoint.from", "endpoint.adminFrom"):
    ACTS[f"{callers}[]"] = NETWORK
    for name in ("namespace", "pods", "cidr"):
        ACTS[f"{callers}[].{name}"] = NETWORK
INVARIANTS = "proof/test_invariants.py"
ACTS["policy.invariants[]"] = INVARIANTS
for name in ("name", "when", "never", "only"):
    ACTS[f"policy.invariants[].{name}"] = INVARIANTS
for name in ("labels", "unlabelled", "taskComplexity", "models", "headers", "team"):
    ACTS[f"policy.invariants[].when.{name}"] = INVARIANTS
for name in ("tier", "backends"):
    ACTS[f"policy.invariants[].never.{name}"] = ACTS[f"policy.invariants[].only.{name}"] = (
        INVARIANTS
    )
for holder in ("backends[]", "rules[]", "proxy"):
    for name in ("connect", "firstToken", "silence", "idle", "total", "heartbeat"):
        ACTS[f"{holder}.timeouts.{name}"] = DEADLINES


def refused(path: str) -> bool:
    """Whether the field, or something that it lies in, is refused whatever its value."""
    parts = path.split(".")
    places = [".".join(parts[: n + 1]).removesuffix("[]") for n in range(len(parts))]
    return any(p in BY_PATH and BY_PATH[p].note == "any value" for p in places)


@pytest.mark.parametrize("path", PATHS)
def test_a_field_acts_or_is_refused_by_name(path: str) -> None:
    assert refused(path) != (path in ACTS), "neither, or both"
    if path in ACTS:
        assert (TESTS / ACTS[path]).is_file()


def test_no_row_is_about_a_field_that_is_gone() -> None:
    known = {path.removesuffix("[]") for path in PATHS}
    assert {path.removesuffix("[]") for path in ACTS} <= known
    assert set(BY_PATH) <= known
