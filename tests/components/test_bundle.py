"""`lockgate bundle`: one archive for a site without a way out, whose sums are right and whose bytes are the same."""

import hashlib
import http.client
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from lockgate.cli.main import cli

from tests.fetching.test_oci import registry

__all__ = ["registry"]
ROUTER = {"backends": [{"name": "l", "inferenceServiceRef": {"name": "qwen"}}], "defaultRoute": "l"}
SITE = {"airgapped": True, "registry": "r.site.example/m"}
MODEL = {"modelRef": "s3://models/m.gguf", "fetch": {"endpoint": "https://minio.storage.svc"}}
PROXY, LLAMA = "ghcr.io/lockgate/lockgate-proxy:0.2.0", "ghcr.io/ggml-org/llama.cpp:server-b6800"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the stack `air`, as the working directory."""
    config = {"lockgate:site": SITE, "lockgate:models": {"qwen": MODEL}, "lockgate:router": ROUTER}
    shutil.copy(Path(__file__).parents[2] / "Pulumi.yaml", tmp_path)
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.air.yaml").write_text(yaml.safe_dump({"config": config}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def archive(path: Path, mark: bytes = b"{}") -> Path:
    """An image's archive as `skopeo copy` writes it: layout, index, a manifest without layers."""
    blobs = {}

    def blob(content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"digest": f"sha256:{digest}", "size": len(content)}

    config = {"mediaType": "application/vnd.oci.image.config.v1+json", **blob(b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":%b}' % mark)}  # fmt: skip
    whole = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": []}  # fmt: skip
    manifest = {"mediaType": whole["mediaType"], **blob(json.dumps(whole).encode())}
    files = {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode(),
        **blobs,
    }
    with tarfile.open(path, "w") as made:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    return path


def bundle(*words: str) -> Result:
    return CliRunner().invoke(cli, ["bundle", "air", *words])


def both(folder: Path) -> list[str]:
    proxy, llama = archive(folder / "proxy.tar"), archive(folder / "llama.tar", b'{"User":"1"}')
    return ["--image", f"{PROXY}={proxy}", "--image", f"r.site.example/m/ggml-org/llama.cpp:server-b6800={llama}"]  # fmt: skip


def unpacked(out: Path, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["tar", "xf", str(out), "-C", str(folder)], check=True, timeout=60)
    [inner] = folder.iterdir()
    return inner


def test_it_has_all_that_is_needed_inside_and_its_sums_are_right(project: Path) -> None:
    done = bundle("--out", "b.tar", *both(project))
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("b.tar written: 2 of 2 images, sha256:")
    inner = unpacked(project / "b.tar", project / "site")
    summed = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=inner, capture_output=True, text=True, check=True, timeout=30)  # fmt: skip
    listed = {line.split(":")[0] for line in summed.stdout.splitlines()}
    every = {str(path.relative_to(inner)) for path in inner.rglob("*") if path.is_file()}
    assert every - listed == {"SHA256SUMS"}
    lines = (inner / "images.txt").read_text().splitlines()[1:]
    assert {line.split(" ")[0] for line in lines} == {PROXY, LLAMA}
    assert {line.split(" ")[1] for line in lines} == {"r.site.example/m/lockgate/lockgate-proxy:0.2.0", "r.site.example/m/ggml-org/llama.cpp:server-b6800"}  # fmt: skip
    for line in lines:
        assert (inner / line.split(" ")[2]).is_file()
    assert (inner / "models.txt").read_text() == "s3://models/m.gguf\n"
    assert "PROVED" in (inner / "manifests" / "proof.txt").read_text()
    assert len(list((inner / "manifests").glob("*deployment*.yaml"))) == 2


def test_the_same_input_gives_the_same_bytes(project: Path) -> None:
    given = both(project)
    for name in ("a.tar", "b.tar"):
        assert bundle("--out", name, *given).exit_code == 0
        for file in project.glob("*.tar"):
            os.utime(file)
    assert (project / "a.tar").read_bytes() == (project / "b.tar").read_bytes()


def test_an_image_without_an_archive_is_refused_with_the_line_that_makes_it(project: Path) -> None:
    done = bundle("--out", "b.tar")
    assert done.exit_code == 2
    assert "2 images without an archive" in done.stderr
    assert f"skopeo copy --all docker://{PROXY} oci-archive:ghcr.io-lockgate-lockgate-proxy-0.2.0.tar" in done.stderr  # fmt: skip
    assert f"--image {LLAMA}=ghcr.io-ggml-org-llama.cpp-server-b6800.tar" in done.stderr
    assert not (project / "b.tar").exists()
    listed = bundle("--out", "b.tar", "--listed")
    assert listed.exit_code == 0
    inner = unpacked(project / "b.tar", project / "site")
    assert f"docker://{PROXY}" in (inner / "README.txt").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--image", "proxy"], "is not IMAGE=ARCHIVE"),
        (["--image", "other:1=stacks/Pulumi.air.yaml"], "--image other:1: no pod has it"),
        (["--image", f"{PROXY}=nowhere.tar"], "nowhere.tar: cannot be read as an archive"),
        (["--image", f"{PROXY}=stacks/Pulumi.air.yaml"], "cannot be read as an archive"),
        (["--listed", "--out", "no/where.tar"], "cannot be written"),
    ],
)
def test_what_is_no_bundle_is_refused(project: Path, words: list[str], said: str) -> None:
    done = bundle("--out", "b.tar", *words)
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert list(project.glob("*.tar*")) == []


def test_a_tar_of_something_else_is_no_image(project: Path) -> None:
    with tarfile.open(project / "other.tar", "w") as made:
        made.add(project / "stacks")
    done = bundle("--out", "b.tar", "--image", f"{PROXY}={project / 'other.tar'}")
    assert done.exit_code == 2
    assert "is no image" in done.stderr


def test_a_policy_that_leaks_is_in_no_bundle(project: Path) -> None:
    file = project / "stacks" / "Pulumi.air.yaml"
    config = yaml.safe_load(file.read_text())
    router = config["config"]["lockgate:router"]
    gate = {
        "provider": "litellm",
        "model": "m",
        "url": "http://l.g.svc/v1",
        "allowPrivateAddress": True,
    }
    router["backends"].append({"name": "c", "tier": "cloud", "external": gate})
    router["policy"] = {"invariants": [{"name": "nothing-out", "never": {"tier": "cloud"}}]}
    router["rules"] = [{"name": "out", "route": {"backends": ["c"]}}]
    file.write_text(yaml.safe_dump(config))
    done = bundle("--out", "b.tar", "--listed")
    assert done.exit_code in {1, 2}, done.output
    assert not (project / "b.tar").exists()


def test_its_script_pushes_into_a_real_registry(project: Path, registry: str) -> None:
    """Debian's skopeo and docker-registry; the names are those of the registry on loopback."""
    if shutil.which("skopeo") is None:
        pytest.skip("NOT RUN: no skopeo on PATH")
    host = registry.removeprefix("http://")
    file = project / "stacks" / "Pulumi.air.yaml"
    file.write_text(file.read_text().replace("r.site.example/m", f"{host}/m"))
    proxy, llama = archive(project / "p.tar"), archive(project / "l.tar", b'{"User":"1"}')
    done = bundle("--out", "b.tar", "--image", f"{PROXY}={proxy}", "--image", f"{LLAMA}={llama}")
    assert done.exit_code == 0, done.output
    inner = unpacked(project / "b.tar", project / "site")
    home = project / "home"
    home.mkdir()
    (home / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    # loopback has no TLS; what the script says is left as it is
    (home / "skopeo").write_text(f'#!/bin/sh\nexec {shutil.which("skopeo")} --policy {home}/policy.json "$1" --dest-tls-verify=false "$2" "$3" "$4"\n')  # fmt: skip
    (home / "skopeo").chmod(0o755)
    path = f"{home}:{os.environ['PATH']}"
    pushed = subprocess.run(["sh", "load.sh"], cwd=inner, env={"PATH": path, "HOME": str(home)}, capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    assert pushed.returncode == 0, pushed.stdout + pushed.stderr
    connection = http.client.HTTPConnection(host, timeout=10)
    for name in ("m/lockgate/lockgate-proxy", "m/ggml-org/llama.cpp"):
        connection.request("GET", f"/v2/{name}/tags/list")
        assert json.loads(connection.getresponse().read())["name"] == name
    connection.close()
