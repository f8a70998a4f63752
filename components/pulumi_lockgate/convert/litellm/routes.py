"""Which backends each model name of a LiteLLM config meets, and in which order.

A name's chain is LiteLLM's: the deployments of its group by `order`, then those of its fallbacks.
Whatever is left out of it never sends a request where it did not go: what came after it was asked
only when it failed, so nothing in the cloud comes after it here, and where it may have been local,
nothing in the cloud stands beside it either. A name that nothing is left of is refused.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

from attrs import define, field
from lockgate.policy.glob import escaped
from lockgate.policy.spec.model_router import DEFAULT_SENSITIVE

from pulumi_lockgate.convert.litellm.deployment import slug
from pulumi_lockgate.convert.litellm.draft import Draft, Entry
from pulumi_lockgate.convert.litellm.fallbacks import EVERY, After
from pulumi_lockgate.convert.litellm.weights import give_weights

SENSITIVE_RULE: Final = "sensitive-stays-local"
_DEPTH: Final = 5
"""How many parts a model name may have for a pattern: our star ends at a slash, LiteLLM's not."""

Route = dict[str, Any]


@define
class Chain:
    """The entries that a name meets, and whether something in the cloud was kept out of it."""

    entries: list[Entry] = field(factory=list)
    shut: bool = False
    kept_out: list[str] = field(factory=list)

    def add(self, step: list[Entry], *, no_cloud: bool) -> None:
        """Add entries that are asked alike."""
        lost = [entry for entry in step if entry.backend is None]
        cloudless = no_cloud or self.shut or any(entry.tier != "cloud" for entry in lost)
        for entry in step:
            if entry.backend is None:
                continue
            if cloudless and entry.tier == "cloud":
                self.kept_out.append(entry.name)
            elif entry not in self.entries:
                self.entries.append(entry)
        self.shut = self.shut or bool(lost)


def sensitive_rule(draft: Draft) -> dict[str, Any]:
    """Return the rule that stands first: sensitive requests stay local, or are refused."""
    local = [entry.name for entry in draft.carried() if entry.tier == "local"]
    rule: dict[str, Any] = {"name": SENSITIVE_RULE}
    rule["match"] = {"dataClassification": list(DEFAULT_SENSITIVE)}
    if local:
        message = f"rule {SENSITIVE_RULE} is written first: LiteLLM knew no labels"
        draft.notes.differs("model_list", message)
        return {**rule, "route": {"backends": local}, "failClosed": True}
    message = f"no backend is local: rule {SENSITIVE_RULE} refuses sensitive requests"
    draft.notes.differs("model_list", message)
    return {**rule, "route": {"refuse": True}}


def rules(draft: Draft, after: After) -> Iterator[dict[str, Any]]:
    """Yield a rule for each set of names that are served alike; patterns last, longest first."""
    taken = {SENSITIVE_RULE}
    wild = [pattern for pattern in after.patterns if pattern != EVERY]
    exact = dict.fromkeys([*draft.groups, *after.aliases, *after.fallbacks, *after.longer])
    served: dict[tuple[str, ...], list[str]] = {}
    for name in exact:
        if EVERY not in name and (name in after.aliases or after.target(name) in draft.groups):
            key = (after.target(name), *after.following(name), "", *after.longer_than(name))
            served.setdefault(key, []).append(name)
    for names in served.values():
        yield from _rule(draft, after, names, [escaped(n) for n in names], taken)
    for name in wild:
        if not _is_prefix(name):
            message = f"{name!r}: a star may stand at the end of a name only"
            draft.notes.refused(draft.groups[name][0].path, message, "write an entry for each name")
            return
        yield from _rule(draft, after, [name], list(_patterns(name)), taken)
    if EVERY in draft.groups:
        yield from _rule(draft, after, [EVERY], [], taken)


def _rule(
    draft: Draft, after: After, names: list[str], models: list[str], taken: set[str]
) -> Iterator[dict[str, Any]]:
    route = _route(draft, after, names[0])
    rule: dict[str, Any] = {"name": slug("default" if names == [EVERY] else names[0], taken)}
    rule |= {"match": {"models": models}} if models else {}
    if route is not None:
        yield {**rule, "route": route, "failClosed": True}
    elif models:
        yield {**rule, "route": {"refuse": True}}


def _route(draft: Draft, after: After, name: str) -> Route | None:
    """Return where a name goes, None where nothing is left of it."""
    group = draft.groups.get(after.target(name), [])
    no_cloud = bool(draft.no_cloud)
    chain = Chain()
    levels = list(_levels(group))
    for level in levels:
        chain.add(level, no_cloud=no_cloud)
    own = len(chain.entries)
    _add_fallbacks(draft, after, name, chain)
    if chain.kept_out and group and not no_cloud:
        names = ", ".join(dict.fromkeys(chain.kept_out))
        message = f"{name!r} does not go to {names}: what is asked before is left out"
        draft.notes.refused(group[0].path, message, "have that carried, or write the rule yourself")
    if not chain.entries:
        return None
    route: Route = {"backends": [entry.name for entry in chain.entries]}
    if own > 1 and len(levels) == 1 and own == len(chain.entries):
        give_weights(draft, chain.entries)
        route["strategy"] = "weighted"
    elif own > 1 and any(len(level) > 1 for level in levels):
        message = f"deployments of {name!r} are asked in order, not spread: others come after them"
        draft.notes.differs(group[0].path, message)
    return route


def _add_fallbacks(draft: Draft, after: After, name: str, chain: Chain) -> None:
    no_cloud = bool(draft.no_cloud)
    guarded = draft.section("general_settings").get("enforce_fallback_model_access") is True
    for other in after.following(name):
        for level in _levels(draft.groups[other]):
            chain.add(level, no_cloud=no_cloud or guarded)
    for other in after.longer_than(name):
        entries = draft.groups[other]
        known = {_server(entry) for entry in chain.entries}
        strange = [e for e in entries if e.tier != "local" and _server(e) not in known]
        if strange:
            place = "litellm_settings.context_window_fallbacks"
            message = f"{name!r} to {other!r}: there for long prompts only, here on every failure"
            draft.notes.refused(place, message, "list it under `fallbacks`, where that is right")
        else:
            chain.add(entries, no_cloud=no_cloud)


def _server(entry: Entry) -> tuple[str | None, str | None]:
    external = (entry.backend or {}).get("external", {})
    return external.get("provider"), external.get("url")


def _levels(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield entries by LiteLLM's order, those without one last; local ones first in each."""

    def level(entry: Entry) -> tuple[bool, float]:
        return entry.order is None, entry.order or 0.0

    for _, found in groupby(sorted(entries, key=level), key=level):
        yield sorted(found, key=lambda entry: entry.tier != "local")


def _is_prefix(pattern: str) -> bool:
    return pattern.index(EVERY) == len(pattern) - 1


def _patterns(name: str) -> Iterator[str]:
    bare = escaped(name.removesuffix(EVERY))
    return (bare + "/".join(EVERY * parts) for parts in range(1, _DEPTH + 1))
