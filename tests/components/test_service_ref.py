"""`serviceRef`: a model in the cluster that something else runs."""

from pathlib import Path

import pytest
from lockgate.connections.endpoint import base_url
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.load import load_policy
from pulumi_lockgate.manifests.network import router_network_policies
from pulumi_lockgate.manifests.openings import NAME

from tests.components.conftest import Run

STACK = """config:
  lockgate:namespace: agents
  lockgate:router:
    backends:
    - name: l
      serviceRef: %s
    - name: c
      tier: cloud
      external: { provider: openai, model: gpt-5 }
    rules: [{ name: s, match: { dataClassification: [pii, phi] }, route: { backends: [l] }, failClosed: true }]
    defaultRoute: l
"""
KSERVE = "{ name: qwen-predictor, namespace: models, podLabels: { serving.kserve.io/inferenceservice: qwen } }"


def said(run_on: Run, service: str, name: str = "plan", rc: int = 0) -> str:
    done = run_on(name, text=STACK % service)
    assert done.exit_code == rc, done.output
    return " ".join(done.output.split())


def test_it_is_local_and_proved_and_the_plan_says_which_pods_are_opened(run_on: Run) -> None:
    text = said(run_on, KSERVE)
    assert "PROVED" in text
    assert "pii: rule s (local)" in text
    opened = "pods serving.kserve.io/inferenceservice=qwen in models, behind Service qwen-predictor"
    assert opened in text


def test_without_labels_every_pod_of_the_namespace_is_opened_and_said(run_on: Run) -> None:
    assert "every pod in agents, behind Service qwen" in said(run_on, "{ name: qwen }")


def test_the_network_policy_selects_the_stated_labels() -> None:
    policy = policy_with(KSERVE)
    rules = router_network_policies("r", "agents", policy.spec)["network-policy"]["spec"]["egress"]
    [peer] = next(rule["to"] for rule in rules if "serving.kserve" in str(rule))
    assert peer == {
        "namespaceSelector": {"matchLabels": {NAME: "models"}},
        "podSelector": {"matchLabels": {"serving.kserve.io/inferenceservice": "qwen"}},
    }


def policy_with(service: str) -> LoadedPolicy:
    backends = f"backends: [{{ name: l, serviceRef: {service} }}]\ndefaultRoute: l\n"
    return load_policy(backends.encode(), "policy.yaml")


@pytest.mark.parametrize(
    ("service", "url"),
    [
        (KSERVE, "http://qwen-predictor.models.svc.cluster.local:80/v1"),
        ("{ name: vllm, namespace: m, port: 8000, path: /openai/v1/ }", "http://vllm.m.svc.cluster.local:8000/openai/v1"),
        ("{ name: vllm, port: 8080 }", "http://vllm:8080/v1"),
    ],
)  # fmt: skip
def test_it_is_asked_at_its_own_port_and_path(service: str, url: str) -> None:
    [backend] = policy_with(service).spec.backends
    assert base_url(backend) == url
    assert backend.service_ref is not None
    assert backend.upstream_model == backend.service_ref.name


def test_another_service_is_another_server(run_on: Run, tmp_path: Path) -> None:
    before, after = tmp_path / "before.yaml", tmp_path / "after.yaml"
    before.write_text(STACK % KSERVE)
    after.write_text(STACK % KSERVE.replace("models", "elsewhere"))
    done = run_on("diff", str(after), text=STACK % KSERVE)
    assert "service models/qwen-predictor:80/v1" in done.output
    assert "service elsewhere/qwen-predictor:80/v1" in done.output


@pytest.mark.parametrize(
    ("service", "refusal"),
    [
        ("{ name: Qwen }", "serviceRef.name: 'Qwen' is no name of a Service"),
        ("{ name: q, port: 0 }", "serviceRef.port: 0 is not a port"),
        ("{ name: q, path: v1 }", "serviceRef.path: 'v1' is no path"),
        ("{ name: q, podLabels: {} }", "serviceRef.podLabels: is empty"),
        ("{ name: q, ports: 1 }", "serviceRef.ports: is not a field"),
        ("{ port: 80 }", "serviceRef.name: is missing"),
        ("{ name: q }\n      inferenceServiceRef: { name: q }", "has both of inferenceServiceRef and serviceRef"),
        ("{ name: q }\n      tier: cloud", "tier: a serviceRef is not in the cloud"),
        ("{ name: q }\n      attestedLocal: why", "attestedLocal: is for external backends"),
    ],
)  # fmt: skip
def test_what_is_no_service_is_refused(run_on: Run, service: str, refusal: str) -> None:
    assert refusal in said(run_on, service, rc=2)
