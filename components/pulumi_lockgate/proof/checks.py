"""The verdicts on a policy: every question of the proof, in the order of the report.

docs/proof.md says the same in formulas. Each request that is shown was decided by the engine too.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final, TypeVar

from attrs import define, field, frozen
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.spec.backends import Backend
from lockgate.policy.spec.invariants import Invariant

from pulumi_lockgate.proof.literals import Vocabulary, space_of
from pulumi_lockgate.proof.query import Question, having, lacking, taken_by
from pulumi_lockgate.proof.report import ContradictionError, Finding, Reached, Report, Witness
from pulumi_lockgate.proof.route_points import EarlierRules, RoutePoint, places_of
from pulumi_lockgate.proof.solver import SECONDS, Solver, UndecidedError
from pulumi_lockgate.proof.witness import Checker, checker, witness_of

T = TypeVar("T")
ANYTHING: Final = Question()
MOST_STEPS: Final = 8
"""Places shown on a label's path."""
MOST_REACHED: Final = 400
"""Route points times sensitive labels up to which `Report.reached` is there unasked."""
MOST_TRIED: Final = 64
"""Places tried for it: the path is there for people to read."""


def prove(
    policy: LoadedPolicy,
    *,
    seconds: float = SECONDS,
    now: Callable[[], float] = time.monotonic,
    most_reached: int = MOST_REACHED,
) -> Report:
    """Return everything that was found; what has no answer in `seconds` is a finding too.

    `most_reached` bounds the work for `Report.reached`, which a picture needs.
    Raises ContradictionError when the engine does not agree with a witness.
    """
    space = space_of((policy,))
    still_open = _Open()
    proof = _Proof(
        policy=policy,
        space=space,
        places=places_of(policy, space),
        solver=Solver(space, now, seconds),
        checker=checker(policy),
        open=still_open,
    )
    verdicts = (proof.leaks, proof.invariants, proof.without_local, proof.rules)
    findings = [found for verdict in verdicts for found in verdict()]
    unlabelled = proof.unlabelled()
    paths = proof.paths()
    pairs = len(proof.places) * len(policy.spec.policy.classification.sensitive)
    return Report(
        digest=policy.digest,
        findings=(*findings, *still_open.findings()),
        paths=paths,
        unlabelled_cloud=unlabelled,
        attested=tuple(
            (b.name, b.attested_local) for b in policy.spec.backends if b.attested_local
        ),
        invariants=tuple(invariant.name for invariant in policy.spec.policy.invariants),
        reached=proof.reached() if pairs <= most_reached else None,
    )


@frozen
class _Proof:
    policy: LoadedPolicy
    space: Vocabulary
    places: tuple[RoutePoint, ...]
    solver: Solver
    checker: Checker
    open: "_Open"

    # -- verdicts

    def leaks(self) -> Iterator[Finding]:
        """Yield each place where a sensitive request has a cloud backend in its chain."""
        sensitive = having(self.space.sensitive(self.policy))
        what = "whether a sensitive request meets a cloud backend"
        for place in self.places:
            if place.cloud is not None:
                yield from self.open.decided(what, place.path, self._leak, place, sensitive)

    def invariants(self) -> Iterator[Finding]:
        """Yield each invariant that does not hold, by the first place that breaks it."""
        for number, invariant in enumerate(self.policy.spec.policy.invariants):
            path = f"policy.invariants[{number}]"
            what = f"invariant {invariant.name}"
            yield from self.open.decided(what, path, self._broken, invariant, path)

    def without_local(self) -> Iterator[Finding]:
        """Yield each sensitive label whose requests meet no local backend anywhere."""
        for label in self._sensitive_labels():
            what = f"whether label {label} has a local backend"
            yield from self.open.decided(what, "policy.classification", self._stranded, label)

    def rules(self) -> Iterator[Finding]:
        """Yield the rules that take nothing, and those that can only refuse what they take."""
        for place in self.places:
            if place.kind == "rule":
                what = "whether a rule takes anything"
                yield from self.open.decided(what, place.path, self._rule, place)

    # -- one question each

    def _leak(self, place: RoutePoint, sensitive: Question) -> Iterator[Finding]:
        if not self._taken(place, sensitive):
            return
        witness = self._witness(place, sensitive, sensitive=True)
        cloud = place.cloud
        assert cloud is not None
        labels = self._leaking(place, sensitive, witness)
        also = f" (and {', '.join(labels[1:])})" if len(labels) > 1 else ""
        yield Finding(
            kind="leak",
            path=place.path,
            subject=place.name,
            message=f"a request labelled {labels[0]}{also}",
            witness=witness,
            via=place.shown,
            backend=f"{cloud.name} (cloud)",
            because=self._because(place, labels[0]),
            labels=labels,
            expect={"never": {"tier": "cloud"}},
        )

    def _leaking(self, place: RoutePoint, sensitive: Question, witness: Witness) -> tuple[str, ...]:
        """Return the sensitive labels that leak the same way, those of the witness first."""
        shown = self.checker.decider.decide(witness.model, witness.fields).reading.labels.names
        found = [
            label
            for label in self._sensitive_labels()
            if label in shown or self._taken(place, sensitive & self._with(label))
        ]
        return tuple(sorted(found, key=lambda label: (label not in shown, label)))

    def _because(self, place: RoutePoint, label: str) -> str:
        rules = self.policy.spec.rules
        at = rules.index(place.rule) if place.rule is not None else len(rules)
        for later in rules[at + 1 :]:
            if later.match is not None and label in later.match.data_classification:
                return f"{place.shown} stands before rule {later.name}, which keeps {label} local"
        for earlier in rules[:at]:
            if earlier.match is not None and label in earlier.match.data_classification:
                return f"rule {earlier.name} takes some {label} requests, not all of them"
        return f"no rule before it takes {label}"

    def _broken(self, invariant: Invariant, path: str) -> Iterator[Finding]:
        asked, absent = self.space.when(self.policy, invariant)
        when = Question(asked) & lacking(*absent)
        for place in self.places:
            bad = [backend for backend in place.chain if breaks(invariant, backend)]
            if not bad or not self._taken(place, when):
                continue
            yield Finding(
                kind="invariant",
                path=path,
                subject=invariant.name,
                message=f"{invariant.name} does not hold",
                witness=self._witness(place, when),
                via=place.shown,
                backend=f"{bad[0].name} ({bad[0].tier})",
                expect=_expected(invariant),
            )
            return

    def _stranded(self, label: str) -> Iterator[Finding]:
        held = self._with(label)
        if any(place.local is not None and self._taken(place, held) for place in self.places):
            return
        place = self._taker(self.places, held)
        yield Finding(
            kind="no_local_backend",
            path="policy.classification",
            subject=label,
            message=f"label {label!r} has no local backend anywhere on its path",
            witness=self._witness(place, held),
            via=place.shown,
        )

    def _rule(self, place: RoutePoint) -> Iterator[Finding]:
        if not self._taken(place):
            yield self._dead(place)
        elif place.local is None:
            unbound = lacking(self.space.sensitive(self.policy))
            if not place.chain or not self._taken(place, unbound):
                reason = (
                    "it has no capable backend" if not place.chain else "all of it is sensitive"
                )
                yield Finding(
                    kind="refusing_rule",
                    path=place.path,
                    subject=place.name,
                    message=f"rule {place.name} can only refuse what it takes: {reason}",
                    witness=self._witness(place, ANYTHING),
                    via=place.shown,
                )

    def _dead(self, place: RoutePoint) -> Finding:
        wanted = Question(place.conditions)
        message = f"rule {place.name} matches no request at all"
        if self.solver.find(wanted) is None:
            return Finding("dead_rule", place.path, place.name, message)
        first = {p.conditions: p for p in reversed(self.places) if p.kind == "rule"}
        blamed = [first[one] for one in self.solver.blame(wanted, place.passed)]
        names = ", ".join(p.name for p in blamed)
        together = f"rules {names} together take" if len(blamed) > 1 else f"rule {names} takes"
        taker = self._taker((*blamed, *self.places), wanted)
        return Finding(
            kind="dead_rule",
            path=place.path,
            subject=place.name,
            message=f"rule {place.name} never takes a request: {together} everything before",
            witness=self._witness(taker, wanted),
            via=taker.shown,
            shadowed_by=tuple(p.name for p in blamed),
            expect={"rule": place.name},
        )

    def _taken(self, place: RoutePoint, also: Question = ANYTHING) -> bool:
        """Whether `place` takes a request that `also` speaks of; the engine must agree."""
        request = self.solver.find(taken_by(place) & also)
        if request is not None:
            self.checker.confirm(witness_of(request, self.space), place)
        return request is not None

    def _taker(self, places: Iterable[RoutePoint], also: Question) -> RoutePoint:
        """Return the first of `places` that takes such a request; one of all places does."""
        for place in places:
            if self._taken(place, also):
                return place
        raise ContradictionError("there is a request that no place takes")

    def _witness(self, place: RoutePoint, also: Question, *, sensitive: bool = False) -> Witness:
        """Return the smallest request that `place` takes, decided by the engine too."""
        request = self.solver.smallest(taken_by(place) & also)
        if request is None:
            raise ContradictionError(f"a request that {place.shown} takes is there no more")
        witness = witness_of(request, self.space)
        self.checker.confirm(witness, place, sensitive=sensitive)
        return witness

    # -- what else a reviewer wants to know

    def unlabelled(self) -> str | None:
        """Return the first way by which a request without labels reaches a cloud backend."""
        what = "whether unlabelled traffic can reach a cloud backend"
        told = list(self.open.decided(what, "policy.classification", self._unlabelled))
        return told[0] if told else "not decided" if what in self.open.left else None

    def _unlabelled(self) -> Iterator[str]:
        bare = lacking(self.space.any_label(self.policy))
        for place in self.places:
            if place.cloud is not None and self._taken(place, bare):
                yield f"{place.shown} -> {place.cloud.name}"
                return

    def paths(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return for each sensitive label the places that take requests with it alone."""
        what = "where sensitive requests go"
        decided = partial(self.open.decided, what, "policy.classification", self._path)
        return tuple((label, tuple(decided(label))) for label in self._sensitive_labels())

    def reached(self) -> tuple[Reached | None, ...]:
        """Return for each route point the sensitive labels that come there; None: not decided."""
        return tuple(self._reached(place) for place in self.places)

    def _reached(self, place: RoutePoint) -> Reached | None:
        labels = self._sensitive_labels()
        try:
            if not self._taken(place, having(self.space.sensitive(self.policy))):
                return Reached()
            alone = tuple(one for one in labels if self._taken(place, self._alone(one)))
            if alone:
                return Reached(alone)
            beside = tuple(one for one in labels if self._taken(place, self._with(one)))
            return Reached(beside, alone=False)
        except UndecidedError:
            return None

    def _alone(self, label: str) -> Question:
        return self._with(label) & lacking(self.space.other_labels(self.policy, label))

    def _path(self, label: str) -> Iterator[str]:
        alone = self._alone(label)
        steps = 0
        for place in self.places[:MOST_TRIED]:
            if not self._taken(place, alone):
                continue
            if steps == MOST_STEPS:
                yield "..."
                return
            steps += 1
            tiers = "/".join(dict.fromkeys(b.tier for b in place.chain)) or "refused"
            yield f"{place.shown} ({tiers})"
            if (
                self.solver.find(
                    alone & Question((), (EarlierRules(place.conditions, place.passed),))
                )
                is None
            ):
                return

    def _with(self, label: str) -> Question:
        return having(self.space.labelled(self.policy, (label,)))

    def _sensitive_labels(self) -> list[str]:
        return sorted(self.policy.spec.policy.classification.sensitive)


def breaks(invariant: Invariant, backend: Backend) -> bool:
    """Whether `backend` in a chain breaks `invariant`."""
    if invariant.never is not None:
        return backend in invariant.never
    return invariant.only is not None and backend not in invariant.only


def _expected(invariant: Invariant) -> dict[str, object]:
    key = "never" if invariant.never is not None else "only"
    places = invariant.never or invariant.only
    assert places is not None
    stated = {"tier": places.tier} if places.tier else {"backends": list(places.backends or ())}
    return {key: stated}


@define
class _Open:
    """Collects what could not be decided: one finding for each kind of question."""

    left: dict[str, list[tuple[str, str]]] = field(factory=dict)

    def decided(
        self, what: str, path: str, ask: Callable[..., Iterable[T]], *arguments: Any
    ) -> Iterable[T]:
        """Return what `ask` finds; where it has no answer, note that."""
        try:
            return list(ask(*arguments))
        except UndecidedError as error:
            self.left.setdefault(what, []).append((path, str(error)))
            return ()

    def findings(self) -> Iterator[Finding]:
        """Yield what is open."""
        for what, places in self.left.items():
            path, why = places[0]
            count = f" at {len(places)} places, the first {path}" if len(places) > 1 else ""
            yield Finding("undecided", path, what, f"it could not be decided {what}{count}: {why}")
