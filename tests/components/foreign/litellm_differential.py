"""Holds the proof of a LiteLLM config to the real LiteLLM, on random small configs."""

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from random import Random
from typing import Any

from attrs import frozen
from lockgate.policy.reading.document import from_plain
from lockgate.policy.reading.problem import PolicyRefusedError
from pulumi_lockgate.foreign.litellm.config import Config, Deployment, read
from pulumi_lockgate.foreign.litellm.lookup import Names
from pulumi_lockgate.foreign.litellm.prove import prove_litellm
from pulumi_lockgate.foreign.litellm.walk import Walk, with_body
from pulumi_lockgate.foreign.report import Failure, ForeignFinding, ForeignReport

from tests.components.foreign.litellm_real import LiteLLM

NAMES = ("a", "b", "c", "d", "openai/a", "gpt-4o")
WILD = ("*", "a*", "openai/*", "x/*", "b*c")
ASKED = (*NAMES, "zz", "ab", "bxc", "bxcd", "x/y", "openai/b", "openai/zz", "i1", "openai/gpt-4o")
KINDS: tuple[Failure, ...] = ("any", "long", "content")
COOLING = {"disable_cooldowns": False}
"""A busy deployment is left out for a while, so that others of its model are asked."""
SHARE = 0.1
"""Of the requests that go through the whole of the proxy, and not its routing alone."""
TRIES = 20
"""For a leak that hangs on LiteLLM's own choice: it is tried so often, three requests each."""


# -- random configs


def _entry(random: Random, number: int, group: str) -> dict[str, Any]:
    params: dict[str, Any] = {"api_key": str(number)}
    kind = random.choice(("local", "local", "cloud"))
    if kind == "local":
        params |= {"model": f"hosted_vllm/{random.choice('mn')}", "api_base": "http://10.0.0.1/v1"}
    else:
        model = random.choice(("openai/gpt-4o", "openai/gpt-4o", "anthropic/claude-sonnet-4"))
        params["model"] = "openai/*" if "*" in group and random.random() < 0.5 else model
    if random.random() < 0.2:
        params["order"] = random.choice((1, 2))
    entry: dict[str, Any] = {"model_name": group, "litellm_params": params}
    if random.random() < 0.15:
        entry["model_info"] = random.choice(({"id": f"i{number}"}, {"blocked": True}))
    return entry


def _list(random: Random, names: tuple[str, ...]) -> list[dict[str, list[Any]]]:
    keys = (*names, "*", "openai/gpt-4o")
    return [
        {random.choice(keys): [_target(random, names) for _ in range(random.choice((1, 1, 2, 0)))]}
        for _ in range(random.choice((1, 2, 3)))
    ]


def _target(random: Random, names: tuple[str, ...]) -> Any:
    name = random.choice((*names, *names, *ASKED))
    return {"model": name} if random.random() < 0.1 else name


def config_of(random: Random) -> dict[str, Any]:
    """Return a random config: up to five deployments, and some of the settings that route."""
    pool = random.sample(NAMES, 3) + ([random.choice(WILD)] if random.random() < 0.4 else [])
    groups = [random.choice(pool) for _ in range(random.choice((2, 3, 4, 5)))]
    models = [_entry(random, number, group) for number, group in enumerate(groups)]
    names = tuple(dict.fromkeys((*groups, *random.sample(NAMES, 1))))
    router: dict[str, Any] = {"num_retries": 0, "disable_cooldowns": True}
    process: dict[str, Any] = {}
    for name, chance in (
        ("fallbacks", 0.6),
        ("context_window_fallbacks", 0.2),
        ("content_policy_fallbacks", 0.2),
    ):
        for section, part in ((router, 0.7), (process, 0.3)):
            if random.random() < chance * part:
                section[name] = _list(random, names)
    for section in (router, process):
        if random.random() < 0.12:
            section["default_fallbacks"] = [
                random.choice(names) for _ in range(random.choice((1, 2, 0)))
            ]
    if random.random() < 0.2:
        router["model_group_alias"] = {
            random.choice((*NAMES, "al")): random.choice(
                (random.choice(names), {"model": random.choice(names), "hidden": True})
            )
        }
    if random.random() < 0.1:
        process["model_alias_map"] = {random.choice((*NAMES, "re")): random.choice((*names, "al"))}
    if random.random() < 0.2:
        router["max_fallbacks"] = random.choice((0, 1, 2))
    return {"model_list": models, "router_settings": router, "litellm_settings": process}


def body_of(random: Random, asked: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Return a random body for `asked`, one in three with fallbacks of its own."""
    body: dict[str, Any] = {"model": asked, "messages": [{"role": "user", "content": "hello"}]}
    if random.random() < 0.33:
        body["fallbacks"] = [random.choice((*names, *ASKED)) for _ in range(random.choice((1, 2)))]
    return body


# -- what each says


def expected(config: Config, asked: str, kind: Failure) -> list[list[Deployment]] | None:
    """Return the sets out of which LiteLLM asks, in order; None where that is not certain."""
    name = config.renames.get(asked, asked)
    names = Names(config)
    if not names.is_taken(name):
        return []
    walk = Walk(config, config.lists, name, config.most_hops)
    out: list[list[Deployment]] = []
    for name in walk.tried({}, kind):
        meaning = names.meaning(name)
        if not meaning.certain or not all(
            chain.certain for failure in KINDS for chain in walk.after(name, failure)
        ):
            return None
        out += [list(meaning.deployments)] if meaning.deployments else []
    return out


def agrees(sets: list[list[Deployment]], numbers: list[int]) -> bool:
    """Whether LiteLLM asked deployments of each set, in order.

    Of one set it asks one, or one of each `order`; several again where it counts its orders so.
    """
    known = [{one.number for one in found} for found in sets]
    ordered = [any(one.order is not None for one in found) for found in sets]

    def fits(at: int, rest: int) -> bool:
        if at == len(known):
            return rest == len(numbers)
        most = 4 if ordered[at] else 1
        for end in range(rest + 1, min(rest + most, len(numbers)) + 1):
            if numbers[end - 1] not in known[at]:
                return False
            if fits(at + 1, end):
                return True
        return False

    return fits(0, 0)


def may_reach(config: Config, body: dict[str, Any]) -> set[int]:
    """Return the numbers of the deployments that a request may reach, whatever fails."""
    name = config.renames.get(body["model"], body["model"])
    lists = with_body(config.lists, tuple(body["fallbacks"]))
    return Walk(config, lists, name, config.most_hops).reached()


class DisagreementError(AssertionError):
    """The proof and LiteLLM disagree about one config."""


@frozen
class Question:
    """A request for the real LiteLLM, and what is wrong with the deployments that it asked."""

    request: dict[str, Any]
    fault: Callable[[list[int]], str | None]


class Differential:
    """Compares on one config after the other; `counts` says what was seen."""

    def __init__(self, real: LiteLLM, random: Random) -> None:
        self.real, self.random = real, random
        self.counts: Counter[str] = Counter()
        self.plain: dict[str, Any] = {}

    def compare(self) -> None:
        """Draw one config and compare; raises DisagreementError."""
        plain = self.plain = config_of(self.random)
        try:
            config = read((from_plain(plain),), "config.yaml", {})
        except PolicyRefusedError as refused:
            raise DisagreementError(f"{json.dumps(plain)} is refused: {refused}") from None
        renamed = bool(config.renames)  # which the proxy does before it routes
        questions = list(self._questions(config))
        requests = [
            {**question.request, "whole": renamed or self.random.random() < SHARE}
            for question in questions
        ]
        for question, one in zip(questions, self._ask(plain, requests), strict=True):
            fault = question.fault([int(key) for key, _ in one["called"]])
            if fault is not None:
                self._fail(plain, f"{question.request}: {fault}", one)

    def _questions(self, config: Config) -> Iterator[Question]:
        yield from self._routes(config)
        for route in (False, True):
            try:
                report = prove_litellm(config, callers_route=route)
            except PolicyRefusedError:
                self.counts["nothing local"] += 1
                return
            self.counts["proved" if report.proved else "violated"] += 1
            if report.proved:
                yield from self._stays(config, report, route=route)
        for finding in report.findings:
            self.counts[finding.kind] += 1
            if finding.kind == "leak":
                self._replay(config, finding)

    def _routes(self, config: Config) -> Iterator[Question]:
        """Ask, deployment by deployment, what three requests meet when all fails."""
        names = (*config.groups, *config.aliases)
        for _ in range(3):
            asked = self.random.choice((*names, *names, *ASKED)).replace("*", "q")
            # one that is asked for by its own model name is told so to the next one, too
            if Names(config).meaning(asked).via.startswith("model "):
                continue
            body, kind = body_of(self.random, asked, names), self.random.choice(KINDS)
            request = {"body": body, "failing": {"*": kind}}
            if "fallbacks" in body and not Names(config).meaning(asked).deployments:
                continue
            if "fallbacks" in body:
                self.counts["bodies"] += 1
                yield Question(request, partial(_beyond, may_reach(config, body)))
                continue
            sets = expected(config, asked, kind)
            self.counts["routes" if sets is not None else "not certain"] += 1
            if sets is not None:
                self.counts["hops"] += max(0, len(sets) - 1)
                yield Question(request, partial(_otherwise, sets))

    def _stays(self, config: Config, report: ForeignReport, *, route: bool) -> Iterator[Question]:
        """Ask for what must stay local; none may reach a cloud."""
        names = (*config.groups, *config.aliases)
        local = {one.number for one in config.deployments if one.tier == "local"}
        for _ in range(3):
            asked = self.random.choice(report.sensitive)
            if "*" in asked:
                continue
            body = body_of(self.random, asked, names)
            if not route:
                body.pop("fallbacks", None)
            kinds = {str(one.number): self.random.choice(KINDS) for one in config.deployments}
            self.counts["stayed"] += 1
            yield Question({"body": body, "failing": kinds}, partial(_beyond, local))

    def _ask(self, plain: dict[str, Any], requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        answer = self.real.ask(plain, requests)
        if "refused" in answer:
            self._fail(plain, "LiteLLM does not load it", answer)
        told: list[dict[str, Any]] = answer["told"]
        return told

    def _replay(self, config: Config, finding: ForeignFinding) -> None:
        """Send the curl line that is shown until it reaches a cloud deployment of the config."""
        assert finding.example is not None
        line = shlex.split(finding.example.curl())
        body = json.loads(line[line.index("-d") + 1])
        names, failing = Names(config), dict[str, list[str]]()
        for name, kind in finding.example.failing:
            for one in names.meaning(name).deployments:
                failing.setdefault(str(one.number), []).append(kind)
        clouds = {str(one.number) for one in config.deployments if one.tier == "cloud"}
        plain = self.plain | {"router_settings": {**self.plain["router_settings"], **COOLING}}
        first = _tired(config, failing) if finding.example.picked else []
        busy = {number: ["busy" if k == "any" else k for k in ks] for number, ks in failing.items()}
        for _ in range(TRIES if finding.example.picked else 1):
            for other, down in product(KINDS, (failing, busy)):
                request = {"body": body, "failing": {"*": other, **down}, "whole": True}
                told = self._ask(plain, [*first, request])
                if any(key in clouds for key, _ in told[-1]["called"]):
                    self.counts["replayed"] += 1
                    return
        self._fail(plain, f"the leak is none: {finding}", told)

    def _fail(self, plain: dict[str, Any], here: str, there: Any) -> None:
        raise DisagreementError(f"{json.dumps(plain)}\nhere: {here}\nLiteLLM: {there}")


def _tired(config: Config, failing: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Return requests by which local deployments that the leak does not need cool down."""
    local = [str(one.number) for one in config.deployments if one.tier == "local"]
    down = {number: "busy" for number in local if number not in failing}
    said = [{"role": "user", "content": "hello"}]
    bodies = [{"model": group.replace("*", "q"), "messages": said} for group in config.groups]
    return [{"body": body, "failing": down, "whole": False} for body in (*bodies, *bodies)]


def _beyond(allowed: set[int], called: list[int]) -> str | None:
    more = set(called) - allowed
    return f"{more} cannot be reached" if more else None


def _otherwise(sets: list[list[Deployment]], called: list[int]) -> str | None:
    said = [[one.number for one in found] for found in sets]
    return None if agrees(sets, called) else f"it is {said}"
