"""What another policy would have decided for a request that was recorded.

The record holds all that a decision reads: the model asked for and the values of every header that
the policy of its day read, an empty list for one that was absent. A header that the other policy
reads and the record does not hold is not guessed: the request is decided for every value that
could matter, and where those decisions differ it is undecidable. So it is with a header of which
the record holds only the beginning. A model's name that was cut is undecidable where any name
matters.
"""

from collections.abc import Iterator, Mapping
from itertools import chain, combinations, product
from typing import Any, Final, Literal

from attrs import evolve, frozen

from lockgate.audit.record import beginning_of
from lockgate.audit.recorded import Places, Recorded
from lockgate.policy.deciding.decide import Decider
from lockgate.policy.deciding.decision import CANDIDATES, Decision, Refuse, Route
from lockgate.policy.deciding.match import COMPLEXITY_HEADER

Verdict = Literal["same", "different", "undecidable", "not_decided"]
MAX_OPEN: Final = 10
"""Values of missing headers that are told apart: 2 to this many decisions for one record."""
FORMERLY: Final = dict.fromkeys(("no_allowed_upstream", "no_capable_backend"), "refused_by_policy")
"""What a decision without candidates was called in older records."""


@frozen
class Replayed:
    """One record beside the other policy.

    `decision` is what that policy decides, None where it cannot be told. `missing` are headers it
    reads that the record does not hold. `widens`: a cloud backend that was no candidate is one;
    `may_widen`: that cannot be ruled out where the request is undecidable.
    """

    recorded: Recorded
    verdict: Verdict
    decision: Decision | None = None
    missing: tuple[str, ...] = ()
    widens: bool = False
    may_widen: bool = False
    reasons: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON-ready data."""
        recorded, decision = self.recorded, self.decision
        now, code = outcome_of(decision) if decision is not None else ((), None)
        return {
            "verdict": self.verdict,
            "widens": self.widens,
            "may_widen": self.may_widen,
            "request_id": recorded.request_id,
            "model": recorded.model,
            "was": {
                "rule": recorded.rule,
                "candidates": [name for name, _ in recorded.candidates],
                "code": None if recorded.candidates else recorded.code,
            },
            "now": decision
            and {
                "rule": decision.reading.rule_name,
                "via": decision.reading.via,
                "candidates": [name for name, _ in now],
                "code": code,
                "considered": [
                    {"backend": c.backend, "tier": c.tier, "reason": c.reason}
                    for c in decision.reading.considered
                ],
            },
            "missing": list(self.missing),
            "reasons": list(self.reasons),
        }


def replay(decider: Decider, recorded: Recorded) -> Replayed:
    """Decide a recorded request under the decider's policy."""
    model = recorded.model
    if model is None:
        told = f"was never decided: {recorded.outcome} {recorded.code or ''}".rstrip()
        return Replayed(recorded, "not_decided", reasons=(told,))
    if beginning_of(model) is not None and _models_matter(decider):
        told = "the record holds only the beginning of the model's name"
        return Replayed(recorded, "undecidable", may_widen=True, reasons=(told,))
    missing = tuple(name for name in decider.header_names if _is_open(decider, recorded, name))
    known = {name: fields for name, fields in recorded.headers.items() if name not in missing}
    possible = [(v, decider.decide(model, {**known, **v})) for v in _possible(decider, missing)]
    if not possible:
        told = "the record does not hold " + ", ".join(missing)
        reasons = (told,)
        return Replayed(recorded, "undecidable", missing=missing, may_widen=True, reasons=reasons)
    first = possible[0][1]
    for values, decision in possible:
        if outcome_of(decision) != outcome_of(first):
            widens = any(_new_clouds(recorded, other) for _, other in possible)
            undecided = _undecidable(recorded, missing, first, decision, values)
            return evolve(undecided, may_widen=widens)
    return _compared(recorded, first, missing)


def _models_matter(decider: Decider) -> bool:
    spec = decider.policy.spec
    by_name = spec.default_route_strategy == "BackendNameMatch"
    return by_name or any(matcher.models for matcher in decider.matchers)


def _is_open(decider: Decider, recorded: Recorded, name: str) -> bool:
    """Whether the record does not tell what a header's value was, as far as it can matter.

    A value that was cut is known to be none that a rule wants, if it begins otherwise than all of
    them; not where it is a list, or is read without the white space around it.
    """
    if name not in recorded.headers:
        return True
    cuts = [c for c in map(beginning_of, recorded.headers[name]) if c is not None]
    if not cuts:
        return False
    key = decider.policy.spec.policy.classification.header_key.lower()
    if name in {key, COMPLEXITY_HEADER}:
        return True
    return any(wanted.startswith(cut) for wanted in _telling(decider, name) for cut in cuts)


def outcome_of(decision: Decision) -> tuple[Places, str | None]:
    """Return what makes two decisions the same to a client: the candidates, or the refusal."""
    if isinstance(decision, Refuse):
        return (), decision.code
    return tuple((b.name, b.tier) for b in decision.candidates), None


def _possible(decider: Decider, missing: tuple[str, ...]) -> Iterator[dict[str, tuple[str, ...]]]:
    """Yield the values that missing headers may have had, all absent first; none if too many.

    Only values that some rule wants, and labels, can change a decision; a field may come several
    times, so every set of them counts.
    """
    telling = [_telling(decider, name) for name in missing]
    if sum(len(values) for values in telling) > MAX_OPEN:
        return
    for sets in product(*(_subsets(values) for values in telling)):
        yield {name: chosen for name, chosen in zip(missing, sets, strict=True) if chosen}


def _telling(decider: Decider, name: str) -> tuple[str, ...]:
    wanted = [value for m in decider.matchers for key, value in m.headers if key == name]
    classification = decider.policy.spec.policy.classification
    if name == classification.header_key.lower():
        wanted += sorted(classification.known)
    if name == COMPLEXITY_HEADER:
        wanted += [m.complexity for m in decider.matchers if m.complexity is not None]
    return tuple(dict.fromkeys(wanted))


def _subsets(values: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(values, n) for n in range(len(values) + 1))


def _undecidable(
    recorded: Recorded,
    missing: tuple[str, ...],
    absent: Decision,
    other: Decision,
    values: Mapping[str, tuple[str, ...]],
) -> Replayed:
    told = ", ".join(f"{name}: {', '.join(fields)}" for name, fields in values.items())
    reasons = (
        "the record does not hold " + ", ".join(missing),
        f"without it: {describe(absent)}",
        f"with {told}: {describe(other)}",
    )
    return Replayed(recorded, "undecidable", missing=missing, reasons=reasons)


def _compared(recorded: Recorded, decision: Decision, missing: tuple[str, ...]) -> Replayed:
    now, code = outcome_of(decision)
    was = FORMERLY.get(recorded.code or "", recorded.code)
    same = now == recorded.candidates and (bool(now) or code == was)
    reasons = [f"skips {c.backend}: {c.reason}" for c in _skipped(decision)]
    reasons += [
        f"{name} was {tier}, is {dict(now)[name]}"
        for name, tier in recorded.candidates
        if dict(now).get(name, tier) != tier
    ]
    if missing:
        reasons.append(f"the record does not hold {', '.join(missing)}: it does not matter here")
    return Replayed(
        recorded,
        "same" if same else "different",
        decision=decision,
        missing=missing,
        widens=bool(_new_clouds(recorded, decision)),
        reasons=tuple(reasons),
    )


def _new_clouds(recorded: Recorded, decision: Decision) -> set[str]:
    """Return the cloud backends that a request may reach, and could not when it was recorded."""
    before = {name for name, tier in recorded.candidates if tier == "cloud"}
    return {name for name, tier in outcome_of(decision)[0] if tier == "cloud"} - before


def _skipped(decision: Decision) -> list[Any]:
    return [c for c in decision.reading.considered if c.reason not in CANDIDATES]


def describe(decision: Decision) -> str:
    """Return where a decision goes, and by which rule, as a clause."""
    by = decision.reading.rule_name or decision.reading.via
    if isinstance(decision, Route):
        return f"{by} -> " + ", ".join(b.name for b in decision.candidates)
    return f"{by} -> refused, {decision.code}"


def describe_recorded(recorded: Recorded) -> str:
    """Return the same of what was recorded."""
    by = recorded.rule or recorded.via or "none"
    if recorded.candidates:
        return f"{by} -> " + ", ".join(name for name, _ in recorded.candidates)
    return f"{by} -> refused, {recorded.code}"
