"""Writes what an import has beside backends and rules: points 1, 8 and 9 of the guide."""

from typing import Final

from pulumi_lockgate.convert.llmkube.draft import Draft

BESIDE: Final = "object "
"""How the place of an object begins that stands beside the router in its file."""
CLAIM_SIZE: Final = "10Gi"
"""Of the claim that the audit file of an imported router lies on."""
MODELS: Final = frozenset({"InferenceService", "Model"})
"""Kinds of LLMKube's that Lockgate could run, under `lockgate:models`."""


def ignored(draft: Draft) -> None:
    """Note the governance and Service fields that LLMKube ignored and that act here (point 8)."""
    policy, notes = draft.origin.policy, draft.notes
    if policy.classification.mode not in {None, "header-only"}:
        notes.begins("spec.policy.classification.mode", f"{policy.classification.mode}")
    if policy.auth:
        notes.begins("spec.policy.auth", "clients must authenticate")
    for number, _ in enumerate(policy.budgets):
        notes.begins(f"spec.policy.budgets[{number}]", "requests over it are refused")
    for name, value in (policy.audit_log or {}).items():
        if [name, value] not in (["sink", "stdout"], ["includeRequestBody", False]):
            notes.begins(f"spec.policy.auditLog.{name}", f"{value}; it was always stdout")
    audit = draft.spec.get("policy", {}).get("auditLog", {})
    if audit.get("sink") == "file":
        audit["volumeClaim"] = {"size": CLAIM_SIZE}
        message = f"the file lies on a claim of {CLAIM_SIZE}, which is made: say another size"
        notes.differs("spec.policy.auditLog.volumeClaim", message)
    endpoint = draft.origin.endpoint
    if endpoint.node_port is not None:
        notes.begins("spec.endpoint.nodePort", str(endpoint.node_port))
    if endpoint.port != 8080:
        message = f"port {endpoint.port} answers; there the Service pointed nowhere"
        notes.begins("spec.endpoint.port", message)


def only_the_proxy(draft: Draft) -> None:
    """Refuse what asks for another data plane, by name (point 9)."""
    spec, notes = draft.origin, draft.notes
    if spec.data_plane != "Proxy":
        message = f"{spec.data_plane}: Lockgate's proxy is the data plane"
        notes.refused("spec.dataPlane", message, "write `dataPlane: Proxy`")
    if spec.gateway_ref is not None:
        notes.refused("spec.gatewayRef", "there is no gateway mode", "leave it out")
    if spec.mcp_server is not None and spec.mcp_server.enabled:
        message = "there is no MCP server here; LLMKube has none either"
        notes.refused("spec.mcpServer.enabled", message, "write `enabled: false`")
    gateway = spec.endpoint.gateway
    if gateway is not None and gateway.enabled:
        notes.refused(
            "spec.endpoint.gateway.enabled", "there is no gateway mode", "write `enabled: false`"
        )
    if spec.endpoint.path != "/v1/chat/completions":
        message = f"{spec.endpoint.path!r} is not served: clients ask /v1/chat/completions"
        notes.refused("spec.endpoint.path", message, "leave it out")


def beside(draft: Draft) -> None:
    """Say of every object that stands beside the ModelRouter that it is not taken over (12)."""
    for kind, name, line in draft.source.others:
        place = f"{BESIDE}{kind} {name}"
        draft.source.lines[place] = line or 1
        if kind in MODELS:
            mend = "let LLMKube go on to run it, or write it under `lockgate:models`"
            draft.notes.refused(place, "is no part of the router", mend)
        else:
            draft.notes.differs(place, "is not looked at, and stays as it is")


def deployment(draft: Draft) -> None:
    """Leave out LLMKube's image, and note how breakers differ (point 1)."""
    if draft.spec["proxy"].pop("image", None) is not None:
        message = "is LLMKube's router-proxy: left out, so that Lockgate's own runs"
        draft.notes.differs("spec.proxy.image", message)
    if draft.origin.proxy.quarantine_duration is not None:
        message = "holds after five failures in a row, not after one, and is the longest of them"
        draft.notes.differs("spec.proxy.quarantineDuration", message)


def readings(draft: Draft) -> None:
    """Note which fields are read differently, where it can matter for this policy (point 1)."""
    if not draft.cloud():
        return
    notes, matches = draft.notes, [rule.match for rule in draft.standing()]
    place = "spec.policy.classification"
    notes.differs(place, "no sensitive request reaches a cloud backend, whatever rule takes it")
    notes.differs(
        place, "a label that no rule names, or a misspelt or empty one, counts as sensitive"
    )
    if any(match.data_classification for match in matches):
        notes.differs(
            place, "every label of a list and of several header fields counts; there the first "
            "field's whole text was one label"
        )  # fmt: skip
    if any(match.task_complexity for match in matches):
        notes.differs(
            "spec.rules", "x-llmkube-task-complexity counts as written, once; there in any case, "
            "and the first of several"
        )  # fmt: skip
    if any(match.headers for match in matches):
        notes.differs("spec.rules", "any of several header fields counts; there the first")
