"""Macs outside the cluster: what a stack may say of one, how a router reaches it, what it is told."""

import json
import plistlib
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import kubernetes_validate
import pytest
import yaml
from lockgate.policy.reading.load import load_policy
from lockgate.policy.reading.placing import Machine
from pulumi_lockgate import MetalHost, ModelRouter, RefusedError
from pulumi_lockgate.manifests.launchd import arguments, machine_files
from pulumi_lockgate.manifests.metal import metal_manifests
from pulumi_lockgate.stack.metal import read_metal

from tests.components.conftest import Run
from tests.components.program import tell

HOST: dict[str, Any] = {
    "address": "10.20.0.7",
    "model": "/Users/Shared/it's a model.gguf",
    "memory": "64Gi",
    "user": "_llama",
    "declaration": {"owner": "radiology IT", "place": "rack 7, building B"},
}
DECLARED = "studio: rack 7, building B; declared by radiology IT"


def stack(**host: Any) -> str:
    backends = [{"name": "l", "inferenceServiceRef": {"name": "studio"}}]
    rules = [{"name": "stays", "match": {"dataClassification": ["pii", "phi"]}, "route": {"backends": ["l"]}, "failClosed": True}]  # fmt: skip
    router = {"backends": backends, "rules": rules, "defaultRoute": "l"}
    config = {"lockgate:metal": {"studio": {**HOST, **host}}, "lockgate:router": router}
    return yaml.safe_dump({"config": config}, sort_keys=False)


def planned(run_on: Run, **host: Any) -> dict[str, dict[str, Any]]:
    done = run_on("plan", "--json", text=stack(**host))
    assert done.exit_code == 0, done.output
    found = {}
    for one in json.loads(done.stdout)["resources"]:
        found[one["name"]] = one["inputs"]
    return found


def policy(made: dict[str, dict[str, Any]]) -> dict[str, Any]:
    [text] = [
        one["data"]["policy.json"] for one in made.values() if "policy.json" in one.get("data", {})
    ]
    found: dict[str, Any] = json.loads(text)
    return found


class TestInTheCluster:
    """How the rest of the cluster, and a router, reach it."""

    def test_its_service_has_no_pods_and_its_one_address(self) -> None:
        metal, problems = read_metal("studio", HOST)
        assert metal is not None, problems
        made = metal_manifests(metal, machine_files(metal))
        for manifest in made.values():
            kubernetes_validate.validate(manifest, "1.34", strict=True)
        assert "selector" not in made["service"]["spec"]
        assert made["endpoints"]["metadata"]["labels"]["kubernetes.io/service-name"] == "studio"
        assert made["endpoints"]["endpoints"][0]["addresses"] == ["10.20.0.7"]
        assert made["endpoints"]["ports"][0]["port"] == 8080
        assert made["service"]["spec"]["ports"][0]["targetPort"] == 8080

    def test_a_backend_that_names_it_is_it(self, run_on: Run) -> None:
        [backend] = policy(planned(run_on))["backends"]
        assert backend == {
            "name": "l",
            "tier": "local",
            "external": {
                "provider": "openai",
                "model": "studio",
                "url": "http://10.20.0.7:8080/v1",
            },
            "attestedLocal": DECLARED,
            "healthCheck": {},
        }

    def test_every_plan_says_who_declared_it_and_what_it_opens(self, run_on: Run) -> None:
        done = run_on("plan", text=stack())
        said = " ".join(done.stdout.split())
        assert f"l counts as local by attestation: {DECLARED}" in said
        assert f"port 8080: 10.20.0.7/32 (attested: {DECLARED})" in said
        assert "cross the network to studio at 10.20.0.7 as plain text" in said
        safe = run_on("plan", text=stack(tls={"certificate": "/c", "key": "/k"})).stdout
        assert "plain text" not in safe

    def test_the_router_may_connect_to_it_and_nowhere_else(self, run_on: Run) -> None:
        made = planned(run_on, port=9000)
        [spec] = [m["spec"] for n, m in made.items() if n.endswith("network-policy")]
        _, out = spec["egress"]
        assert out == {
            "to": [{"ipBlock": {"cidr": "10.20.0.7/32"}}],
            "ports": [{"port": 9000, "protocol": "TCP"}],
        }

    @pytest.mark.parametrize(
        ("address", "url"),
        [("100.64.1.2", "http://100.64.1.2:8080/v1"), ("fd10::7", "http://[fd10::7]:8080/v1")],
    )
    def test_overlays_and_ipv6_are_private_space_too(
        self, run_on: Run, address: str, url: str
    ) -> None:
        made = planned(run_on, address=address)
        assert policy(made)["backends"][0]["external"]["url"] == url
        family = "IPv6" if ":" in address else "IPv4"
        assert made["studio-endpoints"]["addressType"] == family

    def test_the_proxy_reads_the_stack_as_the_program_does(self, run_on: Run) -> None:
        """`explain` and `serve` place a stack by themselves: one policy, one digest."""
        tls = {"tls": {"certificate": "/c", "key": "/k"}, "apiKeyFile": "/f", "credentialsSecretRef": {"name": "s"}}  # fmt: skip
        trusted = {"tls": {**tls["tls"], "caSecretRef": {"name": "ca"}}}
        for more in ({}, {"port": 9000, **tls}, trusted, {"address": "fd10::7"}):
            text = stack(**more)
            done = run_on("plan", text=text)
            digest = load_policy(text.encode(), "stacks/Pulumi.dev.yaml").digest
            assert digest in done.stdout, done.output

    def test_its_own_authority_is_trusted_and_no_other(self, run_on: Run) -> None:
        tls = {"certificate": "/c", "key": "/k", "caSecretRef": {"name": "studio-ca"}}
        [backend] = policy(planned(run_on, tls=tls))["backends"]
        assert backend["external"]["url"] == "https://10.20.0.7:8080/v1"
        assert backend["tls"] == {"caSecretRef": {"name": "studio-ca"}}
        assert "Secret studio-ca with ca.crt" in run_on("plan", text=stack(tls=tls)).stdout

    def test_what_a_backend_states_itself_stays(self, run_on: Run) -> None:
        text = stack().replace(
            "      inferenceServiceRef:\n        name: studio\n",
            "      inferenceServiceRef: { name: studio, namespace: lockgate }\n"
            "      servedModel: other\n      healthCheck: { path: /up }\n      displayName: qwen\n",
        )
        done = run_on("plan", "--json", text=text)
        assert done.exit_code == 0, done.output
        made = {one["name"]: one["inputs"] for one in json.loads(done.stdout)["resources"]}
        [backend] = policy(made)["backends"]
        assert backend["external"]["model"] == "other"
        assert backend["healthCheck"] == {"path": "/up"}
        assert backend["displayName"] == "qwen"


class TestOnTheMac:
    """The files that are installed there. No Mac is at hand: their forms are checked."""

    def files(self, **host: Any) -> dict[str, str]:
        metal, problems = read_metal("studio", {**HOST, **host})
        assert metal is not None, problems
        return machine_files(metal)

    def test_launchd_runs_the_server_as_nobody_special_at_one_address(self) -> None:
        [name] = [n for n in self.files() if n.endswith(".plist")]
        text = self.files()[name].encode()
        found = plistlib.loads(text)
        assert name == f"{found['Label']}.plist" == "dev.lockgate.studio.plist"
        assert found["UserName"] == "_llama"
        assert (found["RunAtLoad"], found["KeepAlive"]) == (True, True)
        words = found["ProgramArguments"]
        assert words[:3] == ["/opt/homebrew/bin/llama-server", "--model", HOST["model"]]
        assert words[words.index("--host") + 1] == "10.20.0.7"
        assert text.startswith(
            b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN"'
        )
        self.holds_to_apples_form(text)

    @staticmethod
    def holds_to_apples_form(text: bytes) -> None:
        """The elements of Apple's PropertyList-1.0.dtd: a dict is pairs of a key and a value."""
        root = ET.fromstring(text)
        assert (root.tag, root.attrib) == ("plist", {"version": "1.0"})
        values = {"array", "dict", "string", "integer", "true", "false", "real", "date", "data"}
        for one in root.iter("dict"):
            tags = [child.tag for child in one]
            assert tags[::2] == ["key"] * (len(tags) // 2)
            assert set(tags[1::2]) <= values

    def test_everything_that_may_be_stated_is_told_to_the_server(self) -> None:
        more: dict[str, Any] = {
            "contextSize": 32768, "parallelSlots": 4, "extraArgs": ["--flash-attn", "on"], "port": 9000,
            "tls": {"certificate": "/c.pem", "key": "/k.pem"}, "apiKeyFile": "/key",
            "credentialsSecretRef": {"name": "studio-key"}, "server": "/opt/llama-server",
        }  # fmt: skip
        metal, _ = read_metal("studio", {**HOST, **more})
        assert metal is not None
        assert arguments(metal) == [
            "/opt/llama-server", "--model", HOST["model"], "--alias", "studio", "--host", "10.20.0.7", "--port", "9000",
            "--n-gpu-layers", "999", "--ctx-size", "32768", "--parallel", "4", "--ssl-cert-file", "/c.pem",
            "--ssl-key-file", "/k.pem", "--api-key-file", "/key", "--flash-attn", "on",
        ]  # fmt: skip
        assert metal.machine.url == "https://10.20.0.7:9000/v1"
        assert metal.machine.credentials == "studio-key"

    @pytest.mark.parametrize(
        ("memory", "fraction", "megabytes"),
        [
            ("36Gi", None, 24698),
            ("64Gi", None, 49152),
            ("64Gi", 0.8, 52428),
            ("128Gi", None, 98304),
        ],
    )
    def test_the_gpu_has_its_share_of_the_memory(
        self, memory: str, fraction: float | None, megabytes: int
    ) -> None:
        host = {"memory": memory, **({"memoryFraction": fraction} if fraction else {})}
        files = self.files(**host)
        assert f"MiB, and the GPU may have {megabytes}" in files["install.sh"]
        own = files.get("dev.lockgate.studio.memory.plist")
        assert (own is None) == (fraction is None)
        if own is not None:
            line = plistlib.loads(own.encode())["ProgramArguments"]
            assert line == ["/usr/sbin/sysctl", f"iogpu.wired_limit_mb={megabytes}"]
            assert "iogpu.wired_limit_mb=0" in files["uninstall.sh"]

    def test_power_is_logged_where_that_is_wanted(self) -> None:
        files = self.files(applePowerEnabled=True)
        own = plistlib.loads(files["dev.lockgate.studio.power.plist"].encode())
        assert own["ProgramArguments"][:3] == [
            "/usr/bin/powermetrics",
            "--samplers",
            "cpu_power,gpu_power",
        ]
        assert "UserName" not in own  # powermetrics wants root
        assert (
            files["dev.lockgate.studio.conf"].splitlines()[1].split()[0]
            == own["ProgramArguments"][-1]
        )
        assert not [name for name in self.files() if "power" in name]

    @pytest.mark.parametrize("more", [{}, {"memoryFraction": 0.8, "applePowerEnabled": True}])
    def test_what_is_installed_is_removed(self, more: dict[str, Any]) -> None:
        files = self.files(**more)
        for name in files.keys() - {"install.sh", "uninstall.sh"}:
            assert f'"$here/{name}"' in files["install.sh"]
            assert name in files["uninstall.sh"]

    @pytest.mark.parametrize("name", ["install.sh", "uninstall.sh"])
    def test_the_scripts_are_clean(self, tmp_path: Path, name: str) -> None:
        program = shutil.which("shellcheck")
        if program is None:
            pytest.skip("NOT RUN: no shellcheck on PATH")
        file = tmp_path / name
        file.write_text(self.files(memoryFraction=0.8, applePowerEnabled=True)[name])
        done = subprocess.run(
            [program, "-s", "sh", str(file)],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.stdout == ""

    def test_elsewhere_than_on_a_mac_they_do_nothing(self, tmp_path: Path) -> None:
        for name in ("install.sh", "uninstall.sh"):
            (tmp_path / name).write_text(self.files()[name])
            done = subprocess.run(
                ["sh", str(tmp_path / name)],
                capture_output=True,
                text=True,
                check=False,
                timeout=10,
            )
            assert (done.returncode, done.stderr) == (1, f"{name}: this is no Mac\n")

    def test_a_plan_writes_them_for_the_mac_and_not_for_the_cluster(
        self, run_on: Run, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        done = run_on("plan", "--out", str(out), text=stack())
        assert done.exit_code == 0, done.output
        folder = out / "metal" / "studio"
        assert {file.name: file.read_text() for file in folder.iterdir()} == self.files()
        assert not list(folder.glob("*.yaml"))
        kinds = {yaml.safe_load(file.read_text())["kind"] for file in out.glob("*.yaml")}
        assert "EndpointSlice" in kinds


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ({"address": "mac.local"}, "address: 'mac.local' is no IP address"),
        ({"address": "8.8.8.8"}, "address: 8.8.8.8 is not in private address space"),
        ({"address": "127.0.0.1"}, "address: 127.0.0.1 is not in private"),
        ({"address": "169.254.169.254"}, "is not in private"),
        ({"address": "FD10::7"}, "address: 'FD10::7' has a shorter form; write `address: fd10::7`"),
        ({"port": 80}, "port: 80 is not a port that a user may open"),
        ({"user": "root"}, "user: 'root' is no user that a server runs as"),
        ({"user": "a b"}, "user: 'a b' is no user"),
        ({"memory": "much"}, "memory: "),
        ({"memory": "1Gi"}, "memory: 1Gi is no Mac's"),
        ({"memoryFraction": 1.5}, "memoryFraction: 1.5 is not from 0.3 to 0.95"),
        ({"model": "model.gguf"}, "model: 'model.gguf' is no path on the machine"),
        ({"server": "llama-server"}, "server: 'llama-server' is no path"),
        ({"tls": {"certificate": "c", "key": "/k"}}, "tls.certificate: 'c' is no path"),
        ({"tls": {"certificate": "/c"}}, "tls.key: is missing"),
        ({"apiKeyFile": "/k"}, "credentialsSecretRef: is missing: the other half"),
        ({"credentialsSecretRef": {"name": "s"}}, "apiKeyFile: is missing: the other half"),
        ({"declaration": {"owner": " ", "place": "x"}}, "declaration.owner: is no line of text"),
        ({"declaration": {"owner": "x"}}, "declaration.place: is missing"),
        ({"declaration": {"owner": "x", "place": "a\nb"}}, "declaration.place: is no line of text"),
        ({"extraArgs": ["--host=0.0.0.0"]}, "extraArgs[0]: --host is the machine's address"),
        ({"runtime": "mlx"}, "runtime: is not a field"),
    ],
)  # fmt: skip
def test_what_is_no_machine_is_refused_with_its_line(
    run_on: Run, host: dict[str, Any], said: str
) -> None:
    done = run_on("plan", text=stack(**host))
    assert (done.exit_code, said in done.stderr) == (2, True), done.output
    assert "config.lockgate:metal.studio" in done.stderr
    told = tell(lambda: MetalHost("studio", **{**HOST, **host}))
    assert isinstance(told.error, RefusedError)
    assert told.registered == {}


def test_a_name_is_one_things(run_on: Run) -> None:
    text = stack().replace(
        "  lockgate:router:",
        "  lockgate:models:\n    studio: { modelRef: 'pvc://a/b' }\n  lockgate:router:",
    )
    done = run_on("plan", text=text)
    assert done.exit_code == 2
    assert "lockgate:metal.studio: is a model server of this stack already" in done.stderr
    other = stack().replace("  lockgate:metal:\n    studio:", "  lockgate:metal:\n    Studio_1:")
    assert "'Studio_1' is no name of a Service" in run_on("plan", text=other).stderr


def test_a_machine_is_asked_for_its_own_model(run_on: Run) -> None:
    text = stack().replace("    - name: l\n", "    - name: l\n      servedModel: caller\n")
    done = run_on("plan", text=text)
    assert done.exit_code == 2
    assert "backends[0].servedModel: is for servers in the cluster" in done.stderr


def test_a_program_has_it_as_a_component() -> None:
    made: list[MetalHost] = []

    def program() -> None:
        made.append(MetalHost("studio", namespace="agents", memory_fraction=0.8, **HOST))
        backend = made[0].backend("local", capabilities=["code"])
        ModelRouter("gate", {"backends": [backend], "defaultRoute": "local"}, "agents")

    told = tell(program, preview=False)
    assert told.error is None
    names = {one["name"] for one in told.registered.values()}
    assert {"studio-service", "studio-endpoints", "studio-files", "gate-deployment"} <= names
    assert made[0].url == "http://10.20.0.7:8080/v1"
    assert "install.sh" in made[0].files


def test_a_machine_is_a_backend_with_all_else_as_it_is_stated() -> None:
    machine = Machine("studio", "fd10::7", 9000, "IT", "rack 7", tls=True, credentials="key")
    assert machine.url == "https://[fd10::7]:9000/v1"
    assert machine.declared == "studio: rack 7; declared by IT"
