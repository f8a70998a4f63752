"""Reads what a plan is compared with: a policy, a stack, what Pulumi says of a deployed stack."""

import json
from typing import Any, Final

from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.document import parse
from lockgate.policy.reading.problem import PolicyRefusedError, Problem
from lockgate.policy.reading.structure import plain

from pulumi_lockgate.manifests.enforcer import enforcer_of, read_enforcer
from pulumi_lockgate.stack.engine import DIGEST_OUTPUT, ENFORCER_OUTPUT, POLICY_OUTPUT
from pulumi_lockgate.stack.files import policy_source
from pulumi_lockgate.stack.read import load_source, read_whole
from pulumi_lockgate.widening import Deployed

_STACK: Final = "pulumi:pulumi:Stack"
_HIDDEN: Final = "[secret]"


def load_base(named: str) -> Deployed:
    """Return the policy that `named` means, with what enforces it where that is said.

    A policy file, a stack file, a stack's name, or the JSON that `pulumi stack output --json` or
    `pulumi stack export` prints with `--show-secrets`. A bare policy.json says nothing of what
    enforces it.
    Raises UnreadableError, UnknownStackError, PolicyRefusedError.
    """
    path = policy_source(named)
    source = read_whole(path)
    outputs = _outputs(source, str(path)) if source.lstrip()[:1] == b"{" else None
    if outputs is None:
        policy = load_source(source, str(path))
        return deployed_of(policy, source)
    text = outputs.get(POLICY_OUTPUT)
    if not isinstance(text, str) or text == _HIDDEN:
        message, suggestion = "is not among the stack's outputs", "deploy it once with this version"
        if text is not None:
            message, suggestion = "is hidden in the stack's outputs", "ask with --show-secrets"
        suggestion = f"{suggestion}, or name a policy file"
        problem = Problem(POLICY_OUTPUT, None, message, suggestion)
        raise PolicyRefusedError(str(path), (problem,))
    policy = load_source(text.encode(), f"{path}, output {POLICY_OUTPUT}")
    return Deployed(policy, read_enforcer(outputs.get(ENFORCER_OUTPUT)))


def deployed_of(policy: LoadedPolicy, source: bytes) -> Deployed:
    """Return a file's policy with what enforces it, of which a bare policy.json says nothing."""
    is_bare = source.strip() == policy.json.strip()
    return Deployed(policy, None if is_bare else enforcer_of(policy))


def _outputs(source: bytes, name: str) -> dict[str, Any] | None:
    """Return a stack's outputs, None where `source` is neither of Pulumi's two documents."""
    documents = parse(source, name)
    document = plain(documents[0]) if len(documents) == 1 else None
    if not isinstance(document, dict):
        return None
    if isinstance(document.get("deployment"), dict):
        resources = document["deployment"].get("resources") or []
        stacks = (r for r in resources if isinstance(r, dict) and r.get("type") == _STACK)
        found: dict[str, Any] = next(stacks, {}).get("outputs") or {}
        return {name: _shown(value) for name, value in found.items()}
    return (
        document
        if isinstance(document.get(POLICY_OUTPUT), str) or DIGEST_OUTPUT in document
        else None
    )


def _shown(value: Any) -> Any:
    """Return a secret of an export in clear where `--show-secrets` has it so."""
    text = value.get("plaintext") if isinstance(value, dict) else None
    return value if text is None else json.loads(text)
