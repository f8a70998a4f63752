"""One deployment of a LiteLLM config as a backend: its provider, address, key, deadlines."""

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve
from lockgate.policy.address import is_private, url_fault

from pulumi_lockgate.convert.litellm.draft import ENVIRONMENT, Draft, Entry, seconds
from pulumi_lockgate.convert.litellm.locality import Locality, locality
from pulumi_lockgate.convert.litellm.providers import (
    DIALECTS,
    IN_THE_CLOUD,
    Dialect,
    provider_of,
)
from pulumi_lockgate.convert.tiers import stated_tier

_SLUG: Final = re.compile(r"[^a-z0-9]+")
_VARIABLE: Final = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)[^}]*\}?\Z")
_PLACEHOLDERS: Final = frozenset(
    {"", "empty", "none", "null", "na", "n/a", "not-needed", "not_needed", "dummy", "fake-key"}
)
"""What people write as the key of a server of their own that wants none."""
CARRIED: Final = frozenset(
    {"model", "api_base", "base_url", "api_key", "weight", "rpm", "tpm", "order", "timeout"}
    | {"stream_timeout", "custom_llm_provider", "litellm_credential_name"}
)
RESTRICTS: Final = {
    "region_name": "it is for one region",
    "guardrails": "its content is checked or masked",
    "team_id": "it serves one team",
    "supported_environments": "it is there in some environments only",
    "mock_response": "it answers by itself, and sends nothing anywhere",
}
"""Parameters whose loss could send a request, or a text, where it did not go."""
_OF_A_ROUTER: Final = frozenset({"provider", "models", "route", "fallbacks"})


def slug(text: str, taken: set[str]) -> str:
    """Return a backend's or rule's name for `text` that is not among `taken`, and take it."""
    bare = _SLUG.sub("-", text.lower()).strip("-")[:50].strip("-") or "model"
    name, number = bare, 2
    while name in taken:
        name, number = f"{bare}-{number}", number + 1
    taken.add(name)
    return name


def read_entry(draft: Draft, path: str, stated: Mapping[str, Any], name: str) -> Entry:
    """Return an entry with its backend `name`, without one where it is left out, which is noted."""
    params = {**draft.credentials(stated["litellm_params"]), **stated["litellm_params"]}
    group = stated["model_name"]
    entry = Entry(path, group, params, _order(params.get("order")))
    wanted = stated_tier(draft.tiers, name, group)
    spoken = _model(draft, entry)
    if spoken is None:
        return entry
    provider, sent = spoken
    dialect = DIALECTS.get(provider)
    if dialect is None:
        elsewhere = provider in IN_THE_CLOUD and wanted != "local"
        return evolve(entry, tier="cloud" if elsewhere else None)
    url = _url(draft, dialect, params, f"{path}.litellm_params")
    where = None if url is None else _where(draft, url, wanted, path, name)
    if url is None or where is None:
        return entry
    entry = evolve(entry, tier=where.tier)
    if _is_refused(draft, path, stated, params) or "*" in sent:
        return entry
    unkeyed = where.tier == "local" and str(params.get("api_key")).lower() in _PLACEHOLDERS
    key = None if unkeyed else _key(draft, dialect, params, path, name)
    external: dict[str, Any] = {"provider": dialect.provider, "model": _sent(dialect, sent)}
    external |= {"url": url} if url else {}
    external |= {"credentialsSecretRef": {"name": key}} if key else {}
    backend = {"name": name, "external": external, **_tier(draft, url, where, external, path)}
    timeouts = _timeouts(draft, params, f"{path}.litellm_params")
    backend |= {"timeouts": timeouts} if timeouts else {}
    _not_carried(draft, path, stated)
    return evolve(entry, backend=backend)


def _order(stated: Any) -> float | None:
    number = isinstance(stated, int | float) and not isinstance(stated, bool)
    return float(stated) if number else None


def _model(draft: Draft, entry: Entry) -> tuple[str, str] | None:
    """Return (LiteLLM's provider, the model sent up); None where no model is stated."""
    place = f"{entry.path}.litellm_params.model"
    model = draft.resolved(entry.params.get("model"))
    if not isinstance(model, str) or not model or model.startswith(ENVIRONMENT):
        what = f"{model!r} is not stated here" if model else "is missing"
        draft.notes.refused(place, what, "write `model: openai/gpt-4o`")
        return None
    provider, sent = provider_of(model, entry.params)
    if "*" in model:
        message = f"{model!r}, behind model_name {entry.group!r}, names no one model"
        draft.notes.refused(place, message, "write an entry for each model")
    elif provider not in DIALECTS:
        message = f"{model!r}: Lockgate does not speak to that provider"
        mend = "keep LiteLLM before it: write `model: litellm_proxy/NAME` and its api_base"
        draft.notes.refused(place, message, mend)
    return provider or "", sent


def _sent(dialect: Dialect, model: str) -> str:
    return model if model.startswith("accounts/") else dialect.prefix + model


def _url(draft: Draft, dialect: Dialect, params: Mapping[str, Any], place: str) -> str | None:
    """Return the base URL, empty for the provider's own; None where the entry is left out."""
    stated = draft.resolved(params.get("api_base") or params.get("base_url"))
    if isinstance(stated, str) and (stated.startswith(ENVIRONMENT) or _VARIABLE.match(stated)):
        message = f"stands in the environment, as {stated.removeprefix(ENVIRONMENT)}"
        draft.notes.refused(f"{place}.api_base", message, "write the address itself")
        return None
    if isinstance(stated, str) and stated:
        bare = stated.rstrip("/")
        if dialect.native and bare != dialect.url:
            message = "LiteLLM speaks the provider's own dialect there, Lockgate OpenAI's"
            draft.notes.refused(f"{place}.api_base", message, "leave it out, or keep LiteLLM")
            return None
        if url_fault(bare) is not None:
            message = f"{bare!r} {url_fault(bare)}"
            draft.notes.refused(f"{place}.api_base", message, "write `api_base: http://HOST/v1`")
            return None
        if dialect.provider == "anthropic":  # whose SDK's base ends before /v1
            return bare.removesuffix("/messages").removesuffix("/v1")
        return bare if bare.endswith(dialect.suffix) else bare + dialect.suffix
    if dialect.needs_url:
        mend = "write `api_base: http://HOST:PORT/v1`"
        draft.notes.refused(f"{place}.api_base", "is missing", mend)
        return None
    return dialect.url or ""


def _where(draft: Draft, url: str, wanted: str | None, path: str, name: str) -> Locality | None:
    where = locality(url, wanted)
    if where is None:
        message = f"--tier {name}=local was stated, and it is a provider's own address"
        draft.notes.refused(path, message, f"pass --tier {name}=cloud")
    elif where.note is not None:
        draft.once(f"{path}.litellm_params.api_base", where.note.replace("NAME", name))
    elif where.tier == "cloud" and wanted is None:
        draft.once("model_list", "entries at a provider's own address are tier cloud")
    return where


def _tier(
    draft: Draft, url: str, where: Locality, external: dict[str, Any], path: str
) -> dict[str, Any]:
    out: dict[str, Any] = {"tier": where.tier}
    if where.attested is not None:
        out["attestedLocal"] = where.attested
    if where.tier == "cloud" and url and (is_private(url) or url.startswith("http:")):
        external["allowPrivateAddress"] = True
        message = "tier cloud, and plain http or private: allowPrivateAddress is written"
        draft.notes.differs(f"{path}.litellm_params.api_base", message)
    return out


def _is_refused(
    draft: Draft, path: str, stated: Mapping[str, Any], params: Mapping[str, Any]
) -> bool:
    """Whether an entry restricts what it serves in a way that is not carried; each is noted."""
    every = {**stated, **_info(stated), **params}
    if every.get("access_groups"):
        message = "which keys may ask for it is not carried: every client may"
        mend = "keep clients apart by the network"
        draft.notes.refused(f"{path}.model_info.access_groups", message, mend)
    found = {name: why for name, why in RESTRICTS.items() if every.get(name)}
    if every.get("tags") and draft.section("router_settings").get("enable_tag_filtering"):
        found["tags"] = "requests were kept to deployments by tag"
    body = every.get("extra_body")
    if isinstance(body, dict) and not _OF_A_ROUTER.isdisjoint(body):
        found["extra_body"] = "it tells the provider where to send requests on"
    for name, why in found.items():
        mend = "take it out of the file, where its loss is right"
        draft.notes.refused(f"{path}.{name}", f"{why}: the deployment is left out", mend)
    return bool(found)


def _key(
    draft: Draft, dialect: Dialect, params: Mapping[str, Any], path: str, name: str
) -> str | None:
    """Return the name of the Secret that is to hold the key. The key itself is never copied."""
    place = f"{path}.litellm_params.api_key"
    stated = params.get("api_key")
    if stated is None and (dialect.key is None or params.get("api_base")):
        return None
    text = str(stated if stated is not None else f"{ENVIRONMENT}{dialect.key}")
    named = _VARIABLE.match(text)
    if text.startswith(ENVIRONMENT) or named:
        variable = named[1] if named else text.removeprefix(ENVIRONMENT)
        secret = slug(variable, set())
        draft.once(place, f"was {variable}: put it into a Secret {secret!r}")
        return secret
    secret = f"{name}-key"
    draft.notes.differs(place, f"is not copied: put it into a Secret {secret!r}")
    return secret


def _timeouts(draft: Draft, params: Mapping[str, Any], place: str) -> dict[str, str]:
    """Return the deadline to the first token, the longer of the two that LiteLLM has."""
    found = []
    for name in ("timeout", "stream_timeout"):
        value = params.get(name)
        if value is None:
            continue
        if seconds(value) is None:
            mend = "write a number, or leave it out"
            draft.notes.refused(f"{place}.{name}", f"{value!r} is not seconds", mend)
            continue
        found.append((value, name))
    if not found:
        return {}
    value, name = max(found)
    message = f"is timeouts.firstToken {value}s: a response that has begun is not cut by it"
    draft.once(f"{place}.{name}", message)
    return {"firstToken": f"{value}s"}


def _info(stated: Mapping[str, Any]) -> Mapping[str, Any]:
    info = stated.get("model_info")
    return info if isinstance(info, dict) else {}


def _not_carried(draft: Draft, path: str, stated: Mapping[str, Any]) -> None:
    """Note what of an entry has no place here: clients send what the model needs."""
    names = [name for name in stated["litellm_params"] if name not in CARRIED]
    if names:
        message = f"{', '.join(map(str, names))}: not carried, clients send what the model needs"
        draft.notes.differs(f"{path}.litellm_params", message)
    others = [name for name in _info(stated) if name not in {"mode", "access_groups", "id"}]
    if others:
        draft.notes.differs(f"{path}.model_info", f"{', '.join(map(str, others))}: not carried")
    for other in stated.keys() - {"model_name", "litellm_params", "model_info"}:
        draft.notes.differs(f"{path}.{other}", "is not carried")
