"""A stack's own settings place its policy, wherever the file is read."""

import pytest
from lockgate.policy.reading.load import load_policy
from lockgate.policy.reading.placing import NAMESPACE
from lockgate.policy.reading.problem import PolicyRefusedError

ROUTER = """\
  lockgate:router:
    backends:
    - { name: a, inferenceServiceRef: { name: a } }
    - { name: b, inferenceServiceRef: { name: b, namespace: own } }
    - { name: c, tier: cloud, external: { provider: litellm, model: m } }
    defaultRoute: a
"""
URL = "  lockgate:litellmUrl: https://litellm.example.com\n"


@pytest.mark.parametrize(
    ("settings", "namespace"),
    [
        ("", NAMESPACE),
        ("  lockgate:namespace: agents\n", "agents"),
        ("  lockgate:namespace: { name: theirs, create: false }\n", "theirs"),
        ("  lockgate:namespace: [odd]\n", NAMESPACE),
    ],
)
def test_namespaces_and_the_litellm_are_filled_in(settings: str, namespace: str) -> None:
    spec = load_policy(f"config:\n{settings}{URL}{ROUTER}".encode(), "stack").spec
    refs = [b.inference_service_ref for b in spec.backends[:2]]
    assert [ref.namespace for ref in refs if ref is not None] == [namespace, "own"]
    external = spec.backends[2].external
    assert external is not None
    assert external.url == "https://litellm.example.com"


def test_a_litellm_without_an_address_is_refused_at_its_place() -> None:
    with pytest.raises(PolicyRefusedError, match="lockgate:litellmUrl: https://HOST") as refused:
        load_policy(f"config:\n{ROUTER}".encode(), "stack")
    (problem,) = refused.value.problems
    assert (problem.path, problem.line) == (
        "config.lockgate:router.backends[2].external.url",
        6,
    )


def test_a_policy_alone_is_left_as_it_is() -> None:
    lines = [line.removeprefix("    ") for line in ROUTER.splitlines()[1:] if "litellm" not in line]
    spec = load_policy("\n".join(lines).encode(), "policy").spec
    ref = spec.backends[0].inference_service_ref
    assert ref is not None
    assert ref.namespace is None
