"""What a backend's lists of header names may not say, upward and downward."""

from collections.abc import Iterator
from typing import Final

from lockgate.policy.deciding.match import COMPLEXITY_HEADER, TEAM_HEADER
from lockgate.policy.reading.suggestions import write
from lockgate.policy.spec.backends import Backend
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.names import (
    NEVER_DOWNWARD,
    NEVER_UPWARD,
    OURS,
    TAKEN,
    TOKEN,
    as_header,
)

Fault = tuple[str, str, str]


READ: Final = {COMPLEXITY_HEADER: "the complexity's", TEAM_HEADER: "the team's"}


def label_field_fault(name: str) -> str | None:
    """Return why a header may not carry the labels, None where it may."""
    lower = name.lower()
    if lower in READ:
        return f"{name!r} is {READ[lower]} own header"
    if lower in TAKEN or lower.startswith((*OURS, "sec-", "proxy-")):
        return f"{name!r} is read by the proxy itself, or by what stands before it"
    return None


def header_faults(spec: RouterSpec, backend: Backend, path: str) -> Iterator[Fault]:
    """Yield every fault of `backend`'s lists; `path` is the backend's place."""
    routing = {spec.policy.classification.header_key.lower(), "x-llmkube-team"}
    for number, name in enumerate(backend.upward_headers):
        place = f"{path}.upwardHeaders[{number}]"
        if not TOKEN.match(name):
            yield place, f"{name!r} is not a header name", write(place, as_header(name))
        elif name.lower() in NEVER_UPWARD | routing:
            yield place, f"{name!r} never goes up from a client", "take it out of the list"
    for number, name in enumerate(backend.downward_headers):
        place = f"{path}.downwardHeaders[{number}]"
        if not TOKEN.match(name):
            yield place, f"{name!r} is not a header name", write(place, as_header(name))
        elif name.lower() in NEVER_DOWNWARD or name.lower().startswith(OURS):
            yield place, f"{name!r} never comes down from a backend", "take it out of the list"
