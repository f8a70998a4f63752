"""Random policies and requests, small enough that their parts meet often."""

from hypothesis import strategies as st
from lockgate.policy.deciding.decision import Request
from lockgate.policy.spec.backends import Backend, External, InferenceServiceRef
from lockgate.policy.spec.model_router import Governance, RouterSpec
from lockgate.policy.spec.rules import Match, RouteTo, Rule

NAMES = ("a", "b", "c", "d")
LABELS = ("pii", "phi", "public", "internal")
CAPABILITIES = ("code", "vision")
PATTERNS = ("gpt-4*", "gpt-*", "*", "a", "qwen?", "gpt-4o")
MODELS = ("gpt-4o", "gpt-3", "a", "b", "qwen3", "x/y")


def _some(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=2, unique=True).map(tuple)


@st.composite
def backends(draw: st.DrawFn, name: str) -> Backend:
    """Draw one backend of either tier."""
    capabilities = draw(_some(CAPABILITIES))
    if draw(st.booleans()):
        ref = InferenceServiceRef(name=name)
        return Backend(name=name, inference_service_ref=ref, capabilities=capabilities)
    external = External(provider="openai", model="m")
    return Backend(name=name, tier="cloud", external=external, capabilities=capabilities)


matches = st.builds(
    Match,
    data_classification=_some(LABELS),
    task_complexity=st.sampled_from([None, None, "simple", "complex"]),
    models=_some(PATTERNS),
    headers=st.sampled_from([{}, {}, {"X-Org": "one"}]),
    required_capabilities=st.sampled_from([(), (), ("code",), ("code", "vision")]),
)


@st.composite
def specs(draw: st.DrawFn) -> RouterSpec:
    """Draw a policy, also ones that loading would refuse."""
    names = NAMES[: draw(st.integers(1, 4))]
    count = draw(st.integers(0, 4))
    chosen = st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True).map(tuple)
    rules = tuple(
        Rule(
            name=f"r{number}",
            match=draw(st.none() | matches),
            route=RouteTo(backends=draw(chosen)),
            fail_closed=draw(st.booleans()),
        )
        for number in range(count)
    )
    return RouterSpec(
        backends=tuple(draw(backends(name)) for name in names),
        rules=rules,
        default_route=draw(st.none() | st.sampled_from(names)),
        default_route_strategy=draw(st.sampled_from(["Static", "BackendNameMatch"])),
        policy=Governance(mode=draw(st.sampled_from(["enforce", "enforce", "observe"]))),
    )


_values = st.sampled_from(
    ["pii", "phi", "public", "internal", "PII", "typo", "", "public,", "x,pii"]
)
_headers = st.fixed_dictionaries(
    {},
    optional={
        "x-llmkube-classification": st.lists(_values, min_size=1, max_size=2).map(tuple),
        "x-llmkube-task-complexity": st.sampled_from(
            [("simple",), ("complex",), ("odd",), ("simple", "complex")]
        ),
        "x-org": st.sampled_from([("one",), ("two",), ("two", "one")]),
    },
)
requests = st.builds(Request, model=st.sampled_from(MODELS), headers=_headers)
