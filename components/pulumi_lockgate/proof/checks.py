"""Proves a policy: every check of the proof, in the order of the report.

docs/proof.md says the same in formulas. Each request that is shown was also decided by the engine.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import define, field, frozen
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.spec.backends import Backend
from lockgate.policy.spec.invariants import Invariant

from pulumi_lockgate.proof.literals import Vocabulary, vocabulary_of
from pulumi_lockgate.proof.query import Query, having, lacking, taken_by
from pulumi_lockgate.proof.report import ContradictionError, Finding, Reached, Report, Witness
from pulumi_lockgate.proof.route_points import EarlierRules, RoutePoint, route_points_of
from pulumi_lockgate.proof.servers import local_by_word
from pulumi_lockgate.proof.solver import SECONDS, Solver, UndecidedError
from pulumi_lockgate.proof.witness import Checker, checker, witness_of

if TYPE_CHECKING:
    from pulumi_lockgate.proof.second_opinion import SecondOpinion

T = TypeVar("T")
ANYTHING: Final = Query()
MOST_STEPS: Final = 8
"""Route points shown on a label's path."""
MOST_REACHED: Final = 400
"""Route points times sensitive labels up to which `Report.reached` is there unasked."""
MOST_TRIED: Final = 64
"""Route points tried for it: the path is for people to read."""


def prove(  # noqa: PLR0913 - a question, and how it may be asked
    policy: LoadedPolicy,
    *,
    seconds: float = SECONDS,
    now: Callable[[], float] = time.monotonic,
    most_reached: int = MOST_REACHED,
    strict: bool = False,
    second: "SecondOpinion | None" = None,
) -> Report:
    """Return the report of a proof; a question without an answer in `seconds` is a finding too.

    `strict`, or the policy's own: a dead rule, and one that can only refuse, are errors too.
    `most_reached` bounds the work for `Report.reached`, which a picture needs.
    `second` is asked every question too. Raises ContradictionError when the engine does not agree
    with a witness, or `second` with z3.
    """
    vocabulary = vocabulary_of((policy,))
    still_open = _Open()
    proof = _Proof(
        policy=policy,
        vocabulary=vocabulary,
        points=route_points_of(policy, vocabulary),
        solver=Solver(vocabulary, now, seconds, second),
        checker=checker(policy),
        open=still_open,
    )
    checks = (proof.leaks, proof.invariants, proof.without_local, proof.rules)
    findings = [found for check in checks for found in check()]
    unlabelled = proof.unlabelled()
    paths = proof.paths()
    pairs = len(proof.points) * len(policy.spec.policy.classification.sensitive)
    return Report(
        digest=policy.digest,
        findings=(*findings, *still_open.findings()),
        paths=paths,
        unlabelled_cloud=unlabelled,
        observes=policy.spec.policy.mode == "observe",
        local_by_word=tuple(local_by_word(policy)),
        attested=tuple(
            (b.name, b.attested_local) for b in policy.spec.backends if b.attested_local
        ),
        invariants=tuple(invariant.name for invariant in policy.spec.policy.invariants),
        reached=proof.reached() if pairs <= most_reached else None,
        strict=strict or policy.spec.policy.strict,
        second=None if second is None else second.said,
        teams_are_word=any(i.when.team is not None for i in policy.spec.policy.invariants),
    )


@frozen
class _Proof:
    policy: LoadedPolicy
    vocabulary: Vocabulary
    points: tuple[RoutePoint, ...]
    solver: Solver
    checker: Checker
    open: "_Open"

    # -- the checks

    def leaks(self) -> Iterator[Finding]:
        """Yield each route point where a sensitive request has a cloud backend in its chain."""
        sensitive = having(self.vocabulary.sensitive(self.policy))
        what = "whether a sensitive request meets a cloud backend"
        for point in self.points:
            if point.cloud is not None:
                yield from self.open.decided(what, point.path, self._leak, point, sensitive)

    def invariants(self) -> Iterator[Finding]:
        """Yield each invariant that does not hold, with the first route point that breaks it."""
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
        """Yield the rules that match no request, and those that can only refuse what they match."""
        for point in self.points:
            if point.kind == "rule":
                what = "whether a rule takes anything"
                yield from self.open.decided(what, point.path, self._rule, point)

    # -- one query each

    def _leak(self, point: RoutePoint, sensitive: Query) -> Iterator[Finding]:
        if not self._taken(point, sensitive):
            return
        witness = self._witness(point, sensitive, sensitive=True)
        cloud = point.cloud
        assert cloud is not None
        labels = self._leaking(point, sensitive, witness)
        also = f" (and {', '.join(labels[1:])})" if len(labels) > 1 else ""
        yield Finding(
            kind="leak",
            path=point.path,
            subject=point.name,
            message=f"a request labelled {labels[0]}{also}",
            witness=witness,
            via=point.description,
            backend=f"{cloud.name} (cloud)",
            because=self._because(point, labels[0]),
            labels=labels,
            expect={"never": {"tier": "cloud"}},
        )

    def _leaking(self, point: RoutePoint, sensitive: Query, witness: Witness) -> tuple[str, ...]:
        """Return the sensitive labels that leak the same way, those of the witness first."""
        shown = self.checker.decider.decide(witness.model, witness.fields).reading.labels.names
        found = [
            label
            for label in self._sensitive_labels()
            if label in shown or self._taken(point, sensitive & self._with(label))
        ]
        return tuple(sorted(found, key=lambda label: (label not in shown, label)))

    def _because(self, point: RoutePoint, label: str) -> str:
        rules = self.policy.spec.rules
        at = rules.index(point.rule) if point.rule is not None else len(rules)
        for later in rules[at + 1 :]:
            if later.match is not None and label in later.match.data_classification:
                first = point.description
                return f"{first} stands before rule {later.name}, which keeps {label} local"
        for earlier in rules[:at]:
            if earlier.match is not None and label in earlier.match.data_classification:
                return f"rule {earlier.name} takes some {label} requests, not all of them"
        return f"no rule before it takes {label}"

    def _broken(self, invariant: Invariant, path: str) -> Iterator[Finding]:
        asked, absent = self.vocabulary.when(self.policy, invariant)
        when = Query(asked) & lacking(*absent)
        for point in self.points:
            bad = [backend for backend in point.chain if breaks(invariant, backend)]
            if not bad or not self._taken(point, when):
                continue
            yield Finding(
                kind="invariant",
                path=path,
                subject=invariant.name,
                message=f"{invariant.name} does not hold",
                witness=self._witness(point, when),
                via=point.description,
                backend=f"{bad[0].name} ({bad[0].tier})",
                expect=_expected(invariant),
            )
            return

    def _stranded(self, label: str) -> Iterator[Finding]:
        labelled = self._with(label)
        safe = (point for point in self.points if point.local is not None or point.refuses)
        if any(self._taken(point, labelled) for point in safe):
            return
        point = self._taker(self.points, labelled)
        yield Finding(
            kind="no_local_backend",
            path="policy.classification",
            subject=label,
            message=f"label {label!r} has no local backend on its path, and no rule refuses it",
            witness=self._witness(point, labelled),
            via=point.description,
        )

    def _rule(self, point: RoutePoint) -> Iterator[Finding]:
        if not self._taken(point):
            yield self._dead(point)
        elif point.local is None and not point.refuses:
            unbound = lacking(self.vocabulary.sensitive(self.policy))
            if not point.chain or not self._taken(point, unbound):
                reason = (
                    "it has no capable backend" if not point.chain else "all of it is sensitive"
                )
                yield Finding(
                    kind="refusing_rule",
                    path=point.path,
                    subject=point.name,
                    message=f"rule {point.name} can only refuse what it takes: {reason}",
                    witness=self._witness(point, ANYTHING),
                    via=point.description,
                )

    def _dead(self, point: RoutePoint) -> Finding:
        wanted = Query(point.conditions)
        message = f"rule {point.name} matches no request at all"
        if self.solver.find(wanted) is None:
            return Finding("dead_rule", point.path, point.name, message)
        first = {p.conditions: p for p in reversed(self.points) if p.kind == "rule"}
        blamed = [first[one] for one in self.solver.blame(wanted, point.earlier)]
        names = ", ".join(p.name for p in blamed)
        together = f"rules {names} together take" if len(blamed) > 1 else f"rule {names} takes"
        taker = self._taker((*blamed, *self.points), wanted)
        return Finding(
            kind="dead_rule",
            path=point.path,
            subject=point.name,
            message=f"rule {point.name} never takes a request: {together} everything before",
            witness=self._witness(taker, wanted),
            via=taker.description,
            shadowed_by=tuple(p.name for p in blamed),
            expect={"rule": point.name},
        )

    def _taken(self, point: RoutePoint, also: Query = ANYTHING) -> bool:
        """Whether `point` takes a request that `also` asks for; the engine must agree."""
        request = self.solver.find(taken_by(point) & also)
        if request is not None:
            self.checker.confirm(witness_of(request, self.vocabulary), point)
        return request is not None

    def _taker(self, points: Iterable[RoutePoint], also: Query) -> RoutePoint:
        """Return the first of `points` that takes such a request; one of all places does."""
        for point in points:
            if self._taken(point, also):
                return point
        raise ContradictionError("there is a request that no route point takes")

    def _witness(self, point: RoutePoint, also: Query, *, sensitive: bool = False) -> Witness:
        """Return the smallest request that `point` takes, decided by the engine too."""
        request = self.solver.smallest(taken_by(point) & also)
        if request is None:
            raise ContradictionError(
                f"a request that {point.description} takes is gone when it is asked for again"
            )
        witness = witness_of(request, self.vocabulary)
        self.checker.confirm(witness, point, sensitive=sensitive)
        return witness

    # -- what else a reviewer wants to know

    def unlabelled(self) -> str | None:
        """Return the first way of a request without labels to a cloud backend, None for none."""
        what = "whether unlabelled traffic can reach a cloud backend"
        found = list(self.open.decided(what, "policy.classification", self._unlabelled))
        return found[0] if found else "not decided" if what in self.open.left else None

    def _unlabelled(self) -> Iterator[str]:
        bare = lacking(self.vocabulary.any_label(self.policy))
        for point in self.points:
            if point.cloud is not None and self._taken(point, bare):
                yield f"{point.description} -> {point.cloud.name}"
                return

    def paths(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return for each sensitive label the route points of requests with no other label."""
        what = "where sensitive requests go"
        decided = partial(self.open.decided, what, "policy.classification", self._path)
        return tuple((label, tuple(decided(label))) for label in self._sensitive_labels())

    def reached(self) -> tuple[Reached | None, ...]:
        """Return for each route point the sensitive labels that come there; None: not decided."""
        return tuple(self._reached(point) for point in self.points)

    def _reached(self, point: RoutePoint) -> Reached | None:
        labels = self._sensitive_labels()
        try:
            if not self._taken(point, having(self.vocabulary.sensitive(self.policy))):
                return Reached()
            alone = tuple(one for one in labels if self._taken(point, self._alone(one)))
            if alone:
                return Reached(alone)
            beside = tuple(one for one in labels if self._taken(point, self._with(one)))
            return Reached(beside, alone=False)
        except UndecidedError:
            return None

    def _alone(self, label: str) -> Query:
        return self._with(label) & lacking(self.vocabulary.other_labels(self.policy, label))

    def _path(self, label: str) -> Iterator[str]:
        alone = self._alone(label)
        steps = 0
        for point in self.points[:MOST_TRIED]:
            if not self._taken(point, alone):
                continue
            if steps == MOST_STEPS:
                yield "..."
                return
            steps += 1
            tiers = "/".join(dict.fromkeys(b.tier for b in point.chain)) or "refused"
            yield f"{point.description} ({tiers})"
            if (
                self.solver.find(
                    alone & Query((), (EarlierRules(point.conditions, point.earlier),))
                )
                is None
            ):
                return

    def _with(self, label: str) -> Query:
        return having(self.vocabulary.labelled(self.policy, (label,)))

    def _sensitive_labels(self) -> list[str]:
        return sorted(self.policy.spec.policy.classification.sensitive)


def breaks(invariant: Invariant, backend: Backend) -> bool:
    """Whether `backend` in a chain breaks `invariant`."""
    if invariant.never is not None:
        return backend in invariant.never
    return invariant.only is not None and backend not in invariant.only


def _expected(invariant: Invariant) -> dict[str, object]:
    key = "never" if invariant.never is not None else "only"
    points = invariant.never or invariant.only
    assert points is not None
    stated = {"tier": points.tier} if points.tier else {"backends": list(points.backends or ())}
    return {key: stated}


@define
class _Open:
    """Collects the questions that the solver could not decide: one finding for each kind."""

    left: dict[str, list[tuple[str, str]]] = field(factory=dict)

    def decided(
        self, what: str, path: str, ask: Callable[..., Iterable[T]], *arguments: Any
    ) -> Iterable[T]:
        """Return what `ask` finds, nothing where it has no answer; that is noted."""
        try:
            return list(ask(*arguments))
        except UndecidedError as error:
            self.left.setdefault(what, []).append((path, str(error)))
            return ()

    def findings(self) -> Iterator[Finding]:
        """Yield one finding for each kind of question that could not be decided."""
        for what, points in self.left.items():
            path, why = points[0]
            count = f" at {len(points)} places, the first {path}" if len(points) > 1 else ""
            yield Finding("undecided", path, what, f"it could not be decided {what}{count}: {why}")
