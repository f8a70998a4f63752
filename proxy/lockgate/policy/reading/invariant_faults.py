"""Checks the meaning of invariants: yields each fault with its path and a suggestion."""

from collections.abc import Iterator

from lockgate.policy.glob import check as glob_fault
from lockgate.policy.reading.suggestions import ask, flow, write
from lockgate.policy.reading.validate import Fault, value_faults
from lockgate.policy.spec.invariants import BackendSet, Invariant, When
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.names import NAME, TOKEN, as_header, as_name, look_alike


def invariant_faults(spec: RouterSpec) -> Iterator[Fault]:
    """Yield every fault of the invariants of `spec`."""
    names: list[str] = []
    for number, invariant in enumerate(spec.policy.invariants):
        path = f"policy.invariants[{number}]"
        place, name = f"{path}.name", invariant.name
        if not NAME.match(name):
            rule = "lower-case letters, digits and dashes, at most 63"
            yield place, f"{name!r} is not a name: {rule}", write(place, as_name(name))
        if name in names:
            message = f"{name!r} is already policy.invariants[{names.index(name)}]'s"
            yield place, message, write(place, f"{name}-2")
        names.append(name)
        yield from _when(spec, invariant.when, f"{path}.when")
        yield from _aim(spec, invariant, path)


def _aim(spec: RouterSpec, invariant: Invariant, path: str) -> Iterator[Fault]:
    if invariant.never is None and invariant.only is None:
        yield f"{path}.never", "is missing, and so is only", "add `never: { tier: cloud }`"
    if invariant.never is not None and invariant.only is not None:
        yield path, "has both never and only", "keep one, like `never: { tier: cloud }`"
    for field, places in (("never", invariant.never), ("only", invariant.only)):
        if places is not None:
            yield from _places(spec, places, f"{path}.{field}")


def _places(spec: RouterSpec, places: BackendSet, path: str) -> Iterator[Fault]:
    if places.tier is None and not places.backends:
        yield f"{path}.tier", "is missing, and so is backends", "add `tier: cloud`"
    if places.tier is not None and places.backends:
        yield path, "has both tier and backends", "keep one, like `tier: cloud`"
    known = [backend.name for backend in spec.backends]
    for number, name in enumerate(places.backends or ()):
        if name not in known:
            place = f"{path}.backends[{number}]"
            suggestion = ask(name, known, place) or write(place, *(known[:10] or ["NAME"]))
            yield place, f"there is no backend {name!r}", suggestion


def _when(spec: RouterSpec, when: When, path: str) -> Iterator[Fault]:
    known = spec.policy.classification.known
    if when.labels and when.unlabelled:
        place = f"{path}.unlabelled"
        yield place, "a request with labels is not unlabelled", "take `unlabelled` out"
    for number, label in enumerate(when.labels):
        if label not in known:
            shown = flow([*sorted(spec.policy.classification.known_classifications), label])
            place = f"{path}.labels[{number}]"
            suggestion = ask(label, known, place) or f"write `knownClassifications: {shown}`"
            message = f"{label!r} is neither a sensitive nor a known label{look_alike(label)}"
            yield place, message, suggestion
    for number, pattern in enumerate(when.models):
        fault = glob_fault(pattern)
        if fault is not None:
            suggestion = "see Go's path.Match, like `gpt-*`"
            yield f"{path}.models[{number}]", f"{pattern!r} is not a pattern: {fault}", suggestion
    for name, value in when.headers.items():
        if not TOKEN.match(name):
            suggestion = f"write `{as_header(name)}: {flow(value)}`"
            yield f"{path}.headers.{name}", f"{name!r} is not a header name", suggestion
        yield from value_faults(value, f"{path}.headers.{name}", name)
    if when.team is not None:
        yield from value_faults(when.team, f"{path}.team", "team")
