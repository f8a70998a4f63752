"""Writes the rules of an import: points 1, 4, 6, 7 and 8 of docs/guides/import.md."""

from typing import Any

from lockgate.policy.glob import check as glob_fault
from lockgate.policy.spec.model_router import DEFAULT_KNOWN, DEFAULT_SENSITIVE
from lockgate.policy.spec.units import format_duration

from pulumi_lockgate.convert.llmkube.draft import Draft, DraftRule
from pulumi_lockgate.convert.llmkube.manifest import DEFAULT_HEADER_TIMEOUT


def never_matched(draft: Draft) -> None:
    """Leave out rules and patterns that could never match in LLMKube (point 1)."""
    capabilities = {b.name: set(b.capabilities) for b in draft.origin.backends}
    for rule in draft.rules:
        _drop_bad_patterns(draft, rule)
        required = set(rule.match.required_capabilities)
        backends = rule.source.route.backends
        if required and not any(required <= capabilities.get(name, set()) for name in backends):
            place = f"{rule.path}.match.requiredCapabilities"
            draft.leave_out(rule, place, "no one backend of it has them all")
        lacking = [name for name in backends if not required <= capabilities.get(name, set())]
        if rule.kept and lacking:
            message = f"{', '.join(dict.fromkeys(lacking))} lacks some: asked there, never here"
            draft.notes.differs(f"{rule.path}.match.requiredCapabilities", message)


def _drop_bad_patterns(draft: Draft, rule: DraftRule) -> None:
    patterns = rule.match.models
    good = [pattern for pattern in patterns if glob_fault(pattern) is None]
    for number, pattern in enumerate(patterns):
        if pattern not in good and good:
            message = f"{pattern!r} is no pattern and was ignored: left out"
            draft.notes.differs(f"{rule.path}.match.models[{number}]", message)
    if good and len(good) < len(patterns):
        rule.out["match"]["models"] = good
    elif patterns and not good:
        draft.leave_out(rule, f"{rule.path}.match.models", "none of its models is a pattern")


def repeated(draft: Draft) -> None:
    """Keep a backend that stands twice in a rule once (point 1)."""
    for rule in draft.standing():
        backends = rule.source.route.backends
        once = list(dict.fromkeys(backends))
        if len(once) < len(backends):
            message = "a backend stands twice: it is kept once, and repeats follow the retry law"
            draft.notes.differs(f"{rule.path}.route.backends", message)
            rule.out["route"]["backends"] = once


def fail_closed(draft: Draft) -> None:
    """Make every rule fail closed, as LLMKube's do after a match (point 4)."""
    for rule in draft.standing():
        rule.out["failClosed"] = True
        if rule.source.fail_closed is not True:
            stated = "was false" if rule.source.fail_closed is False else "was not stated"
            message = (
                f"{stated}, is true: LLMKube never went on to defaultRoute either; "
                "a total failure is 503 instead of 502"
            )
            draft.notes.differs(f"{rule.path}.failClosed", message)


def labels(draft: Draft) -> None:
    """Write labels in lower case, and make known those that are not sensitive (point 6)."""
    classification = draft.origin.policy.classification
    lower = [label.lower() for label in classification.sensitive_classifications]
    for number, label in enumerate(classification.sensitive_classifications):
        if label != label.lower():
            place = f"spec.policy.classification.sensitiveClassifications[{number}]"
            draft.notes.begins(place, f"{label!r} could never be met there; written in lower case")
    for rule in draft.rules:
        if rule.kept and rule.match.data_classification:
            _rule_labels(draft, rule)
    named = [
        label
        for rule in draft.standing()
        for label in rule.out.get("match", {}).get("dataClassification", ())
    ]
    sensitive = lower or list(DEFAULT_SENSITIVE)
    known = [x for x in dict.fromkeys([*DEFAULT_KNOWN, *named]) if x not in sensitive]
    written: dict[str, Any] = {}
    if lower:
        written["sensitiveClassifications"] = list(dict.fromkeys(lower))
    if known != list(DEFAULT_KNOWN):
        written["knownClassifications"] = known
    if written:
        governance = draft.spec.setdefault("policy", {})
        governance["classification"] = {**governance.get("classification", {}), **written}


def _rule_labels(draft: Draft, rule: DraftRule) -> None:
    """Write a rule's labels. One in upper case never matched; it may begin to in a local rule.

    In a rule with a cloud backend it is left out: otherwise more would leave than before.
    """
    cloud = draft.leads_to_cloud(rule)
    kept = []
    for number, label in enumerate(rule.match.data_classification):
        place = f"{rule.path}.match.dataClassification[{number}]"
        if label == label.lower():
            kept.append(label)
        elif cloud:
            message = (
                f"{label!r} could never match there, and the rule has a cloud backend: left out"
            )
            draft.notes.differs(place, message)
        else:
            kept.append(label.lower())
            draft.notes.begins(place, f"{label!r} could never match there; written in lower case")
    if kept:
        rule.out["match"]["dataClassification"] = list(dict.fromkeys(kept))
    else:
        draft.leave_out(rule, f"{rule.path}.match.dataClassification", "upper case")


def timeouts(draft: Draft) -> None:
    """Write each timeout as one to the first token, and note what it no longer covers (point 7)."""
    cap = draft.origin.proxy.response_header_timeout or DEFAULT_HEADER_TIMEOUT
    stated = [(rule.path, rule.source.timeout, rule.out) for rule in draft.standing()]
    stated += [(path, theirs.timeout, ours) for path, theirs, ours in draft.pairs()]
    for path, timeout, out in stated:
        if timeout is not None:
            first = format_duration(min(timeout, cap))
            out["timeouts"] = {"firstToken": first}
            message = (
                f"is timeouts.firstToken {first}: an answer that it cut short goes on, "
                "under idle and total"
            )
            draft.notes.differs(f"{path}.timeout", message)
    message = (
        f"whole answers were cut after {format_duration(cap)} where no other timeout held; "
        "here that is for the first token, and idle and total hold for the rest"
    )
    draft.notes.differs("spec.proxy.responseHeaderTimeout", message)


def shadows_to_cloud(draft: Draft) -> None:
    """Note first which rules send copies of requests to a cloud backend (point 8)."""
    for rule in draft.standing():
        copies = rule.source.route.backends[1:]
        clouds = [name for name in copies if name in draft.cloud()]
        if rule.source.route.strategy == "shadow" and clouds:
            message = f"shadow: copies of answered requests go to the cloud: {', '.join(clouds)}"
            draft.notes.begins(f"{rule.path}.route.strategy", message, first=True)


def ignored(draft: Draft) -> None:
    """Note the strategies and latency targets that LLMKube ignored and that act here (point 8)."""
    weights = {b.name: 1 if b.weight is None else b.weight for b in draft.origin.backends}
    for rule in draft.standing():
        place, out = f"{rule.path}.route.strategy", rule.out["route"]
        strategy, backends = rule.source.route.strategy, out["backends"]
        if strategy == "weighted" and not any(weights.get(name) for name in backends):
            out.pop("strategy")
            draft.notes.differs(
                place, "weighted with no weight at all: written as primary-fallback"
            )
        elif strategy == "weighted":
            draft.notes.begins(place, "weighted: it ran as primary-fallback")
        elif strategy == "shadow" and len(backends) < 2:
            out.pop("strategy")
            draft.notes.differs(place, "shadow with nobody to copy to: written as primary-fallback")
        elif strategy == "shadow" and draft.cloud().isdisjoint(backends[1:]):
            draft.notes.begins(place, "shadow: it ran as primary-fallback")
        if rule.match.latency_slo_ms is not None:
            _latency(draft, rule)


def _latency(draft: Draft, rule: DraftRule) -> None:
    place = f"{rule.path}.match.latencySLOMs"
    route = rule.out["route"]
    if len(route["backends"]) < 2 or route.get("strategy") == "shadow":
        del rule.out["match"]["latencySLOMs"]
        if not rule.out["match"]:
            del rule.out["match"]
        draft.notes.differs(place, "there is no other backend to try: left out")
    else:
        draft.notes.begins(place, "slow first tokens put the rule's other backends first")
