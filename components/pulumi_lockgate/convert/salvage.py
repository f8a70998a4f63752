"""Takes out of an imported config what does not load, so that all the rest can be written.

Nothing goes where it did not for it. A backend that is taken out takes the cloud backends after it
out of its rules, since they were asked only when it failed; a rule that has none left refuses what
it takes; and a rule whose match does not load ends the attempt, since what it took would go on to
the rules after it. So does a fault in what is sensitive.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from lockgate.policy.reading.load import STACK_KEY
from lockgate.policy.reading.problem import Problem

from pulumi_lockgate.convert.difference import problems_of

_ROUNDS: Final = 200
_PLACE: Final = re.compile(r"(backends|rules)\[([0-9]+)\]\.?([A-Za-z]*)")
_OF_A_ROUTE: Final = frozenset({"name", "match"})
_REMOVABLE: Final = re.compile(
    r"(?:policy\.(?:auth|budgets|classification\.mode|auditLog\.[A-Za-z]+)|(?:proxy|endpoint)\.[A-Za-z]+)"
)
"""Settings that lead no request elsewhere when they are taken out."""


def salvaged(
    config: dict[str, Any], name: str, left_out: Callable[[Problem], object]
) -> dict[str, Any]:
    """Return `config` without what does not load, empty where nothing is left of it.

    `left_out` is given each problem that had something taken out, before that is done.
    """
    for _ in range(_ROUNDS):
        problems = problems_of(config, name)
        if not problems:
            return config
        problem = problems[0]
        left_out(problem)
        if not _taken_out(config, problem.path):
            break
    return {}


def _taken_out(config: dict[str, Any], path: str) -> bool:
    """Take out what stands at `path`; return whether that leaves a config that means no more."""
    router = config.get(STACK_KEY)
    ours = path.removeprefix(f"{STACK_KEY}.")
    if not isinstance(router, dict) or ours == path:
        return path != STACK_KEY and config.pop(path, None) is not None
    place = _PLACE.match(ours)
    if place is None:
        return _setting_taken_out(router, ours)
    kind, number, part = place[1], int(place[2]), place[3]
    if kind == "backends":
        without(router, router["backends"][number]["name"])
        return bool(router["backends"])
    if part in _OF_A_ROUTE:
        return False
    refuse(router["rules"][number])
    return True


def _setting_taken_out(router: dict[str, Any], path: str) -> bool:
    place = _REMOVABLE.match(path)
    if place is None:
        return False
    *sections, key = place[0].split(".")
    inner: Any = router
    for section in sections:
        inner = inner.get(section) if isinstance(inner, dict) else None
    return isinstance(inner, dict) and inner.pop(key, None) is not None


def without(router: dict[str, Any], backend: str) -> None:
    """Take a backend out of a spec in wire form, and of every route."""
    router["backends"] = [b for b in router["backends"] if b["name"] != backend]
    cloud = {b["name"] for b in router["backends"] if b.get("tier") == "cloud"}
    for rule in router.get("rules", ()):
        route = rule["route"]
        names = route.get("backends", ())
        if backend not in names:
            continue
        spread = route.get("strategy", "primary-fallback") != "primary-fallback"
        kept = 0 if spread else names.index(backend)
        others = [name for name in names[kept:] if name != backend and name not in cloud]
        route["backends"] = [*names[:kept], *others]
        if not route["backends"]:
            refuse(rule)
    if router.get("defaultRoute") == backend:
        del router["defaultRoute"]


def refuse(rule: dict[str, Any]) -> None:
    """Have a rule in wire form refuse what it takes."""
    match = rule.get("match") or {}
    for key in ("requiredCapabilities", "latencySLOMs"):
        match.pop(key, None)
    kept = {key: rule[key] for key in ("name", "match") if rule.get(key)}
    rule.clear()
    rule.update({**kept, "route": {"refuse": True}})
