"""Whether a rule's match holds for a request: every stated dimension must."""

from collections.abc import Callable, Mapping

from attrs import frozen

from lockgate.policy.deciding.decision import Labels, Request
from lockgate.policy.deciding.field_values import stripped
from lockgate.policy.glob import compile_glob
from lockgate.policy.spec.rules import Match, Rule

COMPLEXITY_HEADER = "x-llmkube-task-complexity"
TEAM_HEADER = "x-llmkube-team"


def complexity_of(headers: Mapping[str, tuple[str, ...]]) -> str | None:
    """Return the one complexity value stated; None for none, or for two, which match no rule."""
    values = headers.get(COMPLEXITY_HEADER, ())
    return stripped(values[0]) if len(values) == 1 else None


@frozen
class Matcher:
    """A rule with its patterns compiled."""

    rule: Rule
    labels: frozenset[str]
    complexity: str | None
    models: tuple[Callable[[str], object], ...]
    headers: tuple[tuple[str, str], ...]
    restricts: bool

    def holds(self, request: Request, labels: Labels) -> bool:
        """Whether every stated dimension holds. A rule that restricts holds when in doubt."""
        try:
            return self._holds(request, labels)
        except Exception:  # noqa: BLE001 - whatever went wrong, a restriction stands
            return self.restricts

    def _holds(self, request: Request, labels: Labels) -> bool:
        if self.labels and self.labels.isdisjoint(labels.names):
            return False
        if self.complexity is not None and complexity_of(request.headers) != self.complexity:
            return False
        if self.models and not any(matches(request.model) for matches in self.models):
            return False
        return all(says(request.headers.get(name, ()), value) for name, value in self.headers)


def says(values: tuple[str, ...], wanted: str) -> bool:
    """Whether one of a field's values is `wanted`, the white space around it aside."""
    return wanted in values or any(stripped(value) == wanted for value in values)


def matcher_of(rule: Rule, *, only_local: bool) -> Matcher:
    """Compile `rule`; `only_local`: all its backends are local, so it restricts."""
    match = rule.match or Match()
    return Matcher(
        rule=rule,
        labels=frozenset(match.data_classification),
        complexity=match.task_complexity,
        models=tuple(compile_glob(pattern) for pattern in match.models),
        headers=tuple((name.lower(), value) for name, value in match.headers.items()),
        restricts=rule.fail_closed or only_local,
    )
