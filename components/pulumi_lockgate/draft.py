"""A router's arguments as one policy, with stand-ins for what is not known yet."""

import os
from collections.abc import Mapping
from inspect import isawaitable
from pathlib import Path
from typing import Any, Final

import pulumi
from attrs import evolve, field, frozen
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.document import from_plain
from lockgate.policy.reading.load import compiled, load_tree, place
from lockgate.policy.reading.placing import Surroundings
from lockgate.policy.reading.problem import (
    PolicyRefusedError,
    Problem,
    UnusableInputError,
)
from lockgate.policy.spec.model_router import RouterSpec
from pulumi.output import contains_unknowns

from pulumi_lockgate.manifests.audit import claim_faults
from pulumi_lockgate.manifests.openings import opens_names
from pulumi_lockgate.manifests.site import route_faults
from pulumi_lockgate.stack.read import load_named
from pulumi_lockgate.stack.settings import Stack
from pulumi_lockgate.stand_ins import Missing, decides, filled, leaves, missing
from pulumi_lockgate.typed import as_wire

FQDN_POLICY: Final = "proxy.egress.fqdnPolicy"
WHOLE: Final = "policy"
"""The path of a policy that is one Output."""


class RefusedError(PolicyRefusedError, pulumi.RunError):
    """A policy in a program is refused; a RunError is shown without a traceback."""


class UnusablePolicyError(UnusableInputError, pulumi.RunError):
    """A policy cannot be read at all; the text says which and why."""


@frozen
class Secret:
    """A value that the program keeps secret, and its path."""

    path: str
    text: str

    @property
    def as_missing(self) -> Missing:
        """The same place as one whose value is not known."""
        return Missing(self.path, None)


@frozen
class Draft:
    """A policy that loaded and was placed. `missing` have stand-ins in it; `secrets` stay hidden.

    `policy` is None where a value decides that is not known: then there is nothing to prove yet.
    """

    policy: LoadedPolicy | None
    namespace: str = "default"
    missing: tuple[Missing, ...] = ()
    secrets: tuple[Secret, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether the policy is the one that will run, in every value."""
        return not self.missing


@frozen
class Source:
    """What a router was given: plain values, and Outputs by their paths."""

    name: str
    policy: LoadedPolicy | None
    tree: Any
    namespace: Any
    litellm_url: Any
    outputs: Mapping[str, Any] = field(factory=dict)

    def draft(self, values: Mapping[str, Any], secret: Mapping[str, bool]) -> Draft:
        """Return the policy with `values` for the Outputs; an unknown one gets a stand-in.

        Raises RefusedError with every fault, as a file's policy is refused.
        """
        texts, gaps, secrets = dict(values), list[Missing](), list[Secret]()
        for path, value in {**self._plain(), **values}.items():
            if _is_hidden(value):
                gaps.append(missing(path, len(gaps) + 1))
                texts[path] = gaps[-1].text
            elif secret.get(path):
                secrets.append(Secret(path, value if isinstance(value, str) else ""))
        namespace = str(texts.get("namespace", self.namespace))
        if decides(gaps):
            return Draft(None, namespace, tuple(gaps), tuple(secrets))
        url = texts.get("litellmUrl", self.litellm_url)
        try:
            loaded = self.policy or self._loaded(texts)
            policy = place(loaded, Surroundings(namespace, url), "", self.name)
        except PolicyRefusedError as refused:
            raise RefusedError(self.name, _without(refused.problems, secrets)) from None
        unkept = (*claim_faults(policy.spec), *route_faults(policy.spec))
        if unkept:
            raise RefusedError(self.name, unkept)
        return Draft(policy, namespace, tuple(gaps), tuple(secrets))

    @property
    def opens_names(self) -> bool:
        """Whether the policy says plainly, in no Output, that a CNI's own policy opens names."""
        if self.policy is not None:
            return opens_names(self.policy.spec)
        return any(path == FQDN_POLICY and not _is_later(v) for path, v in leaves(self.tree))

    def _plain(self) -> dict[str, Any]:
        found = {} if self.policy else dict(leaves(self.tree))
        return {**found, "namespace": self.namespace, "litellmUrl": self.litellm_url}

    def _loaded(self, values: Mapping[str, Any]) -> LoadedPolicy:
        tree = values[WHOLE] if WHOLE in values else filled(self.tree, values)
        return load_tree(from_plain(_jsonable(as_wire(tree))), "", self.name)


def draft_of(stack: Stack) -> Draft:
    """Return the policy of a stack's configuration, with what is secret or not shown there."""
    settings, secrets = stack.settings, list[Secret]()
    if "router" in stack.secret:
        secrets.append(Secret(WHOLE, ""))
    if "litellmUrl" in stack.secret:
        secrets.append(Secret("litellmUrl", settings.litellm_url or ""))
    return Draft(stack.policy, settings.namespace, stack.missing, tuple(secrets))


def source_of(policy: Any, namespace: Any, litellm_url: Any, name: str) -> Source:
    """Return what a router called `name` was given, with its Outputs found.

    Raises UnusablePolicyError for what is no policy at all.
    """
    loaded, tree = _read(policy, name)
    if _is_later(tree):
        found = {WHOLE: tree}
    else:
        found = {path: value for path, value in leaves(tree) if _is_later(value)}
    for path, value in (("namespace", namespace), ("litellmUrl", litellm_url)):
        if _is_later(value):
            found[path] = value
    return Source(name, loaded, tree, namespace, litellm_url, found)


def _read(policy: Any, name: str) -> tuple[LoadedPolicy | None, Any]:
    if isinstance(policy, LoadedPolicy):
        return policy, None
    if isinstance(policy, RouterSpec):
        return compiled(policy), None
    if isinstance(policy, str | os.PathLike):
        try:
            return load_named(str(Path(policy))), None
        except PolicyRefusedError as refused:
            raise RefusedError(refused.source, refused.problems) from None
        except UnusableInputError as problem:
            raise UnusablePolicyError(str(problem)) from None
    tree = as_wire(policy)
    if isinstance(tree, Mapping) or _is_later(tree):
        return None, tree
    kind = type(policy).__name__
    hint = "give a path, a dict, a lockgate.Policy, or an Output of one of these"
    raise UnusablePolicyError(f"{name}: policy: a {kind} is no policy; {hint}")


def _is_later(value: Any) -> bool:
    return isinstance(value, pulumi.Output) or isawaitable(value)


def _is_hidden(value: Any) -> bool:
    """Whether a value is unknown to the engine, or a secret that `plan` cannot decrypt."""
    secure = isinstance(value, str) and '{"secure":' in value
    return secure or contains_unknowns(value)


def _jsonable(tree: Any) -> Any:
    """Return data with whole numbers as such: what crossed the engine's wire has floats alone."""
    if isinstance(tree, Mapping):
        return {str(key): _jsonable(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_jsonable(value) for value in tree]
    return int(tree) if isinstance(tree, float) and tree.is_integer() else tree


def _without(problems: tuple[Problem, ...], secrets: list[Secret]) -> tuple[Problem, ...]:
    """Return problems whose words show no secret value."""
    hidden = [one.text for one in secrets if one.text]

    def plain(text: str) -> str:
        for secret in hidden:
            text = text.replace(secret, "[secret]")
        return text

    if any(one.path == WHOLE for one in secrets):
        return tuple(evolve(p, message="is refused", suggestion="it is secret") for p in problems)
    return tuple(
        evolve(p, message=plain(p.message), suggestion=plain(p.suggestion)) for p in problems
    )
