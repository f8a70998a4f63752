"""Admission that takes a router's policy.json only as the text that was proved.

CEL cannot hash, so nothing is gained by a digest or an annotation: the text is compared with the
text in a parameter ConfigMap, which nobody but the pipeline may write
(https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/). A parameter
that is absent refuses, and so does a ConfigMap of which it knows no text.

Which objects a parameter is looked up for must be said by labels: where it is absent, every object
that is selected is refused, before any condition is read. So a second policy, without a parameter,
refuses a policy.json in a ConfigMap without those labels. A third one keeps a router's Deployment
from an earlier policy, as `kubectl rollout undo` would put it back.
"""

from collections.abc import Mapping
from typing import Any, Final

from pulumi_lockgate.manifests.common import PART_OF, Manifest
from pulumi_lockgate.manifests.openings import NAME, ROUTER

SPACE: Final = "lockgate-proved"
"""The namespace of the parameters, and of nothing else: who may write there says what is proved."""
PROVED: Final = "lockgate-proved-policy"
LABELLED: Final = "lockgate-labelled-policy"
DEPLOYED: Final = "lockgate-proved-deployment"
PIPELINE: Final = "lockgate-pipeline"
KEY: Final = "policy.json"
_PART: Final = {"app.kubernetes.io/part-of": PART_OF}
_LABELS: Final = {"app.kubernetes.io/component": ROUTER, **_PART}
_WHEN: Final = {"apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"]}
_RULE: Final = {"apiGroups": [""], **_WHEN, "resources": ["configmaps"]}
_DEPLOYMENTS: Final = {"apiGroups": ["apps"], **_WHEN, "resources": ["deployments"]}
_MEND: Final = "prove it with lockgate plan, and let the pipeline write what it proves"


def proved_texts(namespace: str, texts: Mapping[str, str]) -> Manifest:
    """Return the parameter ConfigMap of a namespace: the proved text of each ConfigMap by its name.

    The name is the key, since nothing of an object but its name can never be changed.
    """
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": namespace, "namespace": SPACE, "labels": {**_PART}},
        "data": dict(sorted(texts.items())),
    }


def admission_manifests(namespace: str) -> tuple[Manifest, ...]:
    """Return what an administrator installs once for the routers of a namespace.

    The policies, the namespace of the parameters and its own binding are the same for every stack.
    That binding keeps API servers looking: one whose last binding to a kind of parameter is deleted
    goes on with the parameters that it knew then (https://github.com/kubernetes/kubernetes/issues/130887).
    """
    return (
        _named("v1", "Namespace", SPACE),
        _policy(PROVED, **_proved()),
        _policy(LABELLED, **_labelled()),
        _policy(DEPLOYED, **_deployed()),
        _binding(PROVED, SPACE, {"paramRef": _reference(SPACE)}),
        _binding(PROVED, namespace, {"paramRef": _reference(namespace)}),
        _binding(LABELLED, namespace, {}),
        _binding(DEPLOYED, namespace, {"paramRef": _reference(namespace)}),
        *_writer(namespace),
    )


def _proved() -> dict[str, Any]:
    """Return the policy that compares texts; an update that leaves the text alone passes."""
    changes = " || ".join(f"object.?{part} != oldObject.?{part}" for part in ("data", "binaryData"))
    named = "object.metadata.namespace + '/' + object.metadata.name"
    what = "is not the text that was proved for this very name"
    return {
        **_compares(_RULE),
        "matchConditions": [
            {"name": "its-content-is-new", "expression": f"oldObject == null || {changes}"}
        ],
        "variables": [
            {"name": "proved", "expression": "params.?data[?object.metadata.name]"},
            {"name": "stated", "expression": f"object.?data[?'{KEY}']"},
        ],
        "validations": [
            {
                "expression": "variables.proved.hasValue() && variables.stated.hasValue() && "
                "variables.proved.value() == variables.stated.value()",
                "messageExpression": f"'{KEY} of ConfigMap ' + {named} + ' {what}: {_MEND}'",
                "reason": "Forbidden",
            },
            {
                "expression": "object.data.size() == 1 && !has(object.binaryData)",
                "message": f"a router's ConfigMap holds {KEY} and nothing else",
                "reason": "Forbidden",
            },
        ],
    }


def _labelled() -> dict[str, Any]:
    """Return the policy that lets no policy.json past the other one for want of its labels."""
    has = " || ".join(f"object.?{part}[?'{KEY}'].hasValue()" for part in ("data", "binaryData"))
    labels = [
        f"object.metadata.?labels[?'{key}'].orValue('') == '{value}'"
        for key, value in _LABELS.items()
    ]
    shown = ", ".join(f"{key}={value}" for key, value in _LABELS.items())
    return {
        "matchConstraints": {"resourceRules": [_RULE]},
        "matchConditions": [{"name": "it-holds-a-policy", "expression": has}],
        "validations": [
            {
                "expression": " && ".join(labels),
                "message": f"a ConfigMap with {KEY} has the labels {shown}, so that it is compared",
                "reason": "Forbidden",
            }
        ],
    }


def _deployed() -> dict[str, Any]:
    """Return the policy that compares the name of the ConfigMap that a router's pods mount."""
    volumes = "spec.template.spec.?volumes"
    changes = f"object.{volumes} != oldObject.{volumes}"
    its = "object.spec.template.spec.?volumes.orValue([])"
    mounted = "v.name == 'policy' && v.?configMap.?name.orValue('') in params.?data.orValue({})"
    return {
        **_compares(_DEPLOYMENTS),
        "matchConditions": [
            {"name": "its-volumes-are-new", "expression": f"oldObject == null || {changes}"}
        ],
        "validations": [
            {
                "expression": f"{its}.exists(v, {mounted})",
                "message": f"the policy that these pods would mount is not the proved one: {_MEND}",
                "reason": "Forbidden",
            }
        ],
    }


def _compares(rule: dict[str, Any]) -> dict[str, Any]:
    """Return what a policy with a parameter says of the objects that it looks at."""
    return {
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConstraints": {"objectSelector": {"matchLabels": _LABELS}, "resourceRules": [rule]},
    }


def _policy(name: str, **spec: Any) -> Manifest:
    named = _named("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", name)
    return {**named, "spec": {"failurePolicy": "Fail", **spec}}


def _binding(policy: str, namespace: str, more: dict[str, Any]) -> Manifest:
    group, kind = "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"
    selector = {"matchLabels": {NAME: namespace}}
    spec = {
        "policyName": policy,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": selector},
        **more,
    }
    return {**_named(group, kind, f"{policy}-{namespace}"), "spec": spec}


def _reference(namespace: str) -> dict[str, str]:
    return {"name": namespace, "namespace": SPACE, "parameterNotFoundAction": "Deny"}


def _writer(namespace: str) -> tuple[Manifest, ...]:
    """Return who may write the parameter: an account for the pipeline, and nobody by default.

    `create` cannot be bound to a name; with a parameter that exists it makes no other.
    """
    name, group = f"{PIPELINE}-{namespace}", "rbac.authorization.k8s.io"
    known = {"apiGroups": [""], "resources": ["configmaps"]}
    rules = [
        {**known, "verbs": ["create"]},
        {**known, "resourceNames": [namespace], "verbs": ["get", "update", "patch"]},
    ]
    subject = {"kind": "ServiceAccount", "name": name, "namespace": SPACE}
    role = {"apiGroup": group, "kind": "Role", "name": name}
    return (
        _named("v1", "ServiceAccount", name, SPACE),
        {**_named(f"{group}/v1", "Role", name, SPACE), "rules": rules},
        {
            **_named(f"{group}/v1", "RoleBinding", name, SPACE),
            "roleRef": role,
            "subjects": [subject],
        },
    )


def _named(version: str, kind: str, name: str, namespace: str | None = None) -> Manifest:
    metadata: dict[str, Any] = {"name": name, "labels": {**_PART}}
    if namespace is not None:
        metadata["namespace"] = namespace
    return {"apiVersion": version, "kind": kind, "metadata": metadata}
