"""Checks the meaning of a spec that its types allow: yields each fault with a suggestion."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from lockgate.policy.address import cidr_fault, is_inside, literal_fault, url_fault
from lockgate.policy.glob import check as glob_fault
from lockgate.policy.reading.header_faults import header_faults, label_field_fault
from lockgate.policy.reading.in_cluster_faults import PATH, in_cluster_faults
from lockgate.policy.reading.route_faults import refusing_faults, strategy_faults, where_to
from lockgate.policy.reading.suggestions import ask, flow, write
from lockgate.policy.spec.backends import Backend, Timeouts
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.names import (
    LABEL,
    NAME,
    TOKEN,
    as_header,
    as_label,
    as_name,
    is_ollama_cloud,
    look_alike,
    odd,
    value_fault,
)
from lockgate.policy.spec.rules import Match, Rule

Fault = tuple[str, str, str]
"""(path, message, suggestion); the loader adds the line."""

MOST_PATTERN: Final = 256
"""Characters of a pattern for model names; none is half as long."""


def faults(spec: RouterSpec) -> Iterator[Fault]:
    """Yield every fault of `spec`."""
    if not spec.backends:
        yield "backends", "is empty", "write `- name: NAME` and where that backend is"
    yield from _classification(spec)
    yield from _unique((b.name for b in spec.backends), "backends", "name")
    yield from _unique((b.published_id for b in spec.backends), "backends", "displayName")
    yield from _unique((r.name for r in spec.rules), "rules", "name")
    for number, backend in enumerate(spec.backends):
        yield from _backend(spec, backend, f"backends[{number}]")
    for number, rule in enumerate(spec.rules):
        yield from _rule(spec, rule, f"rules[{number}]")
    if spec.default_route is not None:
        yield from _known_backend(spec, spec.default_route, "defaultRoute")


def _unique(names: Iterable[str], path: str, field: str) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    for number, name in enumerate(names):
        if name in seen:
            place = f"{path}[{number}].{field}"
            yield place, f"{name!r} is already {path}[{seen[name]}]'s", write(place, f"{name}-2")
        seen.setdefault(name, number)


def _name(name: str, path: str) -> Iterator[Fault]:
    if not NAME.match(name):
        rule = "lower-case letters, digits and dashes, at most 63, beginning with a letter or digit"
        yield path, f"{name!r} is not a name: {rule}", write(path, as_name(name))


def _classification(spec: RouterSpec) -> Iterator[Fault]:
    classification, path = spec.policy.classification, "policy.classification"
    if not TOKEN.match(classification.header_key):
        place = f"{path}.headerKey"
        yield (
            place,
            f"{classification.header_key!r} is not a header name",
            write(place, as_header(classification.header_key)),
        )
    taken = label_field_fault(classification.header_key)
    if taken is not None:
        yield f"{path}.headerKey", taken, write("headerKey", "x-llmkube-classification")
    lists = {
        "sensitiveClassifications": classification.sensitive_classifications,
        "knownClassifications": classification.known_classifications,
    }
    for field, labels in lists.items():
        for number, label in enumerate(labels):
            if not LABEL.match(label):
                place = f"{path}.{field}[{number}]"
                yield (
                    place,
                    f"{label!r} is not a label: {odd(label)}",
                    write(place, as_label(label)),
                )
    for number, label in enumerate(classification.known_classifications):
        if label in classification.sensitive:
            place = f"{path}.knownClassifications[{number}]"
            rest = [
                k for k in classification.known_classifications if k not in classification.sensitive
            ]
            suggestion = write(f"{path}.knownClassifications", flow(rest))
            yield place, f"{label!r} is a sensitive label too", suggestion


def _backend(spec: RouterSpec, backend: Backend, path: str) -> Iterator[Fault]:
    yield from _name(backend.name, f"{path}.name")
    yield from _timeouts(backend.timeout is not None, backend.timeouts, path)
    sizes = {"contextLength": backend.context_length, "maxOutputTokens": backend.max_output_tokens}
    for field, tokens in sizes.items():
        if tokens is not None and tokens < 1:
            suggestion = f"state it in tokens: `{field}: 32768`"
            yield f"{path}.{field}", "is less than 1", suggestion
    yield from header_faults(spec, backend, path)
    yield from _health(backend, path)
    if backend.keep_connections and backend.tier == "local":
        suggestion = "leave it out: connections to a local backend are kept anyway"
        yield f"{path}.keepConnections", "is for tier cloud", suggestion
    yield from _tls(backend, path)
    if backend.weight < 0:
        yield f"{path}.weight", "is less than 0", "write `weight: 0` (fallback only) or more"
    places = {
        "inferenceServiceRef": backend.inference_service_ref,
        "serviceRef": backend.service_ref,
        "external": backend.external,
    }
    stated = [name for name, place in places.items() if place is not None]
    if len(stated) != 1:
        suggestion = "keep one: `inferenceServiceRef: { name: NAME }` or `external: ...`"
        said = "both of " + " and ".join(stated)
        if not stated:
            said = "neither of inferenceServiceRef and external"
        yield path, f"has {said}", suggestion
    elif backend.external is None:
        yield from in_cluster_faults(backend, path)
    else:
        yield from _external(spec, backend, path)


def _external(spec: RouterSpec, backend: Backend, path: str) -> Iterator[Fault]:
    external = backend.external
    assert external is not None
    yield from _external_model(backend, path)
    if backend.attested_local is not None and backend.tier == "cloud":
        suggestion = "write `tier: local`, or leave it out"
        yield f"{path}.attestedLocal", "means nothing in tier cloud", suggestion
    url = external.url
    if url is None:
        if backend.tier == "local" and external.provider in {"openai", "anthropic"}:
            suggestion = "write `tier: cloud`, or state external.url"
            yield f"{path}.tier", f"{external.provider}'s own address is not local", suggestion
        return
    fault = url_fault(url)
    if fault is not None:
        yield f"{path}.external.url", f"{url!r} {fault}", f"write `url: {_as_url(url)}`"
        return
    ranges = tuple(r for r in spec.proxy.private_cidrs if cidr_fault(r) is None)
    refused = literal_fault(url, backend, ranges)
    if refused is not None and refused.startswith("no backend"):
        yield f"{path}.external.url", f"{url!r}: {refused}", "write the model server's own address"
    elif backend.tier == "local" and not backend.attested_local and not is_inside(url, ranges):
        yield (
            f"{path}.tier",
            f"tier local, but {url} is not a private or cluster address",
            'write `tier: cloud`, or add `attestedLocal: "WHY IT IS LOCAL"`',
        )
    elif backend.tier == "cloud" and url.startswith("http:") and not external.allow_private_address:
        yield (
            f"{path}.external.url",
            "plain http to a cloud backend shows its key and every prompt",
            f"write `url: https{url[4:]}`, or add `allowPrivateAddress: true` in external",
        )
    elif backend.tier == "cloud" and refused is not None:
        suggestion = "add `allowPrivateAddress: true` in external"
        yield f"{path}.external.url", f"{url!r}: {refused}", suggestion


def _external_model(backend: Backend, path: str) -> Iterator[Fault]:
    """Yield what is wrong with the model that an external backend is asked for.

    A local server may be a door to a cloud: Ollama sends what it is asked for by a name with the
    tag `cloud` to its own (https://docs.ollama.com/cloud). So the model of a local backend is one
    that the policy names, and none of those.
    """
    assert backend.external is not None
    model, served = backend.external.model, backend.served_model
    if served is None and model is None:
        yield f"{path}.external.model", "is missing", "add `model: MODEL` (the model name sent up)"
    elif served is not None and (served != "caller" or model is not None):
        suggestion = "write `model: NAME` in external, and leave this out"
        yield f"{path}.servedModel", "is for inferenceServiceRef", suggestion
    elif served is not None and backend.tier == "local":
        why = "a server outside may send some models on to a cloud, so its model must be named"
        yield f"{path}.servedModel", why, "write `model: NAME` in external, and leave this out"
    is_plain_local = backend.tier == "local" and not backend.attested_local
    if model is not None and is_plain_local and is_ollama_cloud(model):
        message = f"{model!r} runs in Ollama's cloud, not on this server"
        suggestion = 'write `tier: cloud`, or add `attestedLocal: "WHY IT IS LOCAL"`'
        yield f"{path}.external.model", message, suggestion


def _as_url(url: str) -> str:
    return "https://HOST/v1" if "://" in url or "/" in url else f"https://{url}"


def _tls(backend: Backend, path: str) -> Iterator[Fault]:
    if backend.tls is None:
        return
    url = backend.external.url if backend.external is not None else "http:"
    if url is not None and url.startswith("http:"):
        yield (
            f"{path}.tls",
            "this backend is not spoken to over TLS",
            "write `url: https://HOST/v1`, or leave it out",
        )
    if backend.tls.ca_secret_ref is None and backend.tls.client_cert_secret_ref is None:
        suggestion = "write `tls: { caSecretRef: { name: NAME } }`, or leave it out"
        yield f"{path}.tls", "is empty", suggestion


def _health(backend: Backend, path: str) -> Iterator[Fault]:
    check = backend.health_check
    if check is None:
        return
    path = f"{path}.healthCheck"
    if not PATH.match(check.path):
        yield f"{path}.path", f"{check.path!r} is not a path", "write `path: /health`"
    if check.interval_seconds < 1:
        yield f"{path}.intervalSeconds", "is less than 1", "write `intervalSeconds: 10`"
    if not 1 <= check.timeout_seconds <= check.interval_seconds:
        shown = max(check.interval_seconds // 5, 1)
        suggestion = f"write from 1 to intervalSeconds: `timeoutSeconds: {shown}`"
        yield f"{path}.timeoutSeconds", f"{check.timeout_seconds} is out of range", suggestion


def _timeouts(short: bool, timeouts: Timeouts | None, path: str) -> Iterator[Fault]:  # noqa: FBT001
    if short and timeouts is not None and timeouts.first_token is not None:
        yield f"{path}.timeout", "timeouts.firstToken says the same", "leave timeout out"


def _rule(spec: RouterSpec, rule: Rule, path: str) -> Iterator[Fault]:
    yield from _name(rule.name, f"{path}.name")
    yield from _timeouts(rule.timeout is not None, rule.timeouts, path)
    match = rule.match or Match()
    yield from _match(match, f"{path}.match")
    backends = rule.route.backends
    place = f"{path}.route.backends"
    if rule.route.refuse:
        yield from refusing_faults(rule, match, path)
    elif not backends:
        yield place, "is empty", where_to(spec, match, place)
    for number, name in enumerate(backends):
        yield from _known_backend(spec, name, f"{place}[{number}]")
        if name in backends[:number]:
            yield (
                f"{place}[{number}]",
                f"{name!r} stands twice",
                write(place, flow(list(dict.fromkeys(backends)))),
            )
    if not rule.route.refuse:
        yield from strategy_faults(spec, rule, match, path)
    yield from _labels(spec, rule, match, path)
    yield from _capabilities(spec, rule, match, path)


def _match(match: Match, path: str) -> Iterator[Fault]:
    for number, pattern in enumerate(match.models):
        if len(pattern) > MOST_PATTERN:
            suggestion = f"write at most {MOST_PATTERN}"
            yield f"{path}.models[{number}]", f"has {len(pattern)} characters", suggestion
            continue
        fault = glob_fault(pattern)
        if fault is not None:
            place = f"{path}.models[{number}]"
            escaped = re.sub(r"([\\[])", r"\\\1", pattern)
            suggestion = (
                f"{write(place, flow(escaped))} to mean the character, or see Go's path.Match"
            )
            yield place, f"{pattern!r} is not a pattern: {fault}", suggestion
    seen: set[str] = set()
    for name in match.headers:
        if not TOKEN.match(name):
            suggestion = f"write `{as_header(name)}: {flow(match.headers[name])}`"
            yield f"{path}.headers.{name}", f"{name!r} is not a header name", suggestion
        yield from value_faults(match.headers[name], f"{path}.headers.{name}", name)
        if name.lower() in seen:
            yield (
                f"{path}.headers.{name}",
                "stands twice: names ignore case",
                "leave one of them out",
            )
        seen.add(name.lower())


def value_faults(value: str, path: str, name: str) -> Iterator[Fault]:
    """Yield what is wrong with a value that a field is compared with, word for word."""
    found = value_fault(value)
    if found is not None:
        yield path, found[0], f"write `{name}: {flow(found[1])}`"


def _labels(spec: RouterSpec, rule: Rule, match: Match, path: str) -> Iterator[Fault]:
    classification = spec.policy.classification
    for number, label in enumerate(match.data_classification):
        if label not in classification.known and label not in {
            known.lower() for known in classification.known
        }:
            place = f"{path}.match.dataClassification[{number}]"
            shown = flow([*classification.known_classifications, as_label(label)])
            suggestion = f"write `knownClassifications: {shown}`, or sensitiveClassifications"
            suggestion = (
                ask(label, classification.known, place) or f"{suggestion}, in policy.classification"
            )
            yield (
                place,
                f"{label!r} is neither a sensitive nor a known label{look_alike(label)}",
                suggestion,
            )
    if rule.route.refuse or classification.sensitive.isdisjoint(match.data_classification):
        return
    if not rule.fail_closed:
        suggestion = "add `failClosed: true`"
        yield (
            f"{path}.failClosed",
            f"is missing: rule {rule.name!r} is for sensitive data",
            suggestion,
        )
    tiers = {b.name: b.tier for b in spec.backends}
    local = [name for name in rule.route.backends if tiers.get(name) == "local"]
    local = local or [b.name for b in spec.backends if b.tier == "local"][:1]
    for number, name in enumerate(rule.route.backends):
        if tiers.get(name) == "cloud":
            place = f"{path}.route.backends[{number}]"
            yield (
                place,
                f"{name!r} is a cloud backend, and the rule is for sensitive data",
                f"{write('backends', flow(local))}: local backends only"
                if local
                else "write `route: { refuse: true }`: there is no local backend",
            )


def _capabilities(spec: RouterSpec, rule: Rule, match: Match, path: str) -> Iterator[Fault]:
    required = match.required_capabilities
    if not required or rule.route.refuse:
        return
    advertised = [set(b.capabilities) for b in spec.backends if b.name in rule.route.backends]
    if any(set(required) <= capabilities for capabilities in advertised):
        return
    known = set().union(*advertised) if advertised else set()
    for number, capability in enumerate(required):
        if capability not in known:
            place = f"{path}.match.requiredCapabilities[{number}]"
            suggestion = ask(capability, known, place) or "name a backend that has it"
            yield place, f"no backend of the rule has {capability!r}", suggestion
    if set(required) <= known:
        place = f"{path}.match.requiredCapabilities"
        yield place, "no one backend of the rule has them all", "name one that has"


def _known_backend(spec: RouterSpec, name: str, path: str) -> Iterator[Fault]:
    names = [b.name for b in spec.backends]
    if name not in names and name not in map(as_name, names):
        suggestion = ask(name, names, path) or write(path, *(names[:10] or ["NAME"]))
        yield path, f"there is no backend {name!r}", suggestion
