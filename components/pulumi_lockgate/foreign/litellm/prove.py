"""Proves that no request for local work reaches a cloud deployment, as LiteLLM runs a config.

LiteLLM knows no labels. What must stay local is a request for a model of which every deployment is
local, or for one that the reader names. Who sends it may write what LiteLLM reads in a body.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from attrs import frozen
from lockgate.policy.reading.problem import PolicyRefusedError, Problem

from pulumi_lockgate.foreign.litellm.config import Config, Deployment
from pulumi_lockgate.foreign.litellm.lookup import EVERY, Meaning, Names
from pulumi_lockgate.foreign.litellm.provider_names import PROVIDERS
from pulumi_lockgate.foreign.litellm.walk import Hop, Walk, with_body
from pulumi_lockgate.foreign.report import Example, Failure, ForeignFinding, ForeignReport

PRODUCT: Final = "LiteLLM"
URL: Final = "http://localhost:4000"
_SAMPLES: Final = ("anything", "x", "0", "")
"""What stands for a star in a name that is asked for."""
_DOUBT: Final = "whether a request for {} leaks hangs on what the file does not say"
_KEY: Final = ("authorization", "Bearer $LITELLM_KEY")
_KEYS: Final = (
    "keys, teams and models in LiteLLM's database are not in the file: the caller's key may ask "
    "for every model of it"
)
TRUSTED: Final = "taken for granted: no caller's body names fallbacks of its own"


def prove_litellm(
    config: Config, local: tuple[str, ...] = (), *, callers_route: bool = True
) -> ForeignReport:
    """Return what is proved of a config. `local`: the models that must stay local, by name.

    Without them every model whose deployments are all local must. `callers_route`: a body may name
    fallbacks, as it may in LiteLLM. PolicyRefusedError where nothing must stay local.
    """
    kept = _kept(config, local)
    proof = _Proof(config, Names(config))
    asked = [name for one in kept for name in proof.asked_for(one)]
    findings = [found for name in asked for found in proof.by_config(name)]
    if callers_route:
        findings += proof.by_body(asked)
    return ForeignReport(
        product=PRODUCT,
        source=config.source,
        findings=tuple(findings),
        sensitive=kept,
        notes=(*config.notes, _KEYS, *(() if callers_route else (TRUSTED,))),
        mend=(f"mend: lockgate import {config.source} --out policy.yaml, then lockgate serve",),
    )


def _kept(config: Config, local: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that must stay local: model_names, and what else leads to them."""
    also = {**config.renames, **config.aliases}
    if local:
        known = dict.fromkeys((*config.groups, *also))
        for pattern in local:
            if not any(name == pattern or fnmatchcase(name, pattern) for name in known):
                mend = f"name one of {', '.join(known)}"
                problem = Problem("model_list", None, f"--local names no model {pattern!r}", mend)
                raise PolicyRefusedError(config.source, (problem,))
        return tuple(
            name
            for name in known
            if any(name == pattern or fnmatchcase(name, pattern) for pattern in local)
        )
    own = [name for name, members in config.groups.items() if _is_local(members)]
    own += [n for n, target in also.items() if target in own and n not in config.groups]
    if not own:
        mend = "pass --tier NAME=local for what is yours, or --local NAME for what must stay local"
        problem = Problem("model_list", None, "no model has local deployments only", mend)
        raise PolicyRefusedError(config.source, (problem,))
    return tuple(dict.fromkeys(own))


def _is_local(members: tuple[Deployment, ...]) -> bool:
    return bool(members) and all(one.tier == "local" for one in members)


@frozen
class _Proof:
    config: Config
    names: Names

    def asked_for(self, kept: str) -> list[str]:
        """Return the names that a caller asks for: `kept`, or some that a pattern takes."""
        if EVERY not in kept:
            return [kept]
        lists = self.config.lists
        stated = (lists.fallbacks, lists.longer, lists.filtered)
        keys = [entry.key for found in stated for entry in found or ()]
        keys += [key.partition("/")[2] for key in keys if "/" in key]
        prefix = kept.partition("/")[0]
        if prefix in PROVIDERS:
            keys += [f"{prefix}/{key}" for key in keys]
        wanted = f"model_name {kept}"
        candidates = [kept.replace(EVERY, _SAMPLES[0]), *(key for key in keys if EVERY not in key)]
        return [n for n in dict.fromkeys(candidates) if self.names.meaning(n).via == wanted]

    # -- what the config does by itself

    def by_config(self, asked: str) -> Iterator[ForeignFinding]:
        """Yield the shortest way by which a request for `asked` leaks without any help."""
        name = self.config.renames.get(asked, asked)
        if not self.names.is_taken(name):
            return
        walk = Walk(self.config, self.config.lists, name, self.config.most_hops)
        doubtful = None
        for path in walk.paths():
            end = path[-1].target if path else None
            meaning = self.names.meaning(end.name if end else name)
            reached = _reached(meaning, end.elsewhere if end else None)
            if reached is None:
                continue
            certain = meaning.certain and all(
                hop.chain.certain and self.names.meaning(hop.name).certain for hop in path
            )
            failing = walk.confirmed(path)
            if certain and failing is not None:
                yield self._leak(asked, path, meaning, reached, failing)
                return
            doubtful = doubtful or self._doubt(asked, path, meaning, reached)
        if doubtful is not None:
            yield doubtful

    def _leak(
        self,
        asked: str,
        path: tuple[Hop, ...],
        meaning: Meaning,
        reached: str,
        failing: dict[str, Failure],
    ) -> ForeignFinding:
        elsewhere = any(hop.target.elsewhere for hop in path)
        place, via, because = self._way(asked, path, meaning)
        return ForeignFinding(
            kind="leak",
            path=place,
            line=self.config.line_of(place),
            subject=asked,
            message=f"a request for {asked}",
            via=via,
            reaches=reached,
            because=because,
            example=self._example(
                asked, {}, tuple(failing.items()), None if elsewhere else _picked(meaning)
            ),
        )

    def _doubt(
        self, asked: str, path: tuple[Hop, ...], meaning: Meaning, reached: str
    ) -> ForeignFinding:
        place, via, because = self._way(asked, path, meaning)
        return ForeignFinding(
            kind="undecided",
            path=place,
            line=self.config.line_of(place),
            subject=asked,
            message=_DOUBT.format(asked),
            via=via,
            reaches=reached,
            because=f"{because}, it may be; write names as they stand in model_list",
        )

    def _way(self, asked: str, path: tuple[Hop, ...], meaning: Meaning) -> tuple[str, str, str]:
        """Return the place, what takes the request on, and why, in words."""
        if path:
            hop, entry = path[-1], path[-1].chain.entry
            whose = "every model" if entry.key == EVERY else entry.key
            via = f"the fallbacks of {whose} ({entry.path})"
            return entry.path, via, f"LiteLLM asks {hop.target.name} when {hop.name} does not serve"
        if asked in self.config.renames:
            place = f"litellm_settings.model_alias_map.{asked}"
            because = "LiteLLM renames what is asked for before it looks at models"
            return place, f"{place}: {self.config.renames[asked]}", because
        if asked in self.config.aliases:
            place = f"router_settings.model_group_alias.{asked}"
            return place, meaning.via, "LiteLLM looks at aliases before models"
        cloud = meaning.cloud
        place = cloud.path if cloud else "model_list"
        return place, meaning.via, "its deployments are not all local"

    # -- what a caller can do

    def by_body(self, asked: list[str]) -> Iterator[ForeignFinding]:
        """Yield the leak of a body that names fallbacks, once for all names that it works for."""
        taken = [n for n in asked if self.names.is_taken(self.config.renames.get(n, n))]
        found = [(name, target) for name in taken for target in self._targets(name)]
        if not found:
            return
        name, target = next((f for f in found if self.names.meaning(f[1]).certain), found[0])
        meaning = self.names.meaning(target)
        cloud, others = meaning.cloud, len({one for one, _ in found}) - 1
        assert cloud is not None
        more: dict[str, Any] = {"fallbacks": [target]}
        more |= {"max_fallbacks": 1} if self.config.most_hops == 0 else {}
        also = f", and for {others} more" if others else ""
        example = self._example(name, more, ((name, "any"),), _picked(meaning))
        yield ForeignFinding(
            kind="leak" if meaning.certain else "undecided",
            path=cloud.path,
            line=self.config.line_of(cloud.path),
            subject=name,
            message=f"a request for {name}{also}" if meaning.certain else _DOUBT.format(name),
            via="the fallbacks in the caller's own body",
            reaches=_words(cloud),
            because="LiteLLM obeys them, whatever the config says",
            example=example if meaning.certain else None,
        )

    def _targets(self, asked: str) -> Iterator[str]:
        """Yield names that lead to a cloud when a body for `asked` names them as fallbacks."""
        name, every = self.config.renames.get(asked, asked), self.config.deployments
        known = [group.replace(EVERY, one) for group in self.config.groups for one in _SAMPLES]
        known += [*self.config.groups, *self.config.aliases]
        known += [*(one.ident for one in every if one.ident), *(one.model for one in every)]
        for target in dict.fromkeys(known):
            lists = with_body(self.config.lists, (target,))
            walk = Walk(self.config, lists, name, max(self.config.most_hops, 1))
            if target != name and self.names.meaning(target).cloud and target in walk.tried({}):
                yield target

    def _example(
        self,
        asked: str,
        more: dict[str, Any],
        failing: tuple[tuple[str, Failure], ...],
        picked: str | None,
    ) -> Example:
        members = self.names.meaning(asked).deployments
        embeds = bool(members) and all(one.embeds for one in members)
        said: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}
        body = {"model": asked, **({"input": "hello"} if embeds else said), **more}
        return Example(
            url=f"{URL}/v1/{'embeddings' if embeds else 'chat/completions'}",
            body=body,
            shell=(_KEY,) if self.config.keyed else (),
            failing=failing,
            picked=picked,
        )


def _reached(meaning: Meaning, elsewhere: str | None) -> str | None:
    if elsewhere is not None:
        return f"{elsewhere} (cloud)"
    return None if meaning.cloud is None else _words(meaning.cloud)


def _picked(meaning: Meaning) -> str | None:
    if len(meaning.deployments) == 1:
        return None
    return f"LiteLLM picks that one of {len(meaning.deployments)} deployments"


def _words(cloud: Deployment) -> str:
    return f"{cloud.group} (cloud: {cloud.where}), {cloud.path}"
