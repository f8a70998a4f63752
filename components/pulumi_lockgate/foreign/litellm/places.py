"""Where a deployment of a LiteLLM config runs, by the rules of `lockgate import`.

What nobody says to be local is taken for cloud.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import frozen
from lockgate.policy.spec.backends import Tier
from lockgate.policy.spec.names import is_ollama_cloud

from pulumi_lockgate.convert.litellm.draft import ENVIRONMENT, Draft
from pulumi_lockgate.convert.litellm.locality import locality
from pulumi_lockgate.convert.litellm.providers import DIALECTS, IN_THE_CLOUD, provider_of
from pulumi_lockgate.convert.tiers import stated_tier

_OLLAMA: Final = ("ollama", "ollama_chat")
_OLLAMA_URL: Final = "http://localhost:11434"
_VARIABLE: Final = re.compile(r"\$\{?[A-Za-z_]")


@frozen
class Place:
    """A tier, where that is in words, and a line for the reader where it was not plain."""

    tier: Tier
    where: str
    note: str | None = None


def place_of(draft: Draft, params: Mapping[str, Any], names: tuple[str, ...]) -> Place | str:
    """Return where a deployment runs; a text says why what `--tier` says of it is not so."""
    wanted = stated_tier(draft.tiers, *names)
    provider, sent = provider_of(str(draft.resolved(params.get("model"))), params)
    if is_ollama_cloud(sent):
        return Place("cloud", f"Ollama's own cloud, by the name {sent}")
    stated = draft.resolved(params.get("api_base") or params.get("base_url"))
    if isinstance(stated, str) and stated:
        if stated.startswith(ENVIRONMENT) or _VARIABLE.match(stated):
            variable = stated.removeprefix(ENVIRONMENT)
            return _by_word(wanted, f"the address in {variable}")
        return _at(stated, wanted)
    if provider in _OLLAMA and not draft.section("litellm_settings").get("api_base"):
        note = f"{names[-1]} has no api_base: LiteLLM asks {_OLLAMA_URL}, or OLLAMA_API_BASE"
        return Place("cloud", "an Ollama") if wanted == "cloud" else Place("local", "Ollama", note)
    dialect = DIALECTS.get(provider or "")
    if provider in IN_THE_CLOUD or (dialect is not None and not dialect.needs_url):
        if wanted == "local":
            return "--tier local was stated, and it is a provider's own address"
        return Place("cloud", f"{provider}'s own address")
    return _by_word(wanted, f"provider {provider or 'unknown'}, with no api_base in the file")


def elsewhere(draft: Draft, target: Mapping[str, Any]) -> str | None:
    """Return the cloud address that a fallback brings with it, None where it brings none."""
    stated = target.get("api_base") or target.get("base_url")
    if stated is None:
        return None
    place = place_of(draft, target, (str(target.get("model")),))
    return str(stated) if isinstance(place, str) or place.tier == "cloud" else None


def _at(url: str, wanted: str | None) -> Place | str:
    found = locality(url.rstrip("/"), wanted)
    if found is None:
        return "--tier local was stated, and it is a provider's own address"
    return Place(found.tier, _host(url), found.note and found.note.replace(
        ", attestedLocal is written", ""
    ))  # fmt: skip


def _by_word(wanted: str | None, where: str) -> Place:
    if wanted is None:
        note = f"{where} is taken for cloud; --tier NAME=local where it is yours"
        return Place("cloud", where, note)
    return Place("local" if wanted == "local" else "cloud", where)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url
