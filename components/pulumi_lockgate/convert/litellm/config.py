"""Imports a LiteLLM proxy's config.yaml: a group of deployments becomes a rule over backends.

https://docs.litellm.ai/docs/proxy/configs has the format. A request for a model_name goes to one of
its deployments, then to those of its fallbacks; a name that no group has is refused there and here.
Whatever is not carried is listed; what restricted requests, and is not carried, is refused.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from attrs import define, field
from lockgate.policy.glob import escaped
from lockgate.policy.loaded import nearest_line
from lockgate.policy.reading.document import Node
from lockgate.policy.reading.load import STACK_KEY
from lockgate.policy.reading.problem import PolicyRefusedError, Problem
from lockgate.policy.reading.structure import plain
from lockgate.policy.spec.model_router import DEFAULT_SENSITIVE

from pulumi_lockgate.convert.difference import Imported, Notes, inside, problems_of
from pulumi_lockgate.convert.litellm.deployment import Deployment, backend_of, slug

SENSITIVE_RULE: Final = "sensitive-stays-local"
REFUSED: Final = {
    "include": "what other files say is not read",
    "guardrails": "content was checked or masked there, and is not here",
    "litellm_settings.guardrails": "content was checked or masked there, and is not here",
    "router_settings.enable_tag_filtering": "requests were kept to deployments by tag",
}
"""Settings whose loss could send a request, or a text, where it did not go."""
OTHERWISE: Final = {
    "router_settings.routing_strategy": "deployments are spread by weight, or asked in order",
    "general_settings.master_key": "clients need no key here: keep them apart by the network",
    "litellm_settings.drop_params": "a field that a model cannot take is its own to refuse",
    "litellm_settings.num_retries": "repeats follow the retry law of docs/data-path.md",
    "router_settings.num_retries": "repeats follow the retry law of docs/data-path.md",
    "router_settings.allowed_fails": "breakers open after five failures in a row",
    "router_settings.cooldown_time": "proxy.quarantineDuration is the longest time out",
}
"""Settings that are not imported, each with what holds instead."""


@define
class _Config:
    """The import in progress. `groups` has the backends of each model_name, in order."""

    name: str
    plain: dict[str, Any]
    lines: dict[str, int]
    notes: Notes = field(factory=Notes)
    backends: list[dict[str, Any]] = field(factory=list)
    groups: dict[str, list[str]] = field(factory=dict)
    left_out: set[str] = field(factory=set)
    places: dict[str, str] = field(factory=dict)

    def section(self, name: str) -> dict[str, Any]:
        """Return a section's settings, empty where it is absent."""
        section = self.plain.get(name)
        return section if isinstance(section, dict) else {}


def import_litellm(
    documents: tuple[Node, ...],
    name: str,
    tiers: Mapping[str, str] | None = None,
    litellm_url: str | None = None,  # noqa: ARG001 - only the import from LLMKube reads it
) -> Imported:
    """Return a LiteLLM config as a stack's; PolicyRefusedError where it is no such config."""
    config = _read(documents, name)
    _deployments(config, tiers or {})
    rules = list(_rules(config))
    _settings(config)
    spec: dict[str, Any] = {"backends": config.backends, "rules": rules}
    spec["proxy"] = {"replicas": 1} | _deadlines(config)
    stack = {"lockgate:name": "lockgate", STACK_KEY: spec}
    if not config.notes.refused_paths:
        _refuse_unloadable(config, stack)
    return Imported(name, stack, config.notes.differences(partial(nearest_line, config.lines)))


def _read(documents: tuple[Node, ...], name: str) -> _Config:
    lines: dict[str, int] = {}
    if len(documents) == 1:
        _index(documents[0], "", lines)
        read = plain(documents[0])
        models = read.get("model_list") if isinstance(read, dict) else None
        if isinstance(models, list) and models and all(isinstance(m, dict) for m in models):
            return _Config(name, read, lines)
    mend = "write `model_list:` with model_name and litellm_params in each entry"
    raise PolicyRefusedError(name, (Problem("model_list", None, "is no list of models", mend),))


def _index(node: Node, path: str, lines: dict[str, int]) -> None:
    if node.line is not None:
        lines.setdefault(path, node.line)
    if node.is_mapping:
        for member in node.value:
            inner = f"{path}.{member.key}" if path else member.key
            if member.line is not None:
                lines[inner] = member.line
            _index(member.node, inner, lines)
    elif isinstance(node.value, tuple):
        for number, item in enumerate(node.value):
            _index(item, f"{path}[{number}]", lines)


# -- backends


def _deployments(config: _Config, tiers: Mapping[str, str]) -> None:
    taken: set[str] = set()
    seen: set[str] = set()
    for number, entry in enumerate(config.plain["model_list"]):
        path, group = f"model_list[{number}]", entry.get("model_name")
        params, info = entry.get("litellm_params"), entry.get("model_info")
        mode = info.get("mode") if isinstance(info, dict) else None
        if not isinstance(group, str) or not group or not isinstance(params, dict):
            mend = "write `model_name: NAME` and `litellm_params: { model: PROVIDER/MODEL }`"
            config.notes.refused(path, "has no model_name or no litellm_params", mend)
            continue
        if mode not in (None, "chat"):
            config.notes.differs(path, f"is for {mode}, not for chat: left out")
            config.left_out.add(group)
            continue
        deployment = Deployment(path, slug(group, taken), group, params)
        seen |= {deployment.name, group}
        for other in entry.keys() - {"model_name", "litellm_params", "model_info"}:
            config.notes.differs(f"{path}.{other}", "is not carried")
        backend = backend_of(deployment, tiers, config.notes)
        members = config.groups.setdefault(group, [])
        if backend is not None:
            if not members and deployment.name != group:
                backend["displayName"] = group
            weight = _weight(params, path, config.notes)
            backend |= {"weight": weight} if weight != 1 else {}
            config.backends.append(backend)
            config.places[f"backends[{len(config.backends) - 1}]"] = path
            members.append(deployment.name)
    for name in tiers.keys() - seen:
        config.notes.refused("model_list", f"--tier names nothing called {name!r}", "name a model")


def _weight(params: Mapping[str, Any], path: str, notes: Notes) -> int:
    weight = params.get("weight", 1)
    if isinstance(weight, int) and not isinstance(weight, bool) and weight >= 0:
        return weight
    place = f"{path}.litellm_params.weight"
    notes.refused(place, f"{weight!r} is not a whole number", "write one, 0 or more")
    return 1


# -- rules


def _rules(config: _Config) -> Iterator[dict[str, Any]]:
    local = [b["name"] for b in config.backends if b["tier"] == "local"]
    if local:
        message = f"rule {SENSITIVE_RULE} is written first: LiteLLM knew no labels"
        config.notes.differs("model_list", message)
        yield {
            "name": SENSITIVE_RULE,
            "match": {"dataClassification": list(DEFAULT_SENSITIVE)},
            "route": {"backends": local},
            "failClosed": True,
        }
    elif config.backends:
        message = "no backend is local: sensitive requests are refused, and check says so"
        config.notes.differs("model_list", message)
    taken, fallbacks = {SENSITIVE_RULE}, _fallbacks(config)
    aliases = _aliases(config)
    for group, names in config.groups.items():
        further = _further(config, fallbacks, group)
        chain = list(dict.fromkeys([*names, *further]))
        route: dict[str, Any] = {"backends": chain}
        if len(names) > 1 and not further:
            route["strategy"] = "weighted"
        elif len(names) > 1:
            message = f"{group!r} has fallbacks: its deployments are asked in order, not spread"
            config.notes.differs("router_settings.fallbacks", message)
        models = [escaped(name) for name in (group, *aliases.get(group, ()))]
        rule = {"name": slug(group, taken), "match": {"models": models}, "route": route}
        yield rule | {"failClosed": True}


def _fallbacks(config: _Config) -> dict[str, list[str]]:
    """Return the groups asked after each group, as LiteLLM's router takes them."""
    following: dict[str, list[str]] = {}
    for section in ("litellm_settings", "router_settings"):
        place = f"{section}.fallbacks"
        stated = config.section(section).get("fallbacks") or []
        for entry in stated if isinstance(stated, list) else [None]:
            if not isinstance(entry, dict) or not all(isinstance(v, list) for v in entry.values()):
                mend = "write `fallbacks: [{ MODEL: [OTHER] }]`"
                config.notes.refused(place, "is no list of fallbacks", mend)
                continue
            for group, others in entry.items():
                if group in config.left_out and group not in config.groups:
                    continue
                _check_groups(config, place, [group, *others])
                following[group] = _known(config, others)
        default = config.section(section).get("default_fallbacks") or []
        place = f"{section}.default_fallbacks"
        if not isinstance(default, list):
            config.notes.refused(place, "is no list", "write `default_fallbacks: [MODEL]`")
            continue
        _check_groups(config, place, default)
        for group in config.groups:
            following.setdefault(group, _known(config, default))
    return following


def _further(config: _Config, fallbacks: Mapping[str, list[str]], group: str) -> list[str]:
    others = fallbacks.get(group, [])
    return [name for other in others if other != group for name in config.groups[other]]


def _known(config: _Config, names: list[Any]) -> list[str]:
    return [name for name in names if isinstance(name, str) and name in config.groups]


def _check_groups(config: _Config, place: str, names: list[Any]) -> None:
    for name in names:
        if not isinstance(name, str) or name not in config.groups:
            known = ", ".join(config.groups)
            config.notes.refused(place, f"there is no chat model {name!r}", f"use one of {known}")


def _aliases(config: _Config) -> dict[str, list[str]]:
    aliases: dict[str, list[str]] = {}
    stated = config.section("router_settings").get("model_group_alias") or {}
    place = "router_settings.model_group_alias"
    if not isinstance(stated, dict):
        config.notes.refused(place, "is no mapping", "write `model_group_alias: { ALIAS: MODEL }`")
        return aliases
    for alias, target in stated.items():
        group = target.get("model") if isinstance(target, dict) else target
        _check_groups(config, place, [group])
        if alias not in config.groups and isinstance(group, str):
            aliases.setdefault(group, []).append(alias)
    return aliases


# -- settings


_CARRIED: Final = frozenset(
    {
        "litellm_settings.fallbacks",
        "litellm_settings.default_fallbacks",
        "litellm_settings.request_timeout",
        "router_settings.fallbacks",
        "router_settings.default_fallbacks",
        "router_settings.model_group_alias",
        "router_settings.timeout",
    }
)
_SECTIONS: Final = ("litellm_settings", "router_settings", "general_settings")


def _settings(config: _Config) -> None:
    """Note what becomes of every setting that is not imported."""
    for key, stated in config.plain.items():
        if key == "model_list":
            continue
        if key in _SECTIONS and isinstance(stated, dict):
            for name, value in stated.items():
                _setting(config, f"{key}.{name}", value)
        elif stated:
            _setting(config, key, stated)


def _setting(config: _Config, place: str, value: Any) -> None:
    if place in _CARRIED or value is None or value is False or value == []:
        return
    if place in REFUSED:
        config.notes.refused(place, REFUSED[place], "leave it out, where its loss is right")
    elif [place, value] != ["router_settings.routing_strategy", "simple-shuffle"]:
        config.notes.differs(place, OTHERWISE.get(place, "is not carried"))


def _deadlines(config: _Config) -> dict[str, Any]:
    for place in ("router_settings.timeout", "litellm_settings.request_timeout"):
        section, _, name = place.partition(".")
        value = config.section(section).get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            config.notes.differs(place, f"is proxy.timeouts.total {value}s, over all attempts")
            return {"timeouts": {"total": f"{value}s"}}
        if value is not None:
            config.notes.refused(place, f"{value!r} is not seconds", "write a number")
    return {}


# -- the end


def _refuse_unloadable(config: _Config, stack: dict[str, Any]) -> None:
    """Refuse what our own loader refuses in the result, at its place in the source."""
    for problem in problems_of(stack, config.name):
        path = problem.path.removeprefix(f"{STACK_KEY}.")
        places = (place for ours, place in config.places.items() if inside(path, [ours]))
        message = f"{path} {problem.message}"
        config.notes.refused(next(places, "model_list"), message, problem.suggestion)
