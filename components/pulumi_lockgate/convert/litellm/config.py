"""Imports a LiteLLM proxy's config.yaml: a group of deployments becomes a rule over backends.

https://docs.litellm.ai/docs/proxy/configs has the format. A request for a model_name goes to one of
its deployments, then to those of its fallbacks; a name that no group has is refused there and here.
All that means the same here, or is safer, is carried; where a request could go elsewhere than
there, what leads to it is left out, by name.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from lockgate.policy.loaded import nearest_line
from lockgate.policy.reading.document import Node
from lockgate.policy.reading.load import STACK_KEY
from lockgate.policy.reading.problem import PolicyRefusedError, Problem
from lockgate.policy.reading.structure import plain

from pulumi_lockgate.convert.difference import Imported, inside
from pulumi_lockgate.convert.litellm.deployment import read_entry, slug
from pulumi_lockgate.convert.litellm.draft import Draft
from pulumi_lockgate.convert.litellm.fallbacks import read_after
from pulumi_lockgate.convert.litellm.routes import rules, sensitive_rule
from pulumi_lockgate.convert.litellm.settings import carried_settings, deadlines, read_settings
from pulumi_lockgate.convert.salvage import salvaged
from pulumi_lockgate.convert.tiers import without_a_backend

_DEFAULT: Final = "default"
_BACKEND: Final = re.compile(rf"{re.escape(STACK_KEY)}\.backends\[([0-9]+)\]")


def import_litellm(
    documents: tuple[Node, ...],
    name: str,
    tiers: Mapping[str, str] | None = None,
    litellm_url: str | None = None,  # noqa: ARG001 - only the import from LLMKube reads it
) -> Imported:
    """Return a LiteLLM config as a stack's; PolicyRefusedError where it is no such config."""
    draft = read_config(documents, name, tiers or {})
    read_settings(draft)
    places = _entries(draft)
    config: dict[str, Any] = {}
    if draft.carried():
        spec = _spec(draft)
        config = _loadable(draft, {"lockgate:name": "lockgate", STACK_KEY: spec})
    line_of = partial(nearest_line, draft.lines)
    return Imported(
        name, config, draft.notes.differences(line_of, places + carried_settings(draft))
    )


def read_config(documents: tuple[Node, ...], name: str, tiers: Mapping[str, str]) -> Draft:
    """Return a config as plain data with its lines; PolicyRefusedError where it is none."""
    lines: dict[str, int] = {}
    if len(documents) == 1:
        _index(documents[0], "", lines)
        read = plain(documents[0])
        models = read.get("model_list") if isinstance(read, dict) else None
        if isinstance(models, list) and models and all(isinstance(m, dict) for m in models):
            return Draft(name, read, lines, tiers)
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


def _entries(draft: Draft) -> list[str]:
    """Read every entry of model_list into its group; return the places of those for chat."""
    taken: set[str] = set()
    places, seen = [], set()
    for number, stated in enumerate(draft.plain["model_list"]):
        path, group = f"model_list[{number}]", stated.get("model_name")
        params, info = stated.get("litellm_params"), stated.get("model_info")
        info = info if isinstance(info, dict) else {}
        if not isinstance(group, str) or not group or not isinstance(params, dict):
            mend = "write `model_name: NAME` and `litellm_params: { model: PROVIDER/MODEL }`"
            draft.notes.refused(path, "has no model_name or no litellm_params", mend)
            continue
        name = slug(_DEFAULT if group == "*" else group, taken)
        seen |= {name, group}
        if info.get("mode") not in (None, "chat", "completion", "responses"):
            message = f"is for {info['mode']}, not for chat"
            draft.notes.refused(path, message, "keep LiteLLM for it")
            draft.unserved.add(group)
            continue
        if any(where.get("blocked") for where in (stated, params, info)):
            draft.notes.differs(f"{path}.blocked", "is not served there, nor here")
            draft.unserved.add(group)
            continue
        places.append(path)
        _add(draft, read_entry(draft, path, stated, name))
    for name in without_a_backend(draft.tiers, seen):
        message = f"--tier names nothing called {name!r}"
        draft.notes.refused("model_list", message, "name a model")
    return places


def _add(draft: Draft, entry: Any) -> None:
    members = draft.groups.setdefault(entry.group, [])
    first = all(other.backend is None for other in members)
    if entry.backend is not None and first and entry.group not in (entry.name, "*"):
        entry.backend["displayName"] = entry.group
    members.append(entry)


def _spec(draft: Draft) -> dict[str, Any]:
    after = read_after(draft)
    first = sensitive_rule(draft)
    routed = [first, *rules(draft, after)]
    spec: dict[str, Any] = {"backends": [], "rules": routed}
    last = routed[-1]
    if "match" not in last and last["route"].get("backends", [])[1:] == []:
        spec["defaultRoute"] = routed.pop()["route"]["backends"][0]
    spec["backends"] = [entry.backend for entry in draft.carried()]
    draft.places |= {entry.name: entry.path for entry in draft.carried()}
    spec["proxy"] = {"replicas": 1} | deadlines(draft)
    return spec


def _loadable(draft: Draft, config: dict[str, Any]) -> dict[str, Any]:
    """Return `config` without what our own loader refuses, each at its place in the source."""

    def left_out(problem: Problem) -> None:
        found = _BACKEND.match(problem.path)
        router = config[STACK_KEY]
        name = router["backends"][int(found[1])]["name"] if found else ""
        place = draft.places.get(name, "model_list")
        message = f"{problem.path.removeprefix(f'{STACK_KEY}.')} {problem.message}"
        if place == "model_list" or not inside(place, draft.notes.refused_paths):
            draft.notes.refused(place, message, problem.suggestion)

    return salvaged(config, draft.name, left_out)
