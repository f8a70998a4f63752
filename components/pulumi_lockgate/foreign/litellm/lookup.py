"""What a name means to LiteLLM's router, and whose fallbacks a name has.

A name is an alias first, then a model_name, an id, a pattern (the longest first), or what a
deployment asks for; one that is none of these is the first fallback of "*". Where that hangs on
LiteLLM's own table of models, which says that gpt-4o is openai's, the meaning is not certain.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import evolve, frozen

from pulumi_lockgate.foreign.litellm.config import Config, Deployment, Entry
from pulumi_lockgate.foreign.litellm.provider_names import PROVIDERS

EVERY: Final = "*"
_COUNTED: Final = "*+?\\^$|()"


@frozen
class Meaning:
    """The deployments that a name may be served by, none where LiteLLM refuses it.

    `via`: the alias or the model_name that it goes by, in words.
    """

    deployments: tuple[Deployment, ...]
    via: str
    certain: bool = True

    @property
    def cloud(self) -> Deployment | None:
        """The first of them in the cloud."""
        return next((one for one in self.deployments if one.tier == "cloud"), None)


@frozen
class Names:
    """Looks up names in one config."""

    config: Config

    def meaning(self, name: str) -> Meaning:
        """Return what a name means."""
        config = self.config
        target = config.aliases.get(name, name)
        via = f"model_name {target}" if target == name else f"alias {name}: {target}"
        if target in config.groups:
            return self._of(target, via)
        every = config.deployments
        known = tuple(one for one in every if one.ident == target)
        if known:
            return Meaning(known, f"model_info.id {target}")
        pattern = next(self._fitting(target), None)
        if pattern is not None:
            return self._of(pattern, f"model_name {pattern}")
        found = tuple(one for one in every if one.model == target)
        via = f"model {target} of a deployment"
        if not found:
            default = self._default()
            found, via = (
                config.groups.get(default, ()),
                f"the first fallback of every model, {default}",
            )
        inferred = tuple(self._inferred(target))
        if inferred:
            found, via = (*found, *inferred), "LiteLLM's own table of models"
        return Meaning(found, via, certain=not inferred)

    def is_taken(self, name: str) -> bool:
        """Whether LiteLLM's proxy takes a request for a name, be it that nothing serves it."""
        config = self.config
        target = config.aliases.get(name, name)
        if target not in config.groups:
            pattern = next(self._fitting(target), target)
            known = [one.ident for one in config.deployments]
            known += [one.model for one in config.deployments]
            if pattern not in config.groups or target in known:
                return name in config.aliases or target in known or bool(self.patterns())
            target = pattern
        return bool(config.groups[target])  # none where each is blocked

    def _of(self, group: str, via: str) -> Meaning:
        """Return the meaning of a model_name.

        Behind a pattern what has no order, beside what has one, may never be asked.
        """
        members = self.config.groups[group]
        ordered = tuple(one for one in members if one.order is not None)
        if EVERY not in group or len(ordered) in {0, len(members)}:
            return Meaning(members, via)
        others = tuple(one for one in members if one.order is None)
        found = Meaning((*ordered, *others), via)
        return evolve(found, certain=found.cloud is None or found.cloud in ordered)

    def _default(self) -> str:
        entries = self.config.lists.fallbacks or ()
        stated = (e.targets[0] for e in entries if e.key == EVERY and e.targets)
        return next((first.name for first in stated if first.plain), "")

    def patterns(self) -> list[str]:
        """Return the names with a star, those that are tried first to the front."""
        return sorted(
            (group for group in self.config.groups if EVERY in group),
            key=lambda group: (len(_regex(group)), sum(_regex(group).count(c) for c in _COUNTED)),
            reverse=True,
        )

    def _fitting(self, name: str) -> Iterator[str]:
        return (pattern for pattern in self.patterns() if re.match(_regex(pattern), name))

    def _inferred(self, name: str) -> Iterator[Deployment]:
        """Yield what a pattern of some provider's may hold, were `name` of its models."""
        for pattern in self.patterns():
            if any(re.match(_regex(pattern), f"{one}/{name}") for one in (*PROVIDERS, "None")):
                yield from self.config.groups[pattern]


def _regex(pattern: str) -> str:
    """Return LiteLLM's own pattern: it need not fit to the end of a name."""
    return re.escape(pattern).replace(r"\*", "(.*)")


@frozen
class Chain:
    """The entry that a name has in a list. `certain`: not by LiteLLM's own table of models."""

    entry: Entry
    certain: bool = True


def chains(entries: Iterable[Entry], names: Iterable[str]) -> list[Chain]:
    """Return what `names` have in a list: the first that has its own counts, else the last "*".

    More than one only where that is not certain.
    """
    entries, maybe = tuple(entries), list[Chain]()
    for name in names:
        own = _own(entries, name)
        if own is not None:
            return [*maybe, Chain(own, certain=not maybe)]
        maybe += [Chain(e, certain=False) for e in entries if _perhaps(e.key, name)]
    generic = [entry for entry in entries if entry.key == EVERY]
    return [*maybe, *(Chain(entry, certain=not maybe) for entry in generic[-1:])]


def _own(entries: tuple[Entry, ...], name: str) -> Entry | None:
    exact = next((entry for entry in entries if entry.key == name), None)
    prefix, slash, _ = name.partition("/")
    if exact is not None or not slash or prefix not in PROVIDERS:
        return exact
    bare = name.replace(f"{prefix}/", "")
    return next((entry for entry in reversed(entries) if entry.key == bare), None)


def _perhaps(key: str, name: str) -> bool:
    """Whether `key` is `name` with a provider before it, which LiteLLM may know for its own."""
    prefix, _, bare = key.partition("/")
    return bare == name and "/" not in name and prefix in PROVIDERS
