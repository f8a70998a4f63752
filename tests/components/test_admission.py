"""A real API server refuses a policy.json that was not proved, whatever else stands on the object.

Needs `kubectl` and an API server in KUBECONFIG. The policies stay there, with the
binding that keeps the API server looking, and the namespace of the parameters.
"""

import copy
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from lockgate.policy.reading.load import load_policy
from pulumi_lockgate.manifests.admission import (
    KEY,
    PIPELINE,
    SPACE,
    admission_manifests,
    proved_texts,
)
from pulumi_lockgate.manifests.router import DIGEST_ANNOTATION, Router, router_manifests

from tests.cluster.rig import KUBECTL
from tests.support.wait import eventually

NO_SERVER = pytest.mark.skipif("KUBECONFIG" not in os.environ, reason="NOT RUN: no KUBECONFIG")
NO_KUBECTL = pytest.mark.skipif(shutil.which(KUBECTL) is None, reason="NOT RUN: no `kubectl`")
NARROW = """
backends:
- { name: l, inferenceServiceRef: { name: s, namespace: d } }
- { name: c, tier: cloud, external: { provider: openai, model: g } }
rules:
- { name: all, route: { backends: [l] }, failClosed: true }
defaultRoute: l
"""
WIDE = NARROW.replace("failClosed: true", "failClosed: false").replace("[l]", "[c]")
Object = dict[str, Any]
Done = subprocess.CompletedProcess[str]


def kubectl(*words: str, given: Any = None) -> Done:
    text = None if given is None else yaml.safe_dump_all(given)
    return subprocess.run(
        [KUBECTL, *words], input=text, capture_output=True, text=True, timeout=60, check=False
    )


def apply(*manifests: Object, words: tuple[str, ...] = ()) -> Done:
    return kubectl("apply", "-f", "-", *words, given=manifests)


def made(policy: str, namespace: str) -> dict[str, Object]:
    loaded = load_policy(policy.encode(), "policy.yaml")
    return router_manifests(Router("gate-router-proxy", namespace, loaded))


def text_of(policy: str) -> str:
    return str(made(policy, "n")["policy"]["data"][KEY])


def proved(policy: str, namespace: str) -> Object:
    config = made(policy, namespace)["policy"]
    return proved_texts(namespace, {config["metadata"]["name"]: config["data"][KEY]})


@pytest.fixture(scope="module")
def space() -> Iterator[str]:
    """A namespace whose routers are held to what is proved, once the API server does so."""
    name = f"lockgate-test-{uuid.uuid4().hex[:8]}"
    installed = admission_manifests(name)
    ours = [one for one in installed if one["metadata"]["name"].endswith(name)]
    assert kubectl("create", "namespace", name).returncode == 0
    done = apply(*installed)
    assert done.returncode == 0, done.stderr
    try:
        config = made(NARROW, name)["policy"]
        eventually(
            lambda: apply(config, words=("--dry-run=server",)).returncode != 0,
            seconds=30,
            every_s=0.2,
        )
        yield name
    finally:
        kubectl("delete", "--wait=false", "-f", "-", given=ours)
        kubectl("delete", "--wait=false", "namespace", name)


@pytest.fixture
def pipeline(space: str) -> Iterator[str]:
    """The same with the narrow policy proved, and in force."""
    done = apply(proved(NARROW, space))
    assert done.returncode == 0, done.stderr
    config = made(NARROW, space)["policy"]
    eventually(
        lambda: apply(config, words=("--dry-run=server",)).returncode == 0, seconds=30, every_s=0.2
    )
    yield space
    kubectl("-n", space, "delete", "configmaps,deployments", "--all")
    kubectl("-n", SPACE, "delete", "configmap", space)


def refused(done: Done, why: str) -> bool:
    assert done.returncode != 0, done.stdout
    assert "ValidatingAdmissionPolicy" in done.stderr, done.stderr
    assert why in done.stderr, done.stderr
    return True


@NO_SERVER
@NO_KUBECTL
class TestOnTheApiServer:
    def test_an_absent_parameter_refuses_a_policy_and_nothing_else(self, space: str) -> None:
        config, deployment = (made(NARROW, space)[key] for key in ("policy", "deployment"))
        refused(apply(config), "no params found")
        refused(apply(deployment), "no params found")
        other = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "x", "namespace": space},
        }
        assert apply(other).returncode == 0

    def test_what_was_proved_passes_and_is_told_from_what_was_edited(self, pipeline: str) -> None:
        config = made(NARROW, pipeline)["policy"]
        edited = copy.deepcopy(config)
        edited["data"][KEY] = text_of(WIDE)
        assert edited["metadata"]["annotations"][DIGEST_ANNOTATION] == config["metadata"]["annotations"][DIGEST_ANNOTATION]  # fmt: skip
        refused(apply(edited), f"{KEY} of ConfigMap {pipeline}/{config['metadata']['name']} is not the text that was proved")  # fmt: skip
        refused(apply(made(WIDE, pipeline)["policy"]), "is not the text that was proved")
        assert apply(config).returncode == 0
        assert "unchanged" in apply(config).stdout
        one_byte = copy.deepcopy(config)
        one_byte["data"][KEY] += " "
        one_byte["metadata"]["name"] += "-x"
        refused(apply(one_byte), "is not the text that was proved")

    def test_a_proved_text_under_another_name_is_not_proved(self, pipeline: str) -> None:
        config = made(NARROW, pipeline)["policy"]
        config["metadata"]["name"] = "gate-router-proxy-0000000000"
        refused(apply(config), "is not the text that was proved for this very name")

    def test_no_labels_and_no_binary_data_are_a_way_around(self, pipeline: str) -> None:
        config = made(WIDE, pipeline)["policy"]
        for labels in ({}, {"app.kubernetes.io/component": "router"}):
            bare = copy.deepcopy(config)
            bare["metadata"] = {"name": "bare", "namespace": pipeline, "labels": labels}
            refused(apply(bare), f"a ConfigMap with {KEY} has the labels")
        hidden = {**config, "data": {"a": "b"}, "binaryData": {KEY: "e30="}}
        refused(apply(hidden), "is not the text that was proved")
        more = made(NARROW, pipeline)["policy"]
        more["data"]["second.json"] = "{}"
        refused(apply(more), f"holds {KEY} and nothing else")

    def test_data_that_changes_in_place_is_compared_too(self, pipeline: str) -> None:
        """`rollout: hot` has one ConfigMap that is not immutable."""
        config = {**made(NARROW, pipeline)["policy"], "immutable": False}
        config["metadata"]["name"] = "gate-router-proxy"
        refused(apply(config), "is not the text that was proved")
        assert apply(proved_texts(pipeline, {"gate-router-proxy": text_of(NARROW)})).returncode == 0
        eventually(lambda: apply(config).returncode == 0, seconds=30, every_s=0.2)
        edited = {**config, "data": {KEY: text_of(WIDE)}}
        refused(apply(edited), "is not the text that was proved")
        name = config["metadata"]["name"]
        patch = ("-n", pipeline, "patch", "configmap", name, "--type=merge")
        refused(kubectl(*patch, "-p", yaml.safe_dump({"data": {KEY: "{}"}})), "is not the text")
        for words in (("annotate", "configmap", name, "a=b"), ("label", "configmap", name, "a=b")):
            assert kubectl("-n", pipeline, *words).returncode == 0
        label = ("label", "configmap", name, "app.kubernetes.io/component-")
        refused(kubectl("-n", pipeline, *label), f"a ConfigMap with {KEY} has the labels")
        assert apply(proved_texts(pipeline, {name: text_of(WIDE)})).returncode == 0
        eventually(lambda: apply(edited).returncode == 0, seconds=30, every_s=0.2)

    def test_an_earlier_policy_may_still_be_annotated_and_not_be_made(self, pipeline: str) -> None:
        earlier = made(NARROW, pipeline)["policy"]
        assert apply(earlier).returncode == 0
        assert apply(proved(WIDE, pipeline)).returncode == 0
        eventually(lambda: apply(made(WIDE, pipeline)["policy"]).returncode == 0, seconds=30)
        name = earlier["metadata"]["name"]
        assert kubectl("-n", pipeline, "annotate", "configmap", name, "a=b").returncode == 0
        assert kubectl("-n", pipeline, "delete", "configmap", name).returncode == 0
        refused(apply(earlier), "is not the text that was proved")

    def test_a_deployment_is_not_put_back_to_an_earlier_policy(self, pipeline: str) -> None:
        deployment, earlier = (made(p, pipeline)["deployment"] for p in (NARROW, WIDE))
        assert apply(deployment).returncode == 0
        refused(apply(earlier), "the policy that these pods would mount is not the proved one")
        assert kubectl("-n", pipeline, "annotate", "deployment", "--all", "a=b").returncode == 0
        assert (
            kubectl("-n", pipeline, "scale", "deployment", "--all", "--replicas=3").returncode == 0
        )
        assert apply(deployment).returncode == 0

    def test_nobody_but_the_pipeline_writes_what_is_proved(self, pipeline: str) -> None:
        ask = ("auth", "can-i", "-n", SPACE)
        if kubectl(*ask, "get", "nodes", "--as", "nobody").stdout.strip() == "yes":
            pytest.skip("NOT RUN: this API server lets everybody do everything")
        user = f"system:serviceaccount:{SPACE}:{PIPELINE}-{pipeline}"
        may = {(verb, f"configmaps/{pipeline}"): True for verb in ("get", "update", "patch")} | {
            ("update", "configmaps/other"): False,
            ("delete", f"configmaps/{pipeline}"): False,
        }
        for (verb, what), allowed in may.items():
            assert (kubectl(*ask, verb, what, "--as", user).stdout.strip() == "yes") == allowed
        stranger = f"system:serviceaccount:{pipeline}:default"
        assert (
            kubectl(*ask, "update", f"configmaps/{pipeline}", "--as", stranger).stdout.strip()
            == "no"
        )
        as_pipeline = ("--as", user)
        assert apply(proved(WIDE, pipeline), words=as_pipeline).returncode == 0


def test_a_key_is_an_objects_name_and_a_value_its_very_text() -> None:
    config = made(NARROW, "n")["policy"]
    parameter = proved(NARROW, "n")
    assert parameter["metadata"]["namespace"] == SPACE
    assert parameter["data"] == {config["metadata"]["name"]: config["data"][KEY]}
