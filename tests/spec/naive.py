"""Sections 3 and 4 of the design, read a second time and naively."""

from fnmatch import fnmatchcase

from lockgate.policy.deciding.decision import Request
from lockgate.policy.spec.model_router import RouterSpec


def labels(spec: RouterSpec, request: Request) -> set[str]:
    """Return the labels; every sensitive one for anything unknown."""
    held = spec.policy.classification
    sensitive = set(held.sensitive_classifications or ("pii", "phi"))
    found: set[str] = set()
    for value in request.headers.get(held.header_key.lower(), ()):
        for token in value.split(","):
            word = token.strip(" \t").lower()
            found |= {word} if word in sensitive | set(held.known_classifications) else sensitive
    return found


def named(model: str, patterns: tuple[str, ...]) -> bool:
    """Whether a pattern takes the name; none here has a class, an escape or a slash."""
    return "/" not in model and any(fnmatchcase(model, pattern) for pattern in patterns)


def matches(spec: RouterSpec, number: int, request: Request) -> bool:
    """Whether rule `number` matches; patterns here have no class, escape or slash."""
    match = spec.rules[number].match
    if match is None:
        return True
    complexity = request.headers.get("x-llmkube-task-complexity", ())
    return (
        (
            not match.data_classification
            or bool(labels(spec, request) & {*match.data_classification})
        )
        and (
            match.task_complexity is None
            or tuple(v.strip(" \t") for v in complexity) == (match.task_complexity,)
        )
        and (not match.models or named(request.model, match.models))
        and all(
            v in [value.strip(" \t") for value in request.headers.get(n.lower(), ())]
            for n, v in match.headers.items()
        )
    )


def chain(spec: RouterSpec, request: Request) -> list[str]:
    """Return the names of the chain in order, without the runtime's bound."""
    backends = {b.name: b for b in spec.backends}
    hit = next((r for i, r in enumerate(spec.rules) if matches(spec, i, request)), None)
    default = [spec.default_route] if spec.default_route else []
    required: tuple[str, ...] = ()
    sensitive = spec.policy.classification.sensitive
    if hit is not None:
        for_sensitive = set(hit.match.data_classification if hit.match else ()) & sensitive
        closed = hit.fail_closed and (spec.policy.mode == "enforce" or for_sensitive)
        names = [*hit.route.backends, *([] if closed else default)]
        required = hit.match.required_capabilities if hit.match else ()
    else:
        by_id = [b.name for b in spec.backends if b.published_id == request.model]
        by_name = spec.default_route_strategy == "BackendNameMatch" and by_id
        names = by_id if by_name else default
    capable = [name for name in names if set(required) <= set(backends[name].capabilities)]
    return list(dict.fromkeys(capable))


def candidates(spec: RouterSpec, request: Request) -> list[str]:
    """Return the names of the backends that may serve the request, in order."""
    local = {b.name for b in spec.backends if b.tier == "local"}
    sensitive = bool(labels(spec, request) & spec.policy.classification.sensitive)
    return [name for name in chain(spec, request) if name in local or not sensitive]
