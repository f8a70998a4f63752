"""What a site asks of every pod: OpenShift's users, a registry, authorities; and a site that nothing leaves."""

from typing import Any

import pytest
import yaml
from lockgate.policy.spec.site import ConfigMapRef, Site
from pulumi_lockgate import InferenceService, ModelRouter
from pulumi_lockgate.manifests.common import USER
from pulumi_lockgate.manifests.site import at_site, image_at
from pulumi_lockgate.stack.evaluate import evaluate

from tests.components.conftest import Run
from tests.components.program import tell

REF = "pvc://models/m.gguf"
LOCAL = {"name": "l", "inferenceServiceRef": {"name": "qwen"}}
OUT = {"name": "c", "tier": "cloud", "external": {"provider": "openai", "model": "m"}}
GATE = {"name": "g", "tier": "cloud", "external": {"provider": "litellm", "model": "m", "url": "http://litellm.llm.svc:4000/v1", "allowPrivateAddress": True}}  # fmt: skip
OPENSHIFT = {"platform": "openshift"}
AIRGAP = {"airgapped": True, "registry": "r.site.example/mirror"}


def config(site: dict[str, Any], *backends: dict[str, Any], **more: Any) -> dict[str, Any]:
    model = more.pop("model", {"modelRef": REF})
    router = {"backends": [LOCAL, *backends], "defaultRoute": "l", **more}
    return {"lockgate:site": site, "lockgate:models": {"qwen": model}, "lockgate:router": router}


def stack(site: dict[str, Any], *backends: dict[str, Any], **more: Any) -> str:
    return yaml.safe_dump({"config": config(site, *backends, **more)}, sort_keys=False)


def pods(site: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    plan = evaluate("dev", config(site, **more))
    return [m["spec"]["template"]["spec"] for m in plan.manifests if m["kind"] == "Deployment"]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


class TestOpenShift:
    """Users and groups are the SCC's to say; the rest of the restricted profile stays."""

    def test_no_pod_says_who_it_is(self) -> None:
        found = pods(OPENSHIFT)
        assert len(found) == 2
        for pod in found:
            assert pod["securityContext"] == {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            }
            assert all(
                c["securityContext"]["capabilities"] == {"drop": ["ALL"]} for c in containers(pod)
            )
        assert pods({})[0]["securityContext"]["runAsUser"] == USER

    def test_a_group_that_somebody_states_stays(self) -> None:
        model = {"modelRef": REF, "podSecurityContext": {"fsGroup": 1000650000}}
        groups = [pod["securityContext"].get("fsGroup") for pod in pods(OPENSHIFT, model=model)]
        assert sorted(groups, key=str) == [1000650000, None]

    def test_names_are_looked_up_where_openshift_has_them(self) -> None:
        fetched = {"modelRef": "hf://o/r/m.gguf", "fetch": {"egress": ["10.0.0.0/8"]}}
        plan = evaluate("dev", config(OPENSHIFT, model=fetched))
        for one in (m for m in plan.manifests if m["kind"] == "NetworkPolicy"):
            first = one["spec"]["egress"][0]
            assert {port["port"] for port in first["ports"]} == {5353}
            assert "openshift-dns" in str(first["to"])
        own = {"egress": {"dns": {"namespace": "dns", "port": 53}}}
        stated = evaluate("dev", config(OPENSHIFT, proxy=own))
        assert "openshift-dns" not in str(stated.manifests)

    def test_a_route_ends_tls_and_lets_streams_be(self) -> None:
        endpoint = {"route": {"host": "llm.apps.example.com"}, "port": 80}
        plan = evaluate("dev", config(OPENSHIFT, endpoint=endpoint))
        [route] = [m for m in plan.manifests if m["kind"] == "Route"]
        assert route["spec"]["tls"] == {
            "termination": "edge",
            "insecureEdgeTerminationPolicy": "None",
        }
        [service] = [
            m
            for m in plan.manifests
            if m["kind"] == "Service" and m["metadata"]["name"] == route["spec"]["to"]["name"]
        ]
        assert route["spec"]["port"]["targetPort"] == service["spec"]["ports"][0]["name"]
        assert route["metadata"]["annotations"]["haproxy.router.openshift.io/timeout"] == "1h"

    def test_elsewhere_a_route_is_refused(self, run_on: Run) -> None:
        done = run_on("plan", text=stack({}, endpoint={"route": {"host": "a.b"}}))
        assert done.exit_code == 2
        assert "config.lockgate:router.endpoint.route: is OpenShift's" in done.stderr
        policy = {"backends": [LOCAL], "defaultRoute": "l", "endpoint": {"route": {"host": "a.b"}}}
        told = tell(lambda: ModelRouter("gate", policy, "agents"))
        assert "endpoint.route: is OpenShift's" in str(told.error)

    def test_the_engine_registers_a_route(self) -> None:
        site = {"proxy": {"site": OPENSHIFT}, "endpoint": {"route": {"host": "a.b"}}}
        policy = {"backends": [LOCAL], "defaultRoute": "l", **site}
        told = tell(lambda: ModelRouter("gate", policy, "agents"), preview=False)
        assert told.error is None
        kinds = {one["type"] for one in told.registered.values()}
        assert "kubernetes:route.openshift.io/v1:Route" in kinds


class TestRegistry:
    """Every image from the site's own registry."""

    @pytest.mark.parametrize(
        ("image", "there"),
        [
            ("ghcr.io/lockgate/lockgate-proxy:0.2.0", "r.example/m/lockgate/lockgate-proxy:0.2.0"),
            ("vllm/vllm-openai:v0.11.0", "r.example/m/vllm/vllm-openai:v0.11.0"),
            ("localhost:5000/a@sha256:00", "r.example/m/a@sha256:00"),
            ("busybox", "r.example/m/busybox"),
            ("r.example/m/lockgate/own:1", "r.example/m/lockgate/own:1"),
        ],
    )
    def test_an_image_keeps_its_path(self, image: str, there: str) -> None:
        assert image_at(Site(registry="r.example/m"), image) == there
        assert image_at(Site(), image) == image
        assert image_at(None, image) == image

    def test_every_container_of_every_pod(self) -> None:
        model = {"modelRef": "hf://o/r/m.gguf"}
        images = [
            c["image"]
            for pod in pods({"registry": "r.example/m"}, model=model)
            for c in containers(pod)
        ]
        assert len(images) == 3
        assert all(image.startswith("r.example/m/") for image in images)


class TestAuthorities:
    """What is trusted instead of the images' own."""

    def test_every_container_is_told_and_has_the_file(self) -> None:
        site = {"caConfigMapRef": {"name": "ours", "key": "bundle.pem"}}
        for pod in pods(site, model={"modelRef": "hf://o/r/m.gguf"}):
            [volume] = [v for v in pod["volumes"] if v["name"] == "site-ca"]
            assert volume["configMap"] == {
                "name": "ours",
                "items": [{"key": "bundle.pem", "path": "ca.crt"}],
            }
            for one in containers(pod):
                env = {e["name"]: e.get("value") for e in one["env"]}
                assert (
                    env["SSL_CERT_FILE"] == env["REQUESTS_CA_BUNDLE"] == "/etc/lockgate/site/ca.crt"
                )
                assert {
                    "name": "site-ca",
                    "mountPath": "/etc/lockgate/site",
                    "readOnly": True,
                } in one["volumeMounts"]

    def test_what_a_model_server_states_itself_wins(self) -> None:
        model = {"modelRef": REF, "env": [{"name": "SSL_CERT_FILE", "value": "/own"}]}
        values = [
            e["value"]
            for pod in pods({"caConfigMapRef": {"name": "ours"}}, model=model)
            for e in pod["containers"][0]["env"]
            if e["name"] == "SSL_CERT_FILE"
        ]
        assert sorted(values) == ["/etc/lockgate/site/ca.crt", "/own"]


class TestAirGapped:
    """Nothing has a way out but through a LiteLLM inside."""

    def test_one_whose_ways_end_inside_is_planned(self, run_on: Run) -> None:
        done = run_on("plan", text=stack(AIRGAP, GATE))
        assert done.exit_code == 0, done.output

    @pytest.mark.parametrize(
        ("backend", "said"),
        [
            (OUT, "backends[1].external.provider: is a way out of an air-gapped site"),
            ({**GATE, "external": {"provider": "litellm", "model": "m", "url": "https://l.example/v1"}}, "backends[1].external.url: https://l.example/v1 may be outside"),
            ({**GATE, "external": {"provider": "litellm", "model": "m", "url": "https://8.8.8.8/v1"}}, "backends[1].external.url: https://8.8.8.8/v1 may be outside"),
            ({"name": "a", "tier": "local", "attestedLocal": "by word", "external": {"provider": "openai", "model": "m", "url": "https://near.example/v1"}}, "backends[1].external.url: https://near.example/v1 may be outside"),
        ],
    )  # fmt: skip
    def test_a_backend_outside_is_refused_with_its_line(
        self, run_on: Run, backend: dict[str, Any], said: str
    ) -> None:
        done = run_on("plan", text=stack(AIRGAP, backend))
        assert done.exit_code == 2, done.output
        assert f"config.lockgate:router.{said}" in done.stderr
        assert run_on("plan", text=stack({}, backend)).exit_code == 0

    def test_a_name_whose_blocks_are_inside_may_be_there(self, run_on: Run) -> None:
        url = {
            "provider": "litellm",
            "model": "m",
            "url": "https://l.example/v1",
            "allowPrivateAddress": True,
        }
        backend = {**GATE, "external": url}
        for block, status in (("10.1.0.0/16", 0), ("8.8.8.0/24", 2)):
            proxy = {"egress": {"backends": [{"name": "g", "cidrs": [block]}]}}
            assert run_on("plan", text=stack(AIRGAP, backend, proxy=proxy)).exit_code == status, (
                block
            )

    def test_a_gateway_before_a_name_outside_is_a_way_out(self, run_on: Run) -> None:
        url = {"provider": "litellm", "model": "m", "url": "https://l.example/v1"}
        gateway = {"namespace": "egress", "pods": {"app": "gateway"}, "port": 443}
        proxy = {"egress": {"backends": [{"name": "g", "gateway": gateway}]}}
        backend = {**GATE, "external": url}
        done = run_on("plan", text=stack(AIRGAP, backend, proxy=proxy))
        assert (done.exit_code, "may be outside" in done.stderr) == (2, True), done.output
        assert run_on("plan", text=stack({}, backend, proxy=proxy)).exit_code == 0

    def test_a_model_from_outside_is_refused(self, run_on: Run) -> None:
        model: dict[str, Any] = {"modelRef": "hf://o/r/m.gguf"}
        done = run_on("plan", text=stack(AIRGAP, model=model))
        assert done.exit_code == 2
        assert "config.lockgate:models.qwen.modelRef: is fetched from outside" in done.stderr
        inside = {
            **model,
            "fetch": {"endpoint": "https://hub.site.example", "egress": ["10.2.0.0/16"]},
        }
        assert run_on("plan", text=stack(AIRGAP, model=inside)).exit_code == 0

    def test_images_come_from_its_own_registry(self, run_on: Run) -> None:
        done = run_on("plan", text=stack({"airgapped": True}))
        assert done.exit_code == 2
        assert "lockgate:site.registry: is missing: the site is air-gapped" in done.stderr


@pytest.mark.parametrize(
    ("site", "said"),
    [
        ({"platform": "eks"}, "site.platform: 'eks' is not one of vanilla, openshift"),
        ({"registry": "https://r.example"}, "site.registry: 'https://r.example' is no place of images"),
        ({"registry": "r.example/m:tag"}, "site.registry: 'r.example/m:tag' is no place of images"),
        ({"caConfigMapRef": {"name": "A_b"}}, "site.caConfigMapRef.name: 'A_b' is no name"),
        ({"caConfigMapRef": {"name": "a", "key": "b/c"}}, "site.caConfigMapRef.key: 'b/c' is no key"),
        ({"preset": "openshift"}, "site.preset: is not a field"),
    ],
)  # fmt: skip
def test_what_is_no_site_is_refused_with_its_line(
    run_on: Run, site: dict[str, Any], said: str
) -> None:
    done = run_on("plan", text=stack(site))
    assert (done.exit_code, f"config.lockgate:{said}" in done.stderr) == (2, True), done.output


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"proxy": {"site": {"registry": "a b"}}}, "proxy.site.registry: 'a b' is no place of images"),
        ({"endpoint": {"route": {"host": "https://a"}}}, "endpoint.route.host: 'https://a' is no host name"),
    ],
)  # fmt: skip
def test_a_policy_that_states_its_own_is_refused_likewise(
    run_on: Run, policy: dict[str, Any], said: str
) -> None:
    done = run_on("plan", text=stack({}, **policy))
    assert (done.exit_code, said in done.stderr) == (2, True), done.output


def test_a_policy_and_a_model_server_may_state_their_own(run_on: Run) -> None:
    model, proxy = ({"registry": "own.example"} for _ in range(2))
    text = stack(OPENSHIFT, model={"modelRef": REF, "site": model}, proxy={"site": proxy})
    done = run_on("plan", text=text)
    assert done.exit_code == 0, done.output
    assert "own.example/lockgate/lockgate-proxy" in done.stdout
    assert "own.example/ggml-org/llama.cpp" in done.stdout


def test_a_program_says_it_of_each_component() -> None:
    def program() -> None:
        InferenceService("qwen", REF, "agents", site={"registry": "r.example/m"})

    told = tell(program, preview=False)
    assert told.error is None
    [made] = [one for one in told.registered.values() if one["name"] == "qwen-deployment"]
    assert "r.example/m/ggml-org/llama.cpp" in str(made)


def test_nothing_else_of_a_manifest_changes() -> None:
    other = {"kind": "Service", "spec": {"ports": []}}
    site = Site(platform="openshift", registry="r", ca_config_map_ref=ConfigMapRef(name="c"))
    assert at_site(site, {"service": other}) == {"service": other}
