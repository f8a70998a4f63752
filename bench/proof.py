"""How long a proof takes, and how much memory: random policies of a stated size, seed by seed.

Each policy has 30 labels, 100 backends, as many overlapping patterns as rules (200 at least), and
rules over every dimension. Half of them keep their sensitive labels local in their first rules, as
people write them; the others leak in many places, so that many witnesses are made.
"""

import argparse
import random
import resource
import time
from collections.abc import Iterator
from itertools import pairwise

from lockgate.policy.reading.load import compiled
from lockgate.policy.spec.backends import Backend, External, InferenceServiceRef
from lockgate.policy.spec.model_router import Classification, Governance, RouterSpec
from lockgate.policy.spec.rules import Match, RouteTo, Rule, TaskComplexity
from pulumi_lockgate.proof.checks import prove
from pulumi_lockgate.proof.report import Report, counted

SENSITIVE = tuple(f"secret-{n}" for n in range(12))
KNOWN = tuple(f"label-{n}" for n in range(18))
WORDS = ("gpt", "claude", "qwen", "llama", "mini", "pro", "4o", "opus", "coder", "3")
COMPLEXITIES: tuple[TaskComplexity, ...] = ("simple", "moderate", "complex")


def pattern(chance: random.Random) -> str:
    """Return a pattern that overlaps with many others."""
    shapes = (
        "{0}-*", "*-{0}", "{0}*{1}", "*{0}*", "{0}-?-{1}*", "[a-m]*{0}", "{0}-[^0-9]*", "{0}/*",
        "*{0}-*-{1}", "{0}-{1}",
    )  # fmt: skip
    return chance.choice(shapes).format(chance.choice(WORDS), chance.choice(WORDS))


def patterns(chance: random.Random, count: int) -> list[str]:
    """Return `count` different patterns."""
    found: dict[str, None] = {}
    while len(found) < count:
        shape = pattern(chance)
        found[shape if chance.random() < 0.5 else f"{shape}{chance.choice('abcdef')}*"] = None
    return list(found)


def policy(seed: int, rules: int, *, kept: bool) -> RouterSpec:
    """Return a policy; `kept`: its first rules keep what is sensitive local."""
    chance = random.Random(seed)
    backends = tuple(backend(n) for n in range(100))
    globs = patterns(chance, max(200, rules // 2))
    first = tuple(keeping(n, labels) for n, labels in enumerate(thirds())) if kept else ()
    rest = tuple(rule(chance, n, globs) for n in range(rules - len(first)))
    labels = Classification(sensitive_classifications=SENSITIVE, known_classifications=KNOWN)
    return RouterSpec(
        backends=backends,
        rules=first + rest,
        default_route="b0",
        default_route_strategy="BackendNameMatch" if seed % 2 else "Static",
        policy=Governance(classification=labels),
    )


def backend(number: int) -> Backend:
    """Return one backend; every third one is local."""
    name = f"b{number}"
    if number % 3 == 0:
        return Backend(name=name, inference_service_ref=InferenceServiceRef(name=name))
    return Backend(name=name, tier="cloud", external=External(provider="openai", model=name))


def thirds() -> Iterator[tuple[str, ...]]:
    """Yield the sensitive labels in three parts."""
    for low, high in pairwise((0, 4, 8, 12)):
        yield SENSITIVE[low:high]


def keeping(number: int, labels: tuple[str, ...]) -> Rule:
    """Return a rule that keeps `labels` local."""
    match = Match(data_classification=labels)
    route = RouteTo(backends=("b0", "b3"))
    return Rule(name=f"keep{number}", match=match, route=route, fail_closed=True)


def rule(chance: random.Random, number: int, globs: list[str]) -> Rule:
    """Return a rule over some of the dimensions."""
    headers = {f"x-h{chance.randrange(6)}": f"v{chance.randrange(40)}"}
    labels = chance.sample(SENSITIVE + KNOWN, chance.randint(1, 3))
    plain = chance.random() < 0.02
    match = Match(
        data_classification=tuple(labels) if chance.random() < 0.3 else (),
        task_complexity=chance.choice(COMPLEXITIES) if chance.random() < 0.3 else None,
        models=tuple(chance.sample(globs, chance.randint(1, 3))),
        headers={} if plain else headers,
    )
    chain = tuple(f"b{n}" for n in chance.sample(range(100), 3))
    closed = chance.random() < 0.5
    return Rule(name=f"r{number}", match=match, route=RouteTo(backends=chain), fail_closed=closed)


def measured(seed: int, rules: int, *, kept: bool) -> tuple[float, Report]:
    """Prove one policy; return seconds of CPU and the report."""
    loaded = compiled(policy(seed, rules, kept=kept))
    begun = time.process_time()
    report = prove(loaded)
    return time.process_time() - begun, report


def main() -> None:
    """Print a line a policy."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rules", type=int, nargs="*", default=[200, 1000])
    arguments.add_argument("--seeds", type=int, default=4)
    given = arguments.parse_args()
    for rules in given.rules:
        for seed in range(given.seeds):
            for kept in (True, False):
                seconds, report = measured(seed, rules, kept=kept)
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                kind = "kept" if kept else "loose"
                print(
                    f"{rules:5} rules, seed {seed} {kind:5}: {seconds:6.2f} s, "
                    f"peak {peak:5.0f} MiB: {counted(report.findings) or 'proved'}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
