"""Warnings about what a policy probably does not mean; `check` and `serve` print them."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.problem import Problem

OBSERVES: Final = (
    "policy.mode is observe: failClosed of a rule without a sensitive label is only recorded"
)
"""Said wherever such a policy is shown, and when it begins to be served."""


def advice(policy: LoadedPolicy) -> Iterator[Problem]:
    """Yield what should be looked at again, each with its place and what may be meant."""
    for number, backend in enumerate(policy.spec.backends):
        external = backend.external
        if external is None or external.url is None:
            continue
        found = _about(external.url, external.provider)
        if found is not None:
            path = f"backends[{number}].external.url"
            message, meant = found
            yield Problem(path, policy.line_of(path), message, f"did you mean `url: {meant}`?")
    for number, rule in enumerate(policy.spec.rules):
        for index, pattern in enumerate(rule.match.models if rule.match is not None else ()):
            glob = _glob_of(pattern)
            if glob is not None:
                path = f"rules[{number}].match.models[{index}]"
                message = f"{pattern!r} looks like a regular expression, and is a glob"
                yield Problem(path, policy.line_of(path), message, f"did you mean `{glob}`?")


def _glob_of(pattern: str) -> str | None:
    """Return the glob that a regular expression was meant as; None where it looks like none."""
    bare = pattern.removeprefix("^").removesuffix("$")
    if bare == pattern and ".*" not in pattern and ".+" not in pattern:
        return None
    return re.sub(r"\.[*+]", "*", bare).replace("\\.", ".")


def _about(url: str, provider: str) -> tuple[str, str] | None:
    """Return what is odd about a base URL, and what may be meant."""
    parts = urlsplit(url)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path
    single = re.sub("/{2,}", "/", path)
    if single != path:
        return f"{url!r} has a doubled slash", origin + single
    bare = path.rstrip("/")
    if bare.endswith("/chat/completions"):
        message = f"{url!r} names the door, which is added to it"
        return message, origin + bare.removesuffix("/chat/completions")
    if provider == "openai" and not bare:
        return f"{url!r} has no path: requests go to {origin}/chat/completions", f"{origin}/v1"
    if provider == "anthropic" and bare.endswith("/v1"):
        return f"{url!r} ends in /v1, which is added to it", origin + bare.removesuffix("/v1")
    return None
