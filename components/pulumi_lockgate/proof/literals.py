"""The atoms of the proof: everything about a request that a policy can tell apart.

A request is a set of atoms. What a policy asks of one is a conjunction of clauses, each a set of
atoms of which one at least must be there (`Conditions`). No clause asks for an absence; `Stated`,
the one atom that goes away when more is there, is defined out of the others (`Vocabulary.stated`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from attrs import astuple, frozen
from lockgate.policy.deciding.field_values import stripped
from lockgate.policy.deciding.labels import read_labels
from lockgate.policy.deciding.match import COMPLEXITY_HEADER, TEAM_HEADER
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.spec.invariants import Invariant
from lockgate.policy.spec.rules import Match

_SENDABLE: Final = re.compile(r"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?\Z")
"""A field's value as the proxy's head gate lets it through, outer spaces taken off."""
_NEVER_SEEN: Final = frozenset({"content-length"})
"""Fields that the head gate takes for itself."""


@frozen(order=True)
class Text:
    """A field `name` is there whose whole value is `value`."""

    name: str
    value: str


@frozen(order=True)
class Token:
    """A classification field has the token `label`; its whole value is none that is a `Text`."""

    name: str
    label: str


@frozen(order=True)
class Junk:
    """A classification field has a token that none of the policies knows."""

    name: str


@frozen(order=True)
class Again:
    """A field that is there once is there twice."""

    name: str


@frozen(order=True)
class Stated:
    """Exactly one complexity field is there, and it says `value`."""

    value: str


@frozen(order=True)
class Glob:
    """The model asked for is one that `pattern` matches."""

    pattern: str


Atom = Text | Token | Junk | Again | Stated | Glob
Clause = frozenset[Atom]
Conditions = tuple[Clause, ...]


def order(atom: Atom) -> tuple[str, ...]:
    """Return the key by which atoms are sorted."""
    return (type(atom).__name__, *map(str, astuple(atom)))


@frozen
class Vocabulary:
    """The atoms of several policies: one request is read by all of them.

    `texts` has for each lower-case field name the values that matter, `tokens` for each
    classification field the labels that any policy knows, `stated` for each complexity the texts
    that say it, `patterns` all that is asked of model names.
    """

    texts: Mapping[str, tuple[str, ...]]
    tokens: Mapping[str, tuple[str, ...]]
    stated: Mapping[str, tuple[Text, ...]]
    patterns: tuple[str, ...] = ()

    # -- what one policy asks

    def conditions(self, policy: LoadedPolicy, match: Match | None) -> Conditions:
        """Return what `match` asks of a request under `policy`."""
        asked = match or Match()
        clauses: list[Clause] = []
        if asked.data_classification:
            clauses.append(self.labelled(policy, asked.data_classification))
        if asked.task_complexity is not None:
            clauses.append(frozenset({Stated(asked.task_complexity)}))
        clauses += [self.field(name, value) for name, value in asked.headers.items()]
        if asked.models:
            clauses.append(named(asked.models))
        return tuple(clauses)

    def field(self, name: str, value: str) -> Clause:
        """Return the clause that a field with exactly `value` is there; no atom if none can be."""
        lower = name.lower()
        return frozenset({Text(lower, value)} if _sendable(lower, value) else ())

    def sensitive(self, policy: LoadedPolicy) -> Clause:
        """Return the clause that a request is sensitive under `policy`."""
        return self.labelled(policy, policy.spec.policy.classification.sensitive)

    def labelled(self, policy: LoadedPolicy, labels: Iterable[str]) -> Clause:
        """Return the clause that one of `labels` is among the request's.

        A token that `policy` does not know stands for every sensitive label.
        """
        classification = policy.spec.policy.classification
        name, wanted = classification.header_key.lower(), frozenset(labels)
        atoms: set[Atom] = {
            Token(name, token)
            for token in self.tokens[name]
            if token in wanted
            or (token not in classification.known and wanted & classification.sensitive)
        }
        if wanted & classification.sensitive:
            atoms.add(Junk(name))
        atoms |= {
            Text(name, value)
            for value in self.texts.get(name, ())
            if read_labels((value,), classification).names & wanted
        }
        return frozenset(atoms)

    def any_label(self, policy: LoadedPolicy) -> Clause:
        """Return the clause that a classification field is there at all."""
        name = policy.spec.policy.classification.header_key.lower()
        tokens = {Token(name, token) for token in self.tokens[name]}
        texts = {Text(name, value) for value in self.texts.get(name, ())}
        return frozenset({Junk(name), *tokens, *texts})

    def other_labels(self, policy: LoadedPolicy, label: str) -> Clause:
        """Return the clause that something says more than, or other than, `label`."""
        classification = policy.spec.policy.classification
        return frozenset(
            atom
            for atom in self.any_label(policy)
            if not (isinstance(atom, Token) and atom.label == label)
            and not (
                isinstance(atom, Text)
                and read_labels((atom.value,), classification).names == {label}
            )
        )

    def when(self, policy: LoadedPolicy, invariant: Invariant) -> tuple[Conditions, Conditions]:
        """Return what an invariant's `when` asks for, and clauses none of which may hold."""
        when = invariant.when
        match = Match(
            data_classification=when.labels,
            task_complexity=when.task_complexity,
            models=when.models,
            headers=when.headers,
        )
        asked = self.conditions(policy, match)
        if when.team is not None:
            asked += (self.field(TEAM_HEADER, when.team),)
        return asked, ((self.any_label(policy),) if when.unlabelled else ())


def named(patterns: Iterable[str]) -> Clause:
    """Return the clause that one of `patterns` takes the model's name."""
    return frozenset(Glob(pattern) for pattern in patterns)


def literal(name: str) -> str:
    """Return the pattern that takes `name` and nothing else."""
    return "".join(f"\\{char}" if char in "*?[\\" else char for char in name)


def vocabulary_of(policies: Iterable[LoadedPolicy]) -> Vocabulary:
    """Return the atoms that the policies together can tell apart."""
    policies = tuple(policies)
    texts: dict[str, dict[str, None]] = {}
    complexities: dict[str, None] = {}
    for policy in policies:
        for match in _matches(policy):
            for name, value in match.headers.items():
                texts.setdefault(name.lower(), {})[value] = None
            if match.task_complexity is not None:
                complexities[match.task_complexity] = None
    stated = _stated(texts, complexities)
    tokens: dict[str, set[str]] = {}
    for policy in policies:
        classification = policy.spec.policy.classification
        tokens.setdefault(classification.header_key.lower(), set()).update(classification.known)
    return Vocabulary(
        texts={
            name: tuple(sorted(value for value in values if _sendable(name, value)))
            for name, values in texts.items()
        },
        tokens={name: tuple(sorted(labels)) for name, labels in tokens.items()},
        stated=stated,
        patterns=tuple(
            dict.fromkeys(pattern for policy in policies for pattern in _patterns(policy))
        ),
    )


def _patterns(policy: LoadedPolicy) -> Iterator[str]:
    for rule in policy.spec.rules:
        yield from rule.match.models if rule.match else ()
    for invariant in policy.spec.policy.invariants:
        yield from invariant.when.models
    if policy.spec.default_route_strategy == "BackendNameMatch":
        yield from (literal(backend.published_id) for backend in policy.spec.backends)


def _matches(policy: LoadedPolicy) -> Iterator[Match]:
    for rule in policy.spec.rules:
        yield rule.match or Match()
    for invariant in policy.spec.policy.invariants:
        when = invariant.when
        headers = dict(when.headers)
        if when.team is not None:
            yield Match(headers={TEAM_HEADER: when.team})
        yield Match(headers=headers, task_complexity=when.task_complexity)


def _stated(
    texts: dict[str, dict[str, None]], complexities: Iterable[str]
) -> dict[str, tuple[Text, ...]]:
    """Return for each complexity the texts that say it, and put those texts among `texts`.

    A value comes without outer spaces: what says a complexity is that word.
    """
    own = texts.setdefault(COMPLEXITY_HEADER, {})
    for complexity in complexities:
        own[complexity] = None
    return {
        complexity: tuple(
            Text(COMPLEXITY_HEADER, value) for value in sorted(own) if stripped(value) == complexity
        )
        for complexity in complexities
    }


def _sendable(name: str, value: str) -> bool:
    return _SENDABLE.match(value) is not None and name not in _NEVER_SEEN
