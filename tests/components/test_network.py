"""What a router's network policies say for each kind of backend and each setting of `proxy.egress`."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pulumi
import pulumi_lockgate as lockgate
import pytest
import yaml
from click.testing import CliRunner
from lockgate.cli.main import cli
from lockgate.policy.reading.load import load_policy
from pulumi_lockgate.manifests.network import CILIUM, router_network_policies
from pulumi_lockgate.manifests.openings import ADMIN_PORT, SERVICE_PORT, rows, wide

from tests.cli.test_refusals import GOOD
from tests.components.program import tell
from tests.components.test_library import later
from tests.support.project import project

POLICY = """
backends:
- { name: pods, inferenceServiceRef: { name: s, namespace: d } }
- { name: cloud, tier: cloud, external: { provider: openai, model: g } }
- { name: gate, tier: cloud, external: { provider: litellm, model: g, url: "https://litellm.gw.svc:4000" } }
- { name: fixed, tier: cloud, external: { provider: openai, model: g, url: "https://[2620:fe::9]:8443/v1" } }
- { name: rack, tier: local, attestedLocal: "rack 7", external: { provider: openai, model: g, url: "https://rack.example:8000/v1" } }
- { name: self, tier: local, external: { provider: openai, model: g, url: "http://127.0.0.1:9000/v1" } }
defaultRoute: pods
"""
GATEWAY: dict[str, Any] = {"namespace": "egress", "pods": {"app": "gw"}, "port": 8443}
GATEWAY_PEER = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "egress"}},
    "podSelector": {"matchLabels": {"app": "gw"}},
}


def policies(**fields: Any) -> dict[str, dict[str, Any]]:
    document = {**yaml.safe_load(POLICY), **fields}
    spec = load_policy(json.dumps(document).encode(), "p").spec
    made = router_network_policies("r", "n", spec)
    kubernetes_validate.validate(made["network-policy"], "1.34", strict=True)
    assert made["network-policy"]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    return {name: manifest["spec"] for name, manifest in made.items()}


def opened(**fields: Any) -> list[dict[str, Any]]:
    """The rules for what comes after DNS and the pods of the InferenceService."""
    found: list[dict[str, Any]] = policies(proxy={"egress": fields} if fields else {})[
        "network-policy"
    ]["egress"]
    return found[2:]


def tcp(port: int) -> list[dict[str, Any]]:
    return [{"port": port, "protocol": "TCP"}]


def test_each_backend_opens_what_its_url_says_and_nothing_else_is_open() -> None:
    cloud, gate, fixed, rack = opened()
    assert (cloud["ports"], rack["ports"]) == (tcp(443), tcp(8000))
    assert gate == {
        "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gw"}}}]
    }
    assert fixed == {"to": [{"ipBlock": {"cidr": "2620:fe::9/128"}}], "ports": tcp(8443)}


@pytest.mark.parametrize(
    ("number", "private"), [(0, True), (3, False)], ids=["a cloud", "an attested local"]
)
def test_a_name_opens_no_address_where_clouds_hand_out_credentials(
    number: int, *, private: bool
) -> None:
    four, six = (peer["ipBlock"] for peer in opened()[number]["to"])
    assert (four["cidr"], six["cidr"]) == ("0.0.0.0/0", "::/0")
    assert {"169.254.0.0/16", "168.63.129.16/32"} <= set(four["except"])
    assert "fe80::/10" in six["except"]
    assert ("10.0.0.0/8" in four["except"], "fc00::/7" in six["except"]) == (private, private)


def test_blocks_for_all_clouds_open_those_alone() -> None:
    cloud, gate, fixed, rack = opened(cidrs=["203.0.113.0/24", "168.63.128.0/20"])
    azure = {"cidr": "168.63.128.0/20", "except": ["168.63.129.16/32"]}
    assert cloud["to"] == [{"ipBlock": {"cidr": "203.0.113.0/24"}}, {"ipBlock": azure}]
    assert [gate, fixed, rack] == opened()[1:]


def test_a_block_for_one_backend_counts_more_than_that_for_all_and_may_be_a_local_ones() -> None:
    own = [{"name": "rack", "cidrs": ["198.51.100.0/24"]}, {"name": "cloud", "gateway": GATEWAY}]
    cloud, _, _, rack = opened(cidrs=["203.0.113.0/24"], backends=own)
    assert cloud == {"to": [GATEWAY_PEER], "ports": tcp(8443)}
    assert rack == {"to": [{"ipBlock": {"cidr": "198.51.100.0/24"}}], "ports": tcp(8000)}


def test_a_gateway_is_all_that_a_cloud_reaches() -> None:
    cloud, gate, *_ = opened(gateway=GATEWAY)
    assert cloud == {"to": [GATEWAY_PEER], "ports": tcp(8443)}
    assert gate == opened()[1]
    _, gate, *_ = opened(backends=[{"name": "gate", "gateway": GATEWAY}])
    assert gate == {"to": [GATEWAY_PEER], "ports": tcp(8443)}


def test_cilium_opens_the_very_names_and_sees_every_lookup() -> None:
    made = policies(proxy={"egress": {"fqdnPolicy": "cilium"}})
    pods, gate, fixed = made["network-policy"]["egress"]
    assert [gate, fixed] == opened()[1:3]
    assert "0.0.0.0/0" not in str(made)
    dns, cloud, rack = made[CILIUM]["egress"]
    assert made[CILIUM]["endpointSelector"] == made["network-policy"]["podSelector"]
    [lookups] = dns["toPorts"]
    assert [port["port"] for port in lookups["ports"]] == ["53", "53"]
    assert lookups["rules"] == {"dns": [{"matchPattern": "*"}]}
    assert not any(
        port["port"] == 53 for rule in (pods, gate, fixed) for port in rule.get("ports", ())
    )
    assert cloud["toFQDNs"] == [{"matchName": "api.openai.com"}]
    assert cloud["toPorts"] == [{"ports": [{"port": "443", "protocol": "TCP"}]}]
    assert rack["toFQDNs"] == [{"matchName": "rack.example"}]


def test_lookups_go_to_the_clusters_own_pods_on_their_own_port() -> None:
    for more, name in (
        ({}, "kube-system"),
        ({"namespace": "openshift-dns", "port": 5353}, "openshift-dns"),
    ):
        dns, *_ = policies(proxy={"egress": {"dns": more}})["network-policy"]["egress"]
        assert dns["to"] == [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
        ]
        port = more.get("port", 53)
        assert dns["ports"] == [{"port": port, "protocol": one} for one in ("UDP", "TCP")]
    said = {"fqdnPolicy": "cilium", "dns": {"namespace": "openshift-dns", "port": 5353}}
    dns, *_ = policies(proxy={"egress": said})[CILIUM]["egress"]
    assert dns["toEndpoints"] == [
        {"matchLabels": {"k8s:io.kubernetes.pod.namespace": "openshift-dns"}}
    ]
    assert {port["port"] for port in dns["toPorts"][0]["ports"]} == {"5353"}


def test_anybody_calls_and_nobody_reads_the_admin_port_unless_it_is_said() -> None:
    [requests] = policies()["network-policy"]["ingress"]
    assert requests == {"ports": tcp(SERVICE_PORT)}
    said = {
        "from": [{"namespace": "agents"}, {"namespace": "egress", "pods": {"app": "gw"}}, {"cidr": "10.1.0.0/16"}],
        "adminFrom": [{"namespace": "monitoring"}],
    }  # fmt: skip
    requests, admin = policies(endpoint=said)["network-policy"]["ingress"]
    space = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "agents"}}}
    assert requests["from"] == [space, GATEWAY_PEER, {"ipBlock": {"cidr": "10.1.0.0/16"}}]
    assert requests["ports"] == tcp(SERVICE_PORT)
    assert admin["ports"] == tcp(ADMIN_PORT)
    space = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert admin["from"] == [space]


def test_each_row_says_what_a_reviewer_must_know_besides() -> None:
    gateway = {"egress": {"gateway": GATEWAY}}
    spec = load_policy(json.dumps({**yaml.safe_load(POLICY), "proxy": gateway}).encode(), "p").spec
    shown = {what: text for _, what, text in rows(spec, "n")}
    assert shown["rack"] == "port 8000: all addresses, private ones too (attested: rack 7)"
    assert shown["gate"] == "every port: every pod in gw (no pod of it is named)"
    assert shown["self"] == "every port: its own pod, which needs no opening"
    assert shown["cloud"] == (
        "port 8443: pods app=gw in egress "
        "(the proxy connects to api.openai.com: a mesh or DNS must lead that there)"
    )


MORE = """\
    proxy: { replicas: 2, egress: { fqdnPolicy: cilium } }
    endpoint: { port: 80, type: LoadBalancer, from: [{ namespace: agents, pods: { app: a } }] }
"""


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Plan a stack file in a project of its own."""
    file = project(tmp_path, monkeypatch, GOOD)

    def plan(text: str, *words: str) -> Any:
        file.write_text(text)
        done = CliRunner().invoke(cli, ["plan", "dev", *words])
        assert done.exit_code == 0, done.output
        return done.output

    return plan


def test_a_name_that_opens_a_port_to_about_everywhere_has_a_line_of_its_own() -> None:
    spec = load_policy(POLICY.encode(), "p").spec
    assert list(wide(spec)) == [
        "network egress for cloud: its port, to all but private addresses",
        "network egress for rack: its port, to all addresses, private ones too",
    ]
    blocks = {**yaml.safe_load(POLICY), "proxy": {"egress": {"cidrs": ["203.0.113.0/24"]}}}
    assert len(list(wide(load_policy(json.dumps(blocks).encode(), "p").spec))) == 1  # rack's


def test_a_plan_shows_what_is_opened_beside_the_proof(stack: Callable[..., str]) -> None:
    text = stack(GOOD)
    shown = text[text.index("what the network policies open:") :]
    for line in (
        "  in  requests    port 8080: anybody",
        "  in  admin       port 9090: the kubelet's probes alone, from the pod's own node",
        "  out DNS         port 53: every pod in kube-system",
        "  out local-qwen  every port: the pods of InferenceService qwen in agents",
        "  out cloud-gpt   port 443: all but private addresses",
    ):
        assert line in shown
    head, _, _ = GOOD.partition("    proxy:")
    text = stack(head + MORE)
    assert "CiliumNetworkPolicy   lockgate-router-proxy" in text
    assert "port 8080: pods app=a in agents (the Service is LoadBalancer" in text
    assert "port 443: what api.openai.com resolves to" in text
    plan = json.loads(stack(head + MORE, "--json"))
    assert {"router": "lockgate", "way": "out", "what": "cloud-gpt", "opens": "port 443: what api.openai.com resolves to"} in plan["network"]  # fmt: skip
    assert all(len(line) <= 80 for line in text[text.index("what the") :].splitlines()[:12])


def test_the_policy_of_a_cni_is_registered_before_the_pods_and_written_out(
    stack: Callable[..., str], tmp_path: Path
) -> None:
    head, _, _ = GOOD.partition("    proxy:")
    stack(head + MORE, "--out", str(tmp_path / "out"))
    made = [yaml.safe_load(file.read_text()) for file in sorted((tmp_path / "out").glob("*.yaml"))]
    kinds = [one["kind"] for one in made]
    assert kinds.index("CiliumNetworkPolicy") < kinds.index("Deployment")
    [policy] = [one for one in made if one["kind"] == "CiliumNetworkPolicy"]
    assert policy["apiVersion"] == "cilium.io/v2"
    assert policy["metadata"]["namespace"] == "agents"
    assert policy["spec"]["egress"][1]["toFQDNs"] == [{"matchName": "api.openai.com"}]


SPEC: dict[str, Any] = {
    "backends": [
        {"name": "l", "inferenceServiceRef": {"name": "s"}},
        {"name": "c", "tier": "cloud", "external": {"provider": "openai", "model": "m"}},
    ],
    "defaultRoute": "l",
}


@pytest.mark.parametrize("preview", [True, False])
def test_in_a_program_it_may_stand_beside_outputs_and_not_in_one(*, preview: bool) -> None:
    by_name = {"egress": {"fqdnPolicy": "cilium"}}

    def beside() -> None:
        lockgate.ModelRouter(
            "gate", {**SPEC, "proxy": {**by_name, "image": later("r/x:1")}}, "agents"
        )

    def inside() -> None:
        whole = pulumi.Output.from_input({**SPEC, "proxy": by_name})
        lockgate.ModelRouter("gate", whole, "agents")

    told = tell(beside, preview=preview)
    assert told.error is None
    assert told.inputs(f"gate-{CILIUM}")["spec"]["egress"][1]["toFQDNs"]
    assert "proxy.egress.fqdnPolicy: decides which objects there are" in str(tell(inside).error)


def test_an_address_that_is_secret_is_in_no_table() -> None:
    def program() -> None:
        url = pulumi.Output.secret("https://hidden.example/v1")
        external = {**SPEC["backends"][1]["external"], "url": url}
        backends = [SPEC["backends"][0], {**SPEC["backends"][1], "external": external}]
        lockgate.ModelRouter("gate", {**SPEC, "backends": backends}, "agents")

    told = tell(program)
    assert told.error is None
    assert "not shown: an address in it is secret" in "\n".join(told.log)
    assert "hidden.example" not in "\n".join(told.log)


def test_what_the_guide_shows_loads() -> None:
    text = (Path(__file__).parents[2] / "docs" / "guides" / "network.md").read_text()
    shown = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(shown) == 2
    named = yaml.safe_load(POLICY.replace("name: gate", "name: litellm"))
    for block in shown:
        load_policy(json.dumps({**named, **yaml.safe_load(block)}).encode(), "the guide")
