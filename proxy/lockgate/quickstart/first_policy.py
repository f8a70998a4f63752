"""Writes a first policy out of what was found.

What is sensitive stays with the local models, or is refused where there are none. A model that is
asked for by the name of a local one is served by it, one by a provider's name by that provider with
its own key, and every other name by the first local model: an agent needs no other settings.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml
from attrs import frozen

from lockgate.connections.credentials import usable_key
from lockgate.policy.glob import compile_glob, escaped
from lockgate.policy.spec.backends import DEFAULT_URLS, KEY_FILES
from lockgate.policy.spec.names import as_name
from lockgate.quickstart.servers import ModelServer

CLOUD_MODELS: Final[Mapping[str, tuple[str, ...]]] = {
    "openai": ("gpt-*", "chatgpt-*", "o[1-9]*"),
    "anthropic": ("claude-*",),
}
"""How the models of each provider are called, as patterns."""
_LONGEST: Final = 60
"""Characters of a name that leave room for a number."""
MOST_MODELS: Final = 8
"""Models of one server that become backends: the first ones it lists."""


@frozen
class Found:
    """What this machine has: model servers, and providers whose key is in the environment."""

    servers: tuple[ModelServer, ...]
    providers: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing that could serve."""
        return not self.providers and not any(server.models for server in self.servers)

    @property
    def keys(self) -> dict[str, str]:
        """The variable that holds each Secret's key, by the name of the Secret."""
        return {f"{name}-key": KEY_FILES[name] for name in self.providers}


def providers_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the providers whose key the environment holds."""
    values = {name: environment.get(KEY_FILES[name], "") for name in CLOUD_MODELS}
    return tuple(n for n, v in values.items() if usable_key(v.encode(errors="replace")) is not None)


def spec_of(found: Found) -> dict[str, Any]:
    """Return a spec in wire form for what was found, which must not be empty."""
    local = list(_local_backends(found.servers))
    cloud = [_cloud_backend(name) for name in found.providers]
    return _spec(local, cloud, found.providers)


def stack_of(found: Found, name: str) -> dict[str, Any]:
    """Return the config of a stack with one model server to be filled in, and the clouds."""
    model = {"name": "local-model", "inferenceServiceRef": {"name": "local-model"}}
    cloud = [_cloud_backend(provider) for provider in found.providers]
    return {
        "lockgate:namespace": namespace_of(name),
        "lockgate:models": {"local-model": {"modelRef": "pvc://models/model.gguf"}},
        "lockgate:router": _spec([model], cloud, found.providers),
    }


def namespace_of(stack: str) -> str:
    """Return the namespace of a stack: an RFC 1123 label, as Kubernetes wants it."""
    return f"lockgate-{as_name(stack).lower()}"[:63].rstrip("-")


def as_text(document: dict[str, Any], head: str) -> str:
    """Return YAML with a comment on top."""
    comment = "".join(f"# {line}".rstrip() + "\n" for line in head.splitlines())
    return comment + yaml.safe_dump(document, sort_keys=False, width=100, allow_unicode=True)


def _spec(
    local: list[dict[str, Any]], cloud: list[dict[str, Any]], providers: tuple[str, ...]
) -> dict[str, Any]:
    names = [backend["name"] for backend in local]
    stay: dict[str, Any] = {
        "name": "sensitive-stays-local",
        "match": {"dataClassification": ["pii", "phi"]},
        "route": {"backends": names} if names else {"refuse": True},
    }
    if names:
        stay["failClosed"] = True
    by_name = [
        _rule(f"{name}-by-name", CLOUD_MODELS[name], [backend["name"]])
        for name, backend in zip(providers, cloud, strict=True)
    ]
    return {
        "backends": [*local, *cloud],
        "rules": [stay, *_not_the_cloud(local, providers), *by_name],
        "defaultRoute": [*local, *cloud][0]["name"],
        "defaultRouteStrategy": "BackendNameMatch",
    }


def _not_the_cloud(
    local: list[dict[str, Any]], providers: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """Yield a rule for each local model that a provider's pattern takes: `gpt-oss:20b` is ours."""
    patterns = [compile_glob(p) for name in providers for p in CLOUD_MODELS[name]]
    for backend in local:
        model = backend.get("displayName", backend["name"])
        if any(pattern(model) for pattern in patterns):
            yield _rule(backend["name"], (escaped(model),), [backend["name"]])


def _rule(name: str, models: tuple[str, ...], backends: list[str]) -> dict[str, Any]:
    return {"name": name, "match": {"models": list(models)}, "route": {"backends": backends}}


def _local_backends(servers: tuple[ModelServer, ...]) -> Iterator[dict[str, Any]]:
    taken: set[str] = set()
    published = set(CLOUD_MODELS)
    for server in servers:
        for model in server.models[:MOST_MODELS]:
            name = _free(as_name(f"{server.product}-{model}"), taken)
            many = model in published
            shown = _free(f"{model}@{as_name(server.product)}" if many else model, published)
            external = {"provider": "openai", "model": model, "url": server.url}
            yield {"name": name, "displayName": shown, "tier": "local", "external": external}


def _cloud_backend(provider: str) -> dict[str, Any]:
    secret = {"name": f"{provider}-key"}
    return {
        "name": provider,
        "tier": "cloud",
        "servedModel": "caller",
        "external": {"provider": provider, "credentialsSecretRef": secret},
    }


def _free(name: str, taken: set[str]) -> str:
    """Return `name`, or the first one after it that is not taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[:_LONGEST]}-{number}"
    taken.add(free)
    return free


def url_of(backend: dict[str, Any]) -> str:
    """Return where a backend of a spec in wire form is."""
    external = backend["external"]
    return str(external.get("url") or DEFAULT_URLS[external["provider"]])
