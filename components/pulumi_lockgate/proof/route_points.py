"""Route points of a policy: each rule, each name match, the default route, or none at all.

Each request is taken by exactly one. The chains are without the runtime's bound on sensitive
requests: what the policy itself says.
"""

from collections.abc import Iterator
from typing import Literal

from attrs import field, frozen
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.spec.backends import Backend
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.rules import Rule

from pulumi_lockgate.proof.literals import Conditions, Vocabulary, literal, named

Kind = Literal["rule", "name_match", "default_route", "none"]


@frozen(eq=False)
class EarlierRules:
    """The conditions of all earlier rules, as a list from the last to the first."""

    conditions: Conditions
    before: "EarlierRules | None"

    def __iter__(self) -> Iterator[Conditions]:
        """Yield the conditions of each earlier rule, the last first."""
        at: EarlierRules | None = self
        while at is not None:
            yield at.conditions
            at = at.before


@frozen(eq=False)
class RoutePoint:
    """One place that takes requests: those for which `conditions` hold and none of `earlier` do.

    `chain`: the backends in order, each once, of those that have the capabilities asked for;
    `considered` has the others too.
    """

    kind: Kind
    name: str
    path: str
    rule: Rule | None
    conditions: Conditions
    earlier: EarlierRules | None = field(repr=False)
    chain: tuple[Backend, ...]
    considered: tuple[Backend, ...]

    @property
    def cloud(self) -> Backend | None:
        """The first cloud backend of the chain."""
        return next((backend for backend in self.chain if backend.tier == "cloud"), None)

    @property
    def local(self) -> Backend | None:
        """The first local backend of the chain."""
        return next((backend for backend in self.chain if backend.tier == "local"), None)

    @property
    def refuses(self) -> bool:
        """Whether it is a rule that says so."""
        return self.rule is not None and self.rule.route.refuse

    @property
    def description(self) -> str:
        """What it is, in words."""
        words = {
            "rule": f"rule {self.name}",
            "name_match": f"name match of {self.name}",
            "default_route": f"default route {self.name}",
            "none": "nothing: no rule matches and there is no default route",
        }
        return words[self.kind]


def route_points_of(policy: LoadedPolicy, vocabulary: Vocabulary) -> tuple[RoutePoint, ...]:
    """Return the route points of `policy` in the order in which they are tried."""
    return tuple(_route_points(policy, vocabulary))


def _route_points(policy: LoadedPolicy, vocabulary: Vocabulary) -> Iterator[RoutePoint]:
    spec = policy.spec
    backends = {backend.name: backend for backend in spec.backends}
    earlier: EarlierRules | None = None
    for number, rule in enumerate(spec.rules):
        conditions = vocabulary.conditions(policy, rule.match)
        names = _names(spec, rule)
        considered = tuple(backends[name] for name in names)
        chain = chain_of(considered, rule)
        path = f"rules[{number}]"
        yield RoutePoint("rule", rule.name, path, rule, conditions, earlier, chain, considered)
        earlier = EarlierRules(conditions, earlier)
    if spec.default_route_strategy == "BackendNameMatch":
        for backend in spec.backends:
            asked = (named((literal(backend.published_id),)),)
            one, path = (backend,), "defaultRouteStrategy"
            yield RoutePoint(
                "name_match", backend.published_id, path, None, asked, earlier, one, one
            )
        for backend in spec.backends:
            earlier = EarlierRules((named((literal(backend.published_id),)),), earlier)
    if spec.default_route is not None:
        last = (backends[spec.default_route],)
        name = spec.default_route
        yield RoutePoint("default_route", name, "defaultRoute", None, (), earlier, last, last)
    else:
        yield RoutePoint("none", "none", "defaultRoute", None, (), earlier, (), ())


def chain_of(considered: tuple[Backend, ...], rule: Rule | None) -> tuple[Backend, ...]:
    """Return those of `considered` that have every capability that `rule` asks for.

    This is what the policy itself allows, without the runtime's bound on sensitive requests. The
    proof, the picture and policy tests all read a chain here.
    """
    required = set(rule.match.required_capabilities if rule and rule.match else ())
    return tuple(b for b in considered if required <= set(b.capabilities))


def _names(spec: RouterSpec, rule: Rule) -> tuple[str, ...]:
    """Return the names of a rule's chain in order, each once."""
    names, default = list(rule.route.backends), spec.default_route
    if not (spec.holds_closed(rule) or rule.route.refuse) and default is not None:
        names.append(default)
    return tuple(dict.fromkeys(names))
