"""What becomes of a LiteLLM config's settings beside model_list: carried, changed or left out."""

from typing import Any, Final

from pulumi_lockgate.convert.litellm.draft import Draft, seconds

CHECKS: Final = {
    "include": "what other files say is not read",
    "guardrails": "content was checked or masked there, and is not here",
    "litellm_settings.guardrails": "content was checked or masked there, and is not here",
    "litellm_settings.model_alias_map": "models were renamed on their way up",
    "prompts": "prompts were changed on their way",
}
"""Settings whose loss could send a text where it did not go: no route leads to a cloud then."""
WHO: Final = {
    "general_settings.master_key": "clients need no key here: keep them apart by the network",
    "general_settings.allowed_ips": "clients are not told apart by their addresses",
    "general_settings.enforce_fallback_model_access": "no fallback leads to a cloud backend",
    "general_settings.custom_auth": "clients need no key here: keep them apart by the network",
    "general_settings.enable_jwt_auth": "clients need no key here: keep them apart by the network",
    "general_settings.allowed_routes": "the doors are docs/spec.md's, for every client",
    "general_settings.max_budget": "nothing is spent up to a limit here",
    "litellm_settings.max_budget": "nothing is spent up to a limit here",
    "litellm_settings.max_end_user_budget": "nothing is spent up to a limit here",
    "router_settings.provider_budget_config": "nothing is spent up to a limit here",
    "litellm_settings.default_internal_user_params": "users have no defaults, and no limits, here",
    "litellm_settings.default_team_settings": "teams have no settings of their own here",
    "litellm_settings.default_team_params": "teams have no settings of their own here",
    "router_settings.enable_tag_filtering": "tags of requests are not read",
}
"""Settings that restrict who may ask for what, or how much: left out by name."""
OTHERWISE: Final = {
    "router_settings.routing_strategy": "deployments are spread by weight, or asked in order",
    "litellm_settings.drop_params": "a field that a model cannot take is its own to refuse",
    "litellm_settings.num_retries": "repeats follow the retry law of docs/data-path.md",
    "router_settings.num_retries": "repeats follow the retry law of docs/data-path.md",
    "router_settings.allowed_fails": "breakers open after five failures in a row",
    "router_settings.cooldown_time": "proxy.quarantineDuration is the longest time out",
    "litellm_settings.content_policy_fallbacks": "a content filter's refusal is the client's",
    "router_settings.content_policy_fallbacks": "a content filter's refusal is the client's",
}
"""Settings that are not carried, each with what holds instead."""
_CARRIED: Final = frozenset(
    {f"{section}.{name}" for section in ("litellm_settings", "router_settings")
     for name in ("fallbacks", "default_fallbacks", "context_window_fallbacks")}
    | {"litellm_settings.request_timeout", "router_settings.timeout"}
    | {"router_settings.stream_timeout", "router_settings.model_group_alias"}
)  # fmt: skip
_SECTIONS: Final = ("litellm_settings", "router_settings", "general_settings")
_READ: Final = frozenset({"model_list", "credential_list", "environment_variables"})
_CALLBACKS: Final = ("presidio", "guard", "lakera", "moderation", "hide_secrets", "injection", ".")
"""What the name of a callback has that reads or changes requests; a dot: one's own code."""
_TAKE_OUT: Final = "take it out of the file, where its loss is right"


def read_settings(draft: Draft) -> None:
    """Note what becomes of every setting, those that restrict first; see `Draft.no_cloud`."""
    stated = list(_stated(draft))
    for place, value in stated:
        if place in CHECKS or _changes_requests(place, value):
            why = CHECKS.get(place, "requests were read, and perhaps changed or refused")
            draft.no_cloud.append(place)
            message = f"{why}: no route leads to a cloud backend"
            draft.notes.refused(place, message, _TAKE_OUT)
    for place, value in stated:
        if place in draft.no_cloud or place in _CARRIED:
            continue
        if place in WHO:
            draft.notes.refused(place, WHO[place], _TAKE_OUT)
        elif [place, value] != ["router_settings.routing_strategy", "simple-shuffle"]:
            draft.notes.differs(place, OTHERWISE.get(place, "is not carried"))


def _stated(draft: Draft) -> list[tuple[str, Any]]:
    found = []
    for key, value in draft.plain.items():
        if key in _SECTIONS and isinstance(value, dict):
            found += [(f"{key}.{name}", inner) for name, inner in value.items()]
        elif key not in _READ:
            found.append((key, value))
    return [(place, value) for place, value in found if value not in (None, False, [], {}, "")]


def carried_settings(draft: Draft) -> list[str]:
    """Return the places of settings that are stated and carried."""
    return [place for place, _ in _stated(draft) if place in _CARRIED]


def _changes_requests(place: str, value: Any) -> bool:
    if place != "litellm_settings.callbacks":
        return False
    names = value if isinstance(value, list) else [value]
    return any(part in str(name) for name in names for part in _CALLBACKS)


def deadlines(draft: Draft) -> dict[str, Any]:
    """Return the proxy's deadlines: the longest that is stated, to the first token."""
    found = []
    for place in (
        "router_settings.timeout",
        "router_settings.stream_timeout",
        "litellm_settings.request_timeout",
    ):
        section, _, name = place.partition(".")
        value = draft.section(section).get(name)
        if value is None:
            continue
        if seconds(value) is None:
            draft.notes.refused(place, f"{value!r} is not seconds", "write a number")
        else:
            found.append((value, place))
    if not found:
        return {}
    value, place = max(found)
    message = f"is timeouts.firstToken {value}s: a response that has begun is not cut by it"
    draft.notes.differs(place, message)
    return {"timeouts": {"firstToken": f"{value}s"}}
