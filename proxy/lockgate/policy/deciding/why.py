"""Why a rule holds for a request, or which of its dimensions do not.

`Matcher.holds` decides, on the data path, and stops at the first dimension that fails. This lists
all of them, for people; a property test holds the two together.
"""

from collections.abc import Iterator

from attrs import frozen

from lockgate.policy.deciding.decide import Decider
from lockgate.policy.deciding.decision import Decision, Labels, Request
from lockgate.policy.deciding.match import COMPLEXITY_HEADER, Matcher, complexity_of, says


@frozen
class Unmet:
    """A dimension that does not hold. `dimension` is a path under the rule's match."""

    dimension: str
    wanted: tuple[str, ...]
    got: tuple[str, ...]

    def __str__(self) -> str:
        """Return it as a clause: ``taskComplexity wants complex, got none``."""
        wanted = " or ".join(self.wanted)
        return f"{self.dimension} wants {wanted}, got {', '.join(self.got) or 'none'}"


@frozen
class RuleReading:
    """Whether one rule matches one request. `decides`: it is the first that does."""

    name: str
    holds: bool
    decides: bool
    unmet: tuple[Unmet, ...]


def rule_readings(
    decider: Decider, request: Request, decision: Decision
) -> tuple[RuleReading, ...]:
    """Return for every rule of the policy, in order, whether it matches the request."""
    labels = decision.reading.labels
    return tuple(
        RuleReading(
            name=matcher.rule.name,
            holds=matcher.holds(request, labels),
            decides=matcher.rule is decision.reading.rule,
            unmet=tuple(unmet(matcher, request, labels)),
        )
        for matcher in decider.matchers
    )


def unmet(matcher: Matcher, request: Request, labels: Labels) -> Iterator[Unmet]:
    """Yield every dimension of the rule that the request does not have."""
    if matcher.labels and matcher.labels.isdisjoint(labels.names):
        yield Unmet(
            "dataClassification", tuple(sorted(matcher.labels)), tuple(sorted(labels.names))
        )
    if matcher.complexity is not None and complexity_of(request.headers) != matcher.complexity:
        got = request.headers.get(COMPLEXITY_HEADER, ())
        yield Unmet("taskComplexity", (matcher.complexity,), got)
    if matcher.models and not any(matches(request.model) for matches in matcher.models):
        patterns = matcher.rule.match.models if matcher.rule.match else ()
        yield Unmet("models", patterns, (request.model,))
    for name, value in matcher.headers:
        got = request.headers.get(name, ())
        if not says(got, value):
            yield Unmet(f"headers.{name}", (value,), got)
