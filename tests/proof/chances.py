"""Random policies and requests whose parts meet often: the same for a seed, on every machine."""

from itertools import product
from random import Random
from typing import Any

from lockgate.policy.deciding.decision import Request
from lockgate.policy.spec.backends import Backend, External, InferenceServiceRef
from lockgate.policy.spec.invariants import BackendSet, Invariant, When
from lockgate.policy.spec.model_router import Classification, Governance, RouterSpec
from lockgate.policy.spec.rules import Match, RouteTo, Rule

CLASS, COMPLEXITY, TEAM = "x-llmkube-classification", "x-llmkube-task-complexity", "x-llmkube-team"
SENSITIVE, KNOWN = ("pii", "phi"), ("public", "lab")
PLAIN = ("a*", "*b", "?", "a", "ab", "*a*", "??")
RICH = (*PLAIN, "*/*", "*[^a]b", "[^b]*a", "*[^b]*a", "[a-b]/?", "\\*", "*/b", "[^a]", "*b*", "*?b")
MODELS = (*("".join(s) for n in (1, 2, 3) for s in product("ab/", repeat=n)), "*", "m", "é")
LABELS = (
    "pii",
    "phi",
    "public",
    "lab",
    "PII",
    "typo",
    "",
    "pii,public",
    "lab, phi",
    "public,",
    "pii ",
)
SPACED = ("complex\xa0", "\x85complex", "pii\xa0", "complex\t", "red\x1f")
"""Values with what some call a space at an end."""
READ = {
    "X-Org": ("one", "two"),
    "x-org": ("one",),
    COMPLEXITY: ("complex", "odd"),
    "x-llmkube-classification": ("pii", "public", "typo"),
    "X-LLMKube-Team": ("red",),
}
"""Headers that rules read word for word, and the values they want."""


def policy(chance: Random, *, rich: bool) -> RouterSpec:
    """Return a policy; one that is not `rich` has only patterns and headers of the naive spec."""
    ids = [None, None, "aa", "ab", "*", "a/b"]
    chance.shuffle(ids)
    backends = tuple(backend(chance, name, ids.pop() if rich else None) for name in "abcd")
    names = [b.name for b in backends]
    rules = tuple(rule(chance, n, names, rich=rich) for n in range(chance.randrange(6)))
    invariants = (invariant(chance, names),) if chance.random() < 0.7 else ()
    key = chance.choice((CLASS,) * 5 + (COMPLEXITY, COMPLEXITY, "X-Org", TEAM)) if rich else CLASS
    known = (*KNOWN, "complex", "red") if rich and chance.random() < 0.5 else KNOWN
    held = Classification(
        header_key=key, sensitive_classifications=SENSITIVE, known_classifications=known
    )
    mode: Any = "observe" if chance.random() < 0.25 else "enforce"
    return RouterSpec(
        backends=backends,
        rules=rules,
        default_route=chance.choice([None, *names]),
        default_route_strategy=chance.choice(("Static", "BackendNameMatch")),
        policy=Governance(classification=held, invariants=invariants, mode=mode),
    )


def backend(chance: Random, name: str, published: str | None) -> Backend:
    """Return a backend of either tier."""
    capabilities = tuple(chance.sample(("code", "vision"), chance.randrange(3)))
    if chance.random() < 0.6:
        return Backend(
            name=name,
            display_name=published,
            inference_service_ref=InferenceServiceRef(name=name),
            capabilities=capabilities,
        )
    return Backend(
        name=name,
        display_name=published,
        tier="cloud",
        external=External(provider="openai", model=name),
        capabilities=capabilities,
    )


def rule(chance: Random, number: int, names: list[str], *, rich: bool) -> Rule:
    """Return a rule over some of the dimensions."""
    patterns = RICH if rich else PLAIN
    match = Match(
        data_classification=some(chance, (*SENSITIVE, *KNOWN), 0.5),
        task_complexity=chance.choice([None, None, None, "simple", "complex"]),
        models=some(chance, patterns, 0.5),
        headers=headers(chance) if rich else {},
        required_capabilities=some(chance, ("code", "vision"), 0.2),
    )
    return Rule(
        name=f"r{number}",
        match=match if chance.random() < 0.9 else None,
        route=RouteTo(refuse=True)
        if rich and chance.random() < 0.15
        else RouteTo(backends=tuple(chance.sample(names, chance.randint(1, 3)))),
        fail_closed=chance.random() < 0.5,
    )


def headers(chance: Random) -> dict[str, str]:
    """Return what a rule reads word for word."""
    names = [name for name in READ if chance.random() < 0.15]
    names = list({name.lower(): name for name in names}.values())
    return {name: chance.choice(READ[name]) for name in names}


def some(chance: Random, values: tuple[str, ...], share: float) -> tuple[str, ...]:
    """Return one or two of `values`, or nothing."""
    return tuple(chance.sample(values, chance.randint(1, 2))) if chance.random() < share else ()


def invariant(chance: Random, names: list[str]) -> Invariant:
    """Return an invariant over one or two dimensions."""
    unlabelled = chance.random() < 0.3
    when = When(
        labels=() if unlabelled else some(chance, (*SENSITIVE, *KNOWN), 0.4),
        unlabelled=True if unlabelled else None,
        task_complexity=chance.choice([None, None, "complex"]),
        models=some(chance, PLAIN, 0.3),
        team=chance.choice([None, None, "red"]),
    )
    points = chance.choice(
        (BackendSet(tier="cloud"), BackendSet(tier="local"), BackendSet(backends=tuple(names[:2])))
    )
    never = chance.random() < 0.5
    return Invariant(
        name="i", when=when, never=points if never else None, only=None if never else points
    )


def request(chance: Random, key: str = CLASS) -> Request:
    """Return a request that says little or much; its labels stand in `key`, among others."""
    fields: dict[str, tuple[str, ...]] = {}
    if chance.random() < 0.8:
        fields[CLASS] = tuple(chance.choices(LABELS, k=chance.choice((1, 1, 2))))
    if chance.random() < 0.6:
        values = ("simple", "complex", "complex", "odd", *SPACED)
        fields[COMPLEXITY] = tuple(chance.choices(values, k=chance.choice((1, 1, 1, 2))))
    if chance.random() < 0.5:
        fields["x-org"] = tuple(chance.sample(("one", "two", "three"), chance.choice((1, 1, 2))))
    if chance.random() < 0.4:
        fields[TEAM] = (chance.choice(("red", "blue")),)
    if key != CLASS and chance.random() < 0.6:
        fields[key] = tuple(
            chance.choices((*LABELS, "complex", "red", *SPACED), k=chance.choice((1, 1, 2)))
        )
    return Request(chance.choice(MODELS), fields)


def key_of(spec: RouterSpec) -> str:
    """Return the field that carries the labels."""
    return spec.policy.classification.header_key.lower()
