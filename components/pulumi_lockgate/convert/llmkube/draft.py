"""An import in progress: Lockgate's spec as plain data, beside the source it comes from."""

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define, field
from lockgate.policy.canonical import to_wire

from pulumi_lockgate.convert.difference import Notes
from pulumi_lockgate.convert.llmkube.manifest import Backend, Match, Rule, Source, Spec


@define
class DraftRule:
    """A rule to be written. `path` is its place in the source; not `kept`: it is left out."""

    path: str
    source: Rule
    out: dict[str, Any]
    kept: bool = True

    @property
    def match(self) -> Match:
        """Which requests the source's rule matches."""
        return self.source.match or Match()


@define
class Draft:
    """What the import has written so far, beside its source.

    `backends`, `rules` and `spec` are ours, in wire form; `config` has the stack's other
    keys. `tiers` and `litellm_url` are what the command line states.
    """

    source: Source
    tiers: Mapping[str, str]
    litellm_url: str | None
    notes: Notes = field(factory=Notes)
    config: dict[str, Any] = field(factory=dict)
    backends: list[dict[str, Any]] = field(factory=list)
    rules: list[DraftRule] = field(factory=list)
    spec: dict[str, Any] = field(factory=dict)

    @property
    def origin(self) -> Spec:
        """The source's spec."""
        return self.source.manifest.spec

    def pairs(self) -> Iterator[tuple[str, Backend, dict[str, Any]]]:
        """Yield each backend's path, its source and what is written for it."""
        for number, (theirs, ours) in enumerate(
            zip(self.origin.backends, self.backends, strict=True)
        ):
            yield f"spec.backends[{number}]", theirs, ours

    def standing(self) -> Iterator[DraftRule]:
        """Yield the rules that are not left out."""
        return (rule for rule in self.rules if rule.kept)

    def cloud(self) -> set[str]:
        """Return the names of cloud backends."""
        return {b["name"] for b in self.backends if b.get("tier") == "cloud"}

    def leads_to_cloud(self, rule: DraftRule) -> bool:
        """Whether one of the rule's backends is in the cloud."""
        return not self.cloud().isdisjoint(rule.out["route"]["backends"])

    def is_always_first(self, backend: str) -> bool:
        """Whether a backend stands first in every route that leads to it."""
        default = self.spec.get("defaultRoute")
        for rule in self.standing():
            chain = list(rule.out["route"]["backends"])
            if default is not None and not rule.out.get("failClosed"):
                chain.append(default)
            if backend in chain[1:] and chain[0] != backend:
                return False
        return True

    def is_weighted(self) -> bool:
        """Whether some rule picks by weight."""
        return any(rule.source.route.strategy == "weighted" for rule in self.standing())

    def leave_out(self, rule: DraftRule, path: str, why: str) -> None:
        """Leave out a rule that could never match in the source."""
        rule.kept = False
        message = f"rule {rule.source.name!r} could never match there ({why}), and is left out"
        self.notes.differs(path, message)

    def router(self) -> dict[str, Any]:
        """Return the spec in wire form."""
        rules = [rule.out for rule in self.standing()]
        return {"backends": self.backends, **({"rules": rules} if rules else {}), **self.spec}

    def place_of(self, path: str) -> str:
        """Return the place in the source of a path in what `router` returns."""
        kept = [rule.path for rule in self.standing()]
        for number, place in enumerate(kept):
            ours = f"rules[{number}]"
            if path == ours or path.startswith((f"{ours}.", f"{ours}[")):
                return place + path.removeprefix(ours)
        return f"spec.{path}" if path else "spec"


def begin(
    source: Source, tiers: Mapping[str, str] | None = None, litellm_url: str | None = None
) -> Draft:
    """Return a draft that copies the source; the import's points then change it."""
    draft = Draft(source, tiers or {}, litellm_url)
    spec = source.manifest.spec
    draft.backends = [_backend(backend) for backend in spec.backends]
    draft.rules = [
        DraftRule(f"spec.rules[{number}]", rule, _rule(rule))
        for number, rule in enumerate(spec.rules)
    ]
    written = to_wire(spec)
    keys = ("defaultRoute", "defaultRouteStrategy")
    draft.spec = {key: written[key] for key in keys if key in written}
    governance = {**written.get("policy", {})}
    if governance.get("classification") == {}:
        del governance["classification"]
    draft.spec |= {"policy": governance} if governance else {}
    draft.spec["proxy"] = {"replicas": spec.proxy.replicas, **written.get("proxy", {})}
    endpoint = {
        k: v for k, v in written.get("endpoint", {}).items() if k not in {"path", "gateway"}
    }
    draft.spec |= {"endpoint": endpoint} if endpoint else {}
    return draft


def _backend(backend: Backend) -> dict[str, Any]:
    written = to_wire(backend)
    written.pop("timeout", None)
    return written


def _rule(rule: Rule) -> dict[str, Any]:
    written = to_wire(rule)
    written.pop("timeout", None)
    if not written.get("match"):
        written.pop("match", None)
    return written
