"""Which groups LiteLLM asks after a group: its fallbacks, those for long prompts, its aliases."""

from collections.abc import Iterator
from typing import Any, Final

from attrs import define, field

from pulumi_lockgate.convert.litellm.draft import Draft

EVERY: Final = "*"
_SECTIONS: Final = ("router_settings", "litellm_settings")


@define
class After:
    """Model names by what follows them: `fallbacks` on any failure, `longer` for long prompts.

    LiteLLM looks there for the name that is asked for: a pattern among them is met by no request.

    `aliases` has the group of each name that is another's; LiteLLM looks there first. `groups` are
    all model names, `patterns` those with a star, the longest first.
    """

    groups: frozenset[str]
    patterns: tuple[str, ...]
    fallbacks: dict[str, list[str]] = field(factory=dict)
    longer: dict[str, list[str]] = field(factory=dict)
    aliases: dict[str, str] = field(factory=dict)

    def target(self, name: str) -> str:
        """Return the group that a model name means: an alias's, its own, or a pattern's."""
        if name in self.aliases:
            return self.aliases[name]
        fitting = (p for p in self.patterns if name.startswith(p.removesuffix(EVERY)))
        return name if name in self.groups else next(fitting, name)

    def following(self, name: str) -> list[str]:
        """Return the groups that are asked after `name`, in order, without its own."""
        return self._of(self.fallbacks, name)

    def longer_than(self, name: str) -> list[str]:
        """Return the groups that are asked when a prompt is too long for `name`."""
        return self._of(self.longer, name)

    def _of(self, stated: dict[str, list[str]], name: str) -> list[str]:
        keys = (EVERY,) if EVERY in name else (name, EVERY)
        found = (stated[key] for key in keys if key in stated)
        groups = [self.target(other) for other in next(found, [])]
        return [g for g in dict.fromkeys(groups) if g != self.target(name)]


def read_after(draft: Draft) -> After:
    """Return what follows each model name; what is no list of names is noted as left out."""
    patterns = sorted((g for g in draft.groups if EVERY in g), key=len, reverse=True)
    after = After(frozenset(draft.groups), tuple(patterns), aliases=_aliases(draft))
    for place, entry in _entries(draft, _place(draft, "fallbacks")):
        _add(draft, after, after.fallbacks, place, entry)
    for place, entry in _entries(draft, _place(draft, "context_window_fallbacks")):
        _add(draft, after, after.longer, place, entry)
    place = _place(draft, "default_fallbacks")
    default = _at(draft, place) or []
    if not isinstance(default, list):
        draft.notes.refused(place, "is no list", "write `default_fallbacks: [MODEL]`")
    elif default:  # which LiteLLM adds as the last "*", and the last one counts
        after.fallbacks[EVERY] = _known(draft, after, place, default)
    return after


def _place(draft: Draft, name: str) -> str:
    """Return where a list stands that LiteLLM uses: the router's own, where it has one."""
    stated = [s for s in _SECTIONS if draft.section(s).get(name)]
    for unused in stated[1:]:
        message = f"is not used, as there: {stated[0]} has its own"
        draft.notes.differs(f"{unused}.{name}", message)
    return f"{(stated or _SECTIONS)[0]}.{name}"


def _at(draft: Draft, place: str) -> Any:
    section, _, name = place.partition(".")
    return draft.section(section).get(name)


def _entries(draft: Draft, place: str) -> Iterator[tuple[str, dict[str, list[Any]]]]:
    name, stated = place.rpartition(".")[2], _at(draft, place) or []
    for entry in stated if isinstance(stated, list) else [None]:
        if isinstance(entry, dict) and all(isinstance(v, list) for v in entry.values()):
            yield place, entry
        else:
            mend = f"write `{name}: [{{ MODEL: [OTHER] }}]`"
            draft.notes.refused(place, "is no list of fallbacks", mend)


def _add(
    draft: Draft,
    after: After,
    into: dict[str, list[str]],
    place: str,
    entry: dict[str, list[Any]],
) -> None:
    """Add an entry; LiteLLM takes the first key of each, and the first for a name, the last "*"."""
    for unused in list(entry)[1:]:
        draft.notes.differs(place, f"{unused!r} is not read, as there: write an entry for each")
    for group, others in list(entry.items())[:1]:
        if group in draft.unserved and group not in draft.groups:
            continue
        if group != EVERY and after.target(group) not in draft.groups:
            _known(draft, after, place, [group])
        known = _known(draft, after, place, others)
        if group == EVERY or group not in into:
            into[group] = known


def _known(draft: Draft, after: After, place: str, names: list[Any]) -> list[str]:
    """Return those of `names` that are groups or aliases; the others are left out by name."""
    out = []
    for name in names:
        target = after.aliases.get(name, name) if isinstance(name, str) else None
        if target in draft.groups and EVERY not in str(target):
            out.append(str(name))
        elif target in draft.groups:
            draft.notes.refused(place, f"{name!r} names no one model", "name a model")
        elif not isinstance(name, str) or name not in draft.unserved:
            known = ", ".join(draft.groups) or "none"
            message = f"there is no chat model {name!r}"
            draft.notes.refused(place, message, f"use one of {known}")
    return out


def _aliases(draft: Draft) -> dict[str, str]:
    """Return the aliases; one whose group is not there keeps its name, which is then refused."""
    stated = draft.section("router_settings").get("model_group_alias") or {}
    place = "router_settings.model_group_alias"
    if not isinstance(stated, dict):
        draft.notes.refused(place, "is no mapping", "write `model_group_alias: { ALIAS: MODEL }`")
        return {}
    out = {}
    for alias, target in stated.items():
        group = target.get("model") if isinstance(target, dict) else target
        if not isinstance(group, str) or group not in draft.groups:
            known = ", ".join(draft.groups) or "none"
            message = f"there is no chat model {group!r}"
            draft.notes.refused(f"{place}.{alias}", message, f"use one of {known}")
        elif alias in draft.groups:
            message = f"{alias!r} goes to {group!r}, as there: its own deployments are not asked"
            draft.notes.differs(f"{place}.{alias}", message)
        out[alias] = str(group)
    return out
