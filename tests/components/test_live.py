"""What is read of a cluster before anything is registered, from an API server that answers a script.

The real one is in `tests/cluster`.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pulumi
import pytest
from lockgate.policy.canonical import digest_of
from lockgate.policy.reading.document import from_plain
from pulumi_lockgate.live import AbsentError, NotRead, Place, look, read_live
from pulumi_lockgate.stack.evaluate import read_stack
from pulumi_lockgate.stack.settings import Stack, read_stack_tree
from pulumi_lockgate.widening import Record

from tests.components.program import Told, tell

ROOT = Path(__file__).parent.parent.parent
ROUTER = "/apis/apps/v1/namespaces/lockgate-dev/deployments/lockgate-router-proxy"
SPACE = "/api/v1/namespaces/lockgate-dev"
CLAIM = f"{SPACE}/persistentvolumeclaims/models"
KEY = f"{SPACE}/secrets/openai-key"
THERE: dict[str, Any] = {
    SPACE: {"kind": "Namespace"},
    CLAIM: {"kind": "PersistentVolumeClaim"},
    KEY: {"kind": "Secret", "data": {"OPENAI_API_KEY": "eA=="}},
}


class Server:
    """An API server: `answers` by path, an object or a status."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = dict(THERE)
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = answers.get(self.path, 404)
                status, body = (
                    (found, {"kind": "Status"}) if isinstance(found, int) else (200, found)
                )
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()

    @property
    def kubeconfig(self) -> str:
        """As a text; JSON is YAML."""
        return kubeconfig(f"http://127.0.0.1:{self.httpd.server_port}")


def kubeconfig(server: str) -> str:
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    return json.dumps(
        {
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [context, {**context, "name": "y"}],
            "current-context": "x",
        }
    )


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.httpd.shutdown()


def runs(digest: str) -> dict[str, Any]:
    pods = {"metadata": {"annotations": {"lockgate.dev/policy-digest": digest}}}
    labels = {"matchLabels": {"a": "b"}}
    template = {**pods, "spec": {"containers": [{"name": "proxy"}]}}
    return {"kind": "Deployment", "spec": {"selector": labels, "template": template}}


def dev() -> Stack:
    config = read_stack(ROOT / "stacks" / "Pulumi.dev.yaml")
    return read_stack_tree(from_plain(config), "", "dev")


def told(place: Place, *, preview: bool = True, last: Record | None = None) -> Told:
    return tell(lambda: look(dev(), dev().policy, last, place), preview=preview)


def last() -> tuple[Record, str]:
    policy = dev().policy
    return Record(policy.json.decode()), policy.digest


def test_nothing_is_said_where_all_is_there(server: Server) -> None:
    record, digest = last()
    server.answers[ROUTER] = runs(digest)
    said = told(Place(server.kubeconfig), last=record)
    assert (said.error, said.warnings) == (None, [])
    first = told(Place(server.kubeconfig))
    assert (first.error, first.warnings) == (None, [])


@pytest.mark.parametrize(
    ("deployment", "runs_now"), [(runs("sha256:other"), "sha256:other"), (404, "no router")]
)
def test_another_policy_than_the_stack_says_is_named(
    server: Server, deployment: Any, runs_now: str
) -> None:
    record, digest = last()
    server.answers[ROUTER] = deployment
    for preview in (True, False):
        said = told(Place(server.kubeconfig), preview=preview, last=record)
        assert said.error is None
        [line] = said.warnings
        assert line.startswith(f"the cluster runs {runs_now}, the stack says {digest}: ")
        assert "Deployment lockgate-router-proxy in lockgate-dev" in line


def test_a_secret_that_lacks_its_key_is_told_with_the_line_that_makes_it(server: Server) -> None:
    for held in (404, {"kind": "Secret", "data": {"other": "eA=="}}, {"kind": "Secret"}):
        server.answers[KEY] = held
        said = told(Place(server.kubeconfig), preview=False)
        assert said.error is None  # its backend is out of service, the router is not
        [text] = said.warnings
        assert "Secret openai-key with OPENAI_API_KEY in lockgate-dev" in text
        assert "kubectl -n lockgate-dev create secret generic openai-key" in text


def test_a_claim_that_pods_would_wait_for_ends_up_before_anything_is_registered(
    server: Server,
) -> None:
    server.answers[CLAIM] = 404
    preview = told(Place(server.kubeconfig))
    assert preview.error is None
    assert "PersistentVolumeClaim models in lockgate-dev" in preview.warnings[0]
    up = told(Place(server.kubeconfig), preview=False)
    assert isinstance(up.error, AbsentError)
    assert isinstance(up.error, pulumi.RunError)
    assert "pulumi config set --path lockgate:namespace.create false" in str(up.error)
    assert up.registered == {}


def test_a_pool_without_karpenter_is_told_before_anything_is_registered(server: Server) -> None:
    config = read_stack(ROOT / "stacks" / "Pulumi.dev.yaml")
    ref = {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "gpu"}
    config["lockgate:pools"] = {"gpu": {"kind": "karpenter", "nodeClassRef": ref}}
    stack = read_stack_tree(from_plain(config), "", "dev")
    place = Place(server.kubeconfig)
    up = tell(lambda: look(stack, stack.policy, None, place), preview=False)
    assert "CustomResourceDefinition nodepools.karpenter.sh: for NodePool gpu" in str(up.error)
    there = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/nodepools.karpenter.sh"
    for held in ({"kind": "CustomResourceDefinition"}, 403):
        server.answers[there] = held
        said = tell(lambda: look(stack, stack.policy, None, place), preview=False)
        assert (said.error, said.warnings) == (None, [])


QUOTAS, DEPLOYMENTS = f"{SPACE}/resourcequotas", "/apis/apps/v1/namespaces/lockgate-dev/deployments"


def quotas(hard: dict[str, str], used: dict[str, str], **spec: Any) -> dict[str, Any]:
    one = {"metadata": {"name": "team"}, "spec": {"hard": hard, **spec}, "status": {"used": used}}
    return {"kind": "ResourceQuotaList", "items": [one]}


@pytest.mark.parametrize(
    ("hard", "used", "said"),
    [
        ({"pods": "5"}, {"pods": "4"}, "ResourceQuota team leaves 1 pods, and the pods that are new want 2"),
        ({"requests.cpu": "4"}, {}, "leaves 4 requests.cpu, and the pods that are new want 4.25"),
        ({"cpu": "4"}, {}, "leaves 4 cpu, and the pods that are new want 4.25"),
        ({"requests.memory": "20Gi"}, {"requests.memory": "1Gi"}, "leaves 19 GiB requests.memory"),
        ({"limits.memory": "24Gi"}, {}, "leaves 24 GiB limits.memory, and the pods that are new want 24.5 GiB"),
    ],
)  # fmt: skip
def test_a_quota_without_room_ends_up_before_anything_is_registered(
    server: Server, hard: dict[str, str], used: dict[str, str], said: str
) -> None:
    server.answers[QUOTAS] = quotas(hard, used)
    server.answers[DEPLOYMENTS] = {"kind": "DeploymentList", "items": []}
    place = Place(server.kubeconfig)
    [line] = [text for text in told(place).warnings if "ResourceQuota" in text]
    assert said in line
    ended = told(place, preview=False)
    assert isinstance(ended.error, AbsentError)
    assert said in str(ended.error)
    assert "have the quota raised" in str(ended.error)


def test_a_quota_with_room_or_for_other_pods_or_for_pods_that_are_there_is_left_alone(
    server: Server,
) -> None:
    server.answers[DEPLOYMENTS] = {"kind": "DeploymentList", "items": []}
    place = Place(server.kubeconfig)
    for held in (
        quotas({"pods": "5", "requests.cpu": "5", "count/secrets": "0"}, {"pods": "3"}),
        quotas({"pods": "0"}, {}, scopes=["BestEffort"]),
        {"kind": "ResourceQuotaList", "items": []},
        403,
    ):
        server.answers[QUOTAS] = held
        assert told(place, preview=False).error is None
    server.answers[QUOTAS] = quotas({"pods": "2"}, {"pods": "2"})
    names = ("lockgate-router-proxy", "qwen3-coder")
    there = [
        {"metadata": {"name": name}, "spec": {"selector": {}, "template": {}}} for name in names
    ]
    server.answers[DEPLOYMENTS] = {"kind": "DeploymentList", "items": there}
    assert told(place, preview=False).error is None


def test_what_may_not_be_read_counts_as_being_there(server: Server) -> None:
    server.answers.update({CLAIM: 403, KEY: 403, SPACE: 403})
    said = told(Place(server.kubeconfig), preview=False)
    assert (said.error, said.warnings) == (None, [])


def test_a_cluster_that_cannot_be_read_is_said_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))  # fmt: skip
    for place in (
        Place(),
        Place(kubeconfig("http://127.0.0.1:1")),
        Place("{}"),
        Place(cluster="c"),
    ):
        said = told(place, preview=False)
        assert said.error is None
        [line] = said.warnings
        assert line.startswith("the cluster could not be read (")


def test_a_router_that_may_not_be_read_is_no_router_that_is_gone(server: Server) -> None:
    server.answers[ROUTER] = 403
    record, _ = last()
    [line] = told(Place(server.kubeconfig), last=record).warnings
    assert "could not be read" in line


def test_the_cluster_is_the_one_that_the_provider_takes(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(server.kubeconfig)
    for place in (Place(str(file)), Place(server.kubeconfig, "y")):
        assert not isinstance(read_live(place, "lockgate-dev", "x", ()), NotRead)
    other = read_live(Place(server.kubeconfig, "nowhere"), "lockgate-dev", "x", ())
    assert isinstance(other, NotRead)
    assert Place(context="y").arguments == {"context": "y"}


def test_a_policy_that_was_edited_in_place_is_named(server: Server) -> None:
    """`rollout: hot`: the text that the pods read says what runs, and no annotation."""
    record, digest = last()
    volume = {"name": "policy", "configMap": {"name": "lockgate-router-proxy"}}
    pods = {"metadata": {}, "spec": {"containers": [{"name": "proxy"}], "volumes": [volume]}}
    server.answers[ROUTER] = {
        "kind": "Deployment",
        "metadata": {"namespace": "lockgate-dev"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": pods},
    }
    path = ROUTER.replace("apis/apps/v1", "api/v1").replace("/deployments/", "/configmaps/")
    marks = {"annotations": {"lockgate.dev/policy-digest": digest}}
    for held, runs_now in (
        ({"kind": "ConfigMap", "metadata": marks, "data": {"policy.json": record.policy}}, None),
        ({"kind": "ConfigMap", "metadata": marks, "data": {"policy.json": "{}"}}, digest_of(b"{}")),
        ({"kind": "ConfigMap", "metadata": marks}, "no router"),
        (404, "no router"),
    ):
        server.answers[path] = held
        said = told(Place(server.kubeconfig), last=record)
        assert said.error is None
        assert [line.split(",")[0] for line in said.warnings] == (
            [f"the cluster runs {runs_now}"] if runs_now else []
        )
