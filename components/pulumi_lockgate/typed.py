"""A policy in Python: backends and rules that are checked where they are made.

They say what a policy file says, with the fields of the same names; the words of a refusal are the
file's. A value may be a Pulumi Output: what is not known yet is checked once it is.
"""

from collections.abc import Iterable, Mapping
from inspect import isawaitable
from typing import Any, Final, Self

import attrs
import pulumi
from lockgate.policy.canonical import to_wire
from lockgate.policy.reading.document import from_plain
from lockgate.policy.reading.load import load_tree
from lockgate.policy.reading.problem import PolicyRefusedError, Problem
from lockgate.policy.spec import backends as spec_backends
from lockgate.policy.spec import rules as spec_rules
from lockgate.policy.spec.fields import wire_name
from lockgate.policy.spec.model_router import RouterSpec
from pulumi import Input

from pulumi_lockgate.stand_ins import filled, leaves, missing

Tree = dict[str, Any]


class FieldRefusedError(PolicyRefusedError, pulumi.RunError):
    """A backend, a rule or a policy was made of what it cannot be."""


@attrs.frozen(eq=False)
class _Typed:
    """What all three have: their wire form, as plain data with Outputs in it."""

    wire: Tree

    @property
    def name(self) -> str:
        """The name by which others refer to it."""
        return str(self.wire.get("name", ""))


class Backend(_Typed):
    """One place that a request can be sent to: `Backend.local` or `Backend.cloud`.

    Further fields are those of a policy file's backend, in either spelling: `context_length=32768`,
    `capabilities=["tools"]`, `timeouts={"idle": "90s"}`.
    """

    @classmethod
    def local(  # noqa: PLR0913 - each is a field of its own
        cls,
        name: str,
        *,
        service: Input[str] | None = None,
        namespace: Input[str] | None = None,
        url: Input[str] | None = None,
        model: Input[str] | None = None,
        provider: str = "openai",
        credentials: Input[str] | None = None,
        **fields: Any,
    ) -> Self:
        """Return a backend of the local tier: an InferenceService by name, or a server by `url`.

        `model` is the name sent up; an InferenceService's own where it is left out.
        """
        if _PLACES & fields.keys():  # said as a policy file says it
            return cls._made({"name": name}, {"tier": "local", **fields})
        if url is None:
            inside: Tree = {
                "inferenceServiceRef": _stated(name=service or name, namespace=namespace)
            }
            return cls._made({"name": name, **inside, **_stated(servedModel=model)}, fields)
        external = _external(provider, model or name, url, credentials)
        return cls._made({"name": name, "tier": "local", "external": external}, fields)

    @classmethod
    def cloud(  # noqa: PLR0913 - each is a field of its own
        cls,
        name: str,
        *,
        provider: str,
        model: Input[str],
        credentials: Input[str] | None = None,
        url: Input[str] | None = None,
        allow_private_address: bool | None = None,
        **fields: Any,
    ) -> Self:
        """Return a backend of the cloud tier; `credentials` names the Secret with its key."""
        external = _external(provider, model, url, credentials)
        external |= _stated(allowPrivateAddress=allow_private_address)
        return cls._made({"name": name, "tier": "cloud", "external": external}, fields)

    @classmethod
    def _made(cls, stated: Tree, fields: Mapping[str, Any]) -> Self:
        tree = stated | _wired(spec_backends.Backend, fields)
        _check({"backends": [tree]}, "backends[0]", f"Backend {stated['name']!r}")
        return cls(tree)


class Rule(_Typed):
    """One line of the policy: what it matches, and the `backends` that it goes to, in order.

    Fields of `match` and `route` may stand beside the rule's own: `data_classification=["pii"]`,
    `models=["gpt-4*"]`, `strategy="weighted"`, `fail_closed=True`.
    """

    def __init__(self, name: str, backends: Iterable[Backend | str] = (), **fields: Any) -> None:
        stated = _wired(spec_rules.Rule, fields)
        match = {**_part(stated, "match"), **_taken(spec_rules.Match, stated)}
        route = {**_part(stated, "route"), **_taken(spec_rules.RouteTo, stated)}
        names = [one.name if isinstance(one, Backend) else one for one in backends]
        if names:
            route = {"backends": names} | route
        tree = {"name": name, **({"match": match} if match else {}), "route": route, **stated}
        _check(_around(tree), "rules[0]", f"Rule {name!r}")
        super().__init__(tree)


class Policy(_Typed):
    """A whole policy: `backends`, `rules`, and the further fields of a policy file."""

    def __init__(
        self,
        backends: Iterable[Backend | Mapping[str, Any]],
        rules: Iterable[Rule | Mapping[str, Any]] = (),
        *,
        default_route: Backend | str | None = None,
        **fields: Any,
    ) -> None:
        route = default_route.name if isinstance(default_route, Backend) else default_route
        tree = {"backends": as_wire(list(backends)), "rules": as_wire(list(rules))}
        tree |= _stated(defaultRoute=route) | _wired(RouterSpec, fields)
        _check(tree, "", "Policy")
        super().__init__(tree)


def as_wire(value: Any) -> Any:
    """Return plain data for whatever of this module, or of the spec's types, is in `value`."""
    if isinstance(value, _Typed):
        return as_wire(value.wire)
    if isinstance(value, Mapping):
        return {key: as_wire(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_wire(one) for one in value]
    return to_wire(value) if attrs.has(type(value)) and _is_spec(value) else value


def _is_spec(value: object) -> bool:
    return type(value).__module__.startswith("lockgate.policy.spec.")


def _external(provider: str, model: Any, url: Any, secret: Any) -> Tree:
    key = {"name": secret} if secret is not None else None
    return _stated(provider=provider, model=model, url=url, credentialsSecretRef=key)


def _stated(**values: Any) -> Tree:
    return {key: value for key, value in values.items() if value is not None}


def _wired(kind: Any, fields: Mapping[str, Any]) -> Tree:
    """Return keyword arguments under the names of a policy file, also of match and route."""
    names: dict[str, str] = {}
    for one in (spec_rules.Match, spec_rules.RouteTo, kind) if kind is spec_rules.Rule else (kind,):
        names |= {field.name: wire_name(field) for field in attrs.fields(one)}
    return {
        names.get(key, key): as_wire(value) for key, value in fields.items() if value is not None
    }


def _part(stated: Tree, key: str) -> Tree:
    part = stated.pop(key, None)
    return dict(part) if isinstance(part, Mapping) else {}


def _taken(kind: Any, stated: Tree) -> Tree:
    names = {wire_name(field) for field in attrs.fields(kind)}
    return {key: stated.pop(key) for key in list(stated) if key in names}


_PLACES: Final = frozenset(
    {"external", "inference_service_ref", "inferenceServiceRef", "service_ref", "serviceRef"}
)
_NO_LABEL: Final = "lockgate-no-label"


def _around(rule: Tree) -> Tree:
    """Return the smallest policy in which only a fault of the rule itself is one."""
    match, route = rule.get("match", {}), rule["route"]
    names = route.get("backends")
    wanted = match.get("requiredCapabilities")
    backends = [
        {"name": name, "inferenceServiceRef": {"name": "any"}, **_stated(capabilities=wanted)}
        for name in dict.fromkeys(names if isinstance(names, list) else ())
        if isinstance(name, str)
    ]
    spare = {"name": "lockgate-spare", "inferenceServiceRef": {"name": "any"}}
    labels = match.get("dataClassification")
    known = [*labels] if isinstance(labels, list) else []
    classes = {"sensitiveClassifications": [_NO_LABEL], "knownClassifications": known}
    return {
        "backends": backends or [spare],
        "rules": [rule],
        "policy": {"classification": classes},
    }


def _check(tree: Tree, path: str, name: str) -> None:
    """Refuse what a policy file would be refused for; what is not known yet has a stand-in."""
    later = [p for p, v in leaves(tree) if isinstance(v, pulumi.Output) or isawaitable(v)]
    gaps = {place: missing(place, number).text for number, place in enumerate(later, 1)}
    if None in gaps.values():
        return  # what decides is not known: the router checks it once it is
    try:
        load_tree(from_plain(filled(tree, gaps)), "", name)
    except PolicyRefusedError as refused:
        found = [_within(problem, path) for problem in refused.problems]
        own = tuple(problem for problem in found if problem is not None)
        if own:
            raise FieldRefusedError(name, own) from None


def _within(problem: Problem, path: str) -> Problem | None:
    """Return `problem` with its path from `path` on, None where it lies elsewhere."""
    if not problem.path.startswith(path):
        return None
    return attrs.evolve(problem, path=problem.path.removeprefix(path).removeprefix("."))
