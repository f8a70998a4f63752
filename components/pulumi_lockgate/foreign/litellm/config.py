"""A LiteLLM config as LiteLLM reads it: deployments, names, and what is asked after what.

What would keep LiteLLM from starting is refused here too. Read from LiteLLM 1.110.2, and held to it
by tests/components/foreign/test_real_litellm.py.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from attrs import define, field, frozen
from lockgate.policy.loaded import nearest_line
from lockgate.policy.reading.document import Node
from lockgate.policy.reading.problem import PolicyRefusedError, Problem
from lockgate.policy.spec.backends import Tier

from pulumi_lockgate.convert.litellm.config import read_config
from pulumi_lockgate.convert.litellm.deployment import slug
from pulumi_lockgate.convert.litellm.draft import Draft
from pulumi_lockgate.convert.tiers import without_a_backend
from pulumi_lockgate.foreign.litellm.places import Place, elsewhere, place_of

LISTS: Final = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
MOST_HOPS: Final = 5
"""LiteLLM's own default of max_fallbacks: from one name to the next, so often and no more."""
_SECTIONS: Final = ("router_settings", "litellm_settings")
_UNREAD: Final = {
    "include": "what other files say is not read: write the whole config into one",
    "router_settings.plugins": "one's own code routes requests: nothing can be said of it",
}
"""Settings with which nothing can be proved from the file alone."""


@frozen
class Deployment:
    """One entry of model_list.

    `number`: its index; `group`: its model_name; `model`: what LiteLLM asks for; `ident`: its
    model_info.id, where it has one; `order`: as stated, a number; `where`: its address in words.
    """

    number: int
    group: str
    model: str
    tier: Tier
    where: str
    ident: str | None = None
    order: float | None = None
    embeds: bool = False

    @property
    def path(self) -> str:
        """Its place in the file."""
        return f"model_list[{self.number}]"


@frozen
class Target:
    """A name that is asked after another's failure. `elsewhere`: an address that it brings.

    `plain`: it is written as a name, and not as the parameters of a call.
    """

    name: str
    elsewhere: str | None = None
    plain: bool = True


@frozen
class Entry:
    """One entry of a list of fallbacks: whose they are, and where it stands."""

    key: str
    targets: tuple[Target, ...]
    path: str


@frozen
class Lists:
    """What is asked after a failure: any, a prompt that is too long, content that is refused.

    None where LiteLLM has no such list, which is not the same to it as one that does not fit.
    """

    fallbacks: tuple[Entry, ...] | None = None
    longer: tuple[Entry, ...] | None = None
    filtered: tuple[Entry, ...] | None = None


@frozen
class Config:
    """A config. `aliases`: router_settings.model_group_alias; `renames`: model_alias_map.

    `groups`: the deployments of each model_name, those that are blocked left out. `keyed`: clients
    need a key. `notes`: what was taken for granted.
    """

    source: str
    groups: Mapping[str, tuple[Deployment, ...]]
    aliases: Mapping[str, str]
    renames: Mapping[str, str]
    lists: Lists
    most_hops: int = MOST_HOPS
    keyed: bool = False
    notes: tuple[str, ...] = ()
    lines: Mapping[str, int] = field(factory=dict, repr=False)

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        """Every deployment, in the order of the file."""
        found = [one for group in self.groups.values() for one in group]
        return tuple(sorted(found, key=lambda one: one.number))

    def line_of(self, path: str) -> int | None:
        """Return the line of `path`, or of the nearest thing around it."""
        return nearest_line(dict(self.lines), path)


def read(documents: tuple[Node, ...], name: str, tiers: Mapping[str, str]) -> Config:
    """Return a config. `tiers`: stated by name or pattern. PolicyRefusedError has every fault."""
    reading = _Reading(read_config(documents, name, tiers))
    found = reading.config()
    if reading.problems:
        raise PolicyRefusedError(name, tuple(reading.problems))
    return found


@define
class _Reading:
    draft: Draft
    problems: list[Problem] = field(factory=list)
    notes: dict[str, None] = field(factory=dict)

    def config(self) -> Config:
        for path, why in _UNREAD.items():
            section, _, key = path.rpartition(".")
            stated = self.draft.section(section) if section else self.draft.plain
            if stated.get(key):
                self.refuse(path, "is not read", why)
        groups = self.groups()
        return Config(
            source=self.draft.name,
            groups=groups,
            aliases=self.names("router_settings", "model_group_alias"),
            renames=self.names("litellm_settings", "model_alias_map"),
            lists=Lists(*(self.entries(name) for name in LISTS)),
            most_hops=self.most_hops(),
            keyed=bool(self.draft.section("general_settings").get("master_key")),
            notes=tuple(self.notes),
            lines=self.draft.lines,
        )

    def refuse(self, path: str, message: str, mend: str) -> None:
        line = nearest_line(self.draft.lines, path)
        self.problems.append(Problem(path, line, message, mend))

    # -- deployments

    def groups(self) -> dict[str, tuple[Deployment, ...]]:
        found: dict[str, list[Deployment]] = {}
        taken, seen = set[str](), set[str]()
        for number, stated in enumerate(self.draft.plain["model_list"]):
            path, group = f"model_list[{number}]", stated.get("model_name")
            params = stated.get("litellm_params")
            model = params.get("model") if isinstance(params, dict) else None
            if not isinstance(group, str) or not group or not isinstance(model, str):
                mend = "write `model_name: NAME` and `litellm_params: { model: PROVIDER/MODEL }`"
                self.refuse(path, "has no model_name, or no litellm_params with a model", mend)
                continue
            name = slug("default" if group == "*" else group, taken)
            seen |= {name, group}
            info = stated.get("model_info")
            info = info if isinstance(info, dict) else {}
            members = found.setdefault(group, [])
            if info.get("blocked") is not True:
                place = self.place(path, params, (name, group))
                members.append(self.deployment(number, stated, info, place))
        for name in without_a_backend(self.draft.tiers, seen):
            self.refuse("model_list", f"--tier names nothing called {name!r}", "name a model")
        return {group: tuple(members) for group, members in found.items()}

    def place(self, path: str, params: dict[str, Any], names: tuple[str, str]) -> Place:
        own = self.draft.section("router_settings").get("default_litellm_params")
        defaults = own if isinstance(own, dict) else {}
        every = {**defaults, **self.draft.credentials(params), **params}
        place = place_of(self.draft, every, names)
        if isinstance(place, str):
            self.refuse(path, place, f"pass --tier {names[0]}=cloud")
            return Place("cloud", "")
        if place.note is not None:
            self.notes[place.note.replace("NAME", names[0])] = None
        return place

    def deployment(
        self, number: int, stated: dict[str, Any], info: dict[str, Any], place: Place
    ) -> Deployment:
        params = stated["litellm_params"]
        order = params.get("order")
        numbered = isinstance(order, int | float) and not isinstance(order, bool)
        return Deployment(
            number=number,
            group=stated["model_name"],
            model=str(self.draft.resolved(params["model"])),
            tier=place.tier,
            where=place.where,
            ident=str(info["id"]) if info.get("id") is not None else None,
            order=float(order) if numbered else None,
            embeds=info.get("mode") == "embedding",
        )

    # -- what follows what

    def entries(self, name: str) -> tuple[Entry, ...] | None:
        """Return a list as LiteLLM has it: the router's own where it has one."""
        stated = [s for s in _SECTIONS if self.draft.section(s).get(name)]
        found = list(self._listed(f"{stated[0]}.{name}")) if stated else None
        if name != "fallbacks":
            return None if found is None else tuple(found)
        last = self._default()
        if last is not None:
            found = [*(found or ()), last]
        return None if found is None else tuple(found)

    def _listed(self, place: str) -> Iterator[Entry]:
        section, _, name = place.partition(".")
        stated = self.draft.section(section)[name]
        mend = f"write `{name}: [{{ MODEL: [OTHER] }}]`, an entry for each model"
        if not isinstance(stated, list):
            self.refuse(place, "is no list: LiteLLM does not start with it", mend)
            return
        for number, entry in enumerate(stated):
            path = f"{place}[{number}]"
            if not isinstance(entry, dict) or len(entry) != 1:
                self.refuse(path, "is not one model with its list", mend)
                continue
            ((key, names),) = entry.items()
            if not isinstance(names, list):
                self.refuse(path, f"{key!r} has no list of models", mend)
            else:
                yield Entry(str(key), tuple(self._targets(names, path)), path)

    def _default(self) -> Entry | None:
        """Return `default_fallbacks` as LiteLLM adds it: as the last "*"."""
        name = "default_fallbacks"
        values = [(f"{s}.{name}", self.draft.section(s).get(name)) for s in _SECTIONS]
        (own, stated), (other, process) = values
        path, value = (own, stated) if stated else (other, process)
        if value is None:
            return None
        if not isinstance(value, list):
            self.refuse(path, "is no list", "write `default_fallbacks: [MODEL]`")
            return None
        return Entry("*", tuple(self._targets(value, path)), path)

    def _targets(self, names: list[Any], path: str) -> Iterator[Target]:
        for name in names:
            if isinstance(name, str):
                yield Target(name)
            elif isinstance(name, dict) and isinstance(name.get("model"), str):
                yield Target(name["model"], elsewhere(self.draft, name), plain=False)
            else:
                self.refuse(path, f"{name!r} names no model", "write a model's name")

    def names(self, section: str, name: str) -> dict[str, str]:
        stated = self.draft.section(section).get(name) or {}
        place = f"{section}.{name}"
        refuse = partial(self.refuse, mend=f"write `{name}: {{ ALIAS: MODEL }}`")
        if not isinstance(stated, dict):
            refuse(place, "is no mapping")
            return {}
        found = {}
        for alias, target in stated.items():
            group = target.get("model") if isinstance(target, dict) else target
            if isinstance(group, str):
                found[str(alias)] = group
            else:
                refuse(f"{place}.{alias}", "names no model")
        return found

    def most_hops(self) -> int:
        stated = self.draft.section("router_settings").get("max_fallbacks")
        if stated is None:
            return MOST_HOPS
        if isinstance(stated, int) and not isinstance(stated, bool) and stated >= 0:
            return stated
        place = "router_settings.max_fallbacks"
        self.refuse(place, f"{stated!r} is no number of fallbacks", "write a whole number")
        return MOST_HOPS
