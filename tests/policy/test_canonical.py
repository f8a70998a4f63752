"""The canonical bytes: the same policy, the same digest, whatever its Deployment looks like."""

import json

from attrs import evolve
from lockgate.policy.canonical import DEPLOYMENT_ONLY, digest_of, policy_json, to_wire
from lockgate.policy.spec.backends import Backend, External, InferenceServiceRef
from lockgate.policy.spec.model_router import Proxy, RouterSpec
from lockgate.policy.spec.rules import RouteTo, Rule

LOCAL = Backend(name="a", inference_service_ref=InferenceServiceRef(name="a"))
SPEC = RouterSpec(
    backends=(LOCAL,), rules=(Rule(name="r", route=RouteTo(backends=("a",)), timeout=90.0),)
)


def test_keys_are_sorted_nothing_is_spaced_and_a_line_ends_it() -> None:
    assert policy_json(SPEC) == (
        b'{"backends":[{"inferenceServiceRef":{"name":"a"},"name":"a"}],'
        b'"rules":[{"name":"r","route":{"backends":["a"]},"timeout":"1m30s"}]}\n'
    )


def test_what_equals_its_default_is_not_written_but_a_clouds_tier_is() -> None:
    assert to_wire(Proxy()) == {}
    cloud = Backend(name="c", tier="cloud", external=External(provider="openai", model="m"))
    document = json.loads(policy_json(evolve(SPEC, backends=(LOCAL, cloud))))
    assert document["backends"][1]["tier"] == "cloud"
    assert "tier" not in document["backends"][0]


def test_what_shapes_the_deployment_alone_is_no_part_of_it() -> None:
    more = evolve(SPEC, proxy=Proxy(replicas=7, drain_grace=9.0))
    assert set(to_wire(more.proxy)) == {"replicas", "drainGrace"}
    assert set(to_wire(more.proxy)) <= DEPLOYMENT_ONLY
    assert policy_json(more) == policy_json(SPEC)
    acts = evolve(SPEC, proxy=Proxy(retry_after_max=9.0))
    assert policy_json(acts) != policy_json(SPEC)


def test_the_digest_is_sha_256_in_hex() -> None:
    nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest_of(b"") == f"sha256:{nothing}"
