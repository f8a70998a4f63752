"""The archive, read by the image specification's own words: descriptors lead to what they say."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from image import oci
from image.layers import Layer

RUN = oci.Run(["/bin/tool"], ["serve"], [8080])
NAME = "registry.example/tool:1.2"


def image(architecture: str = "amd64", data: bytes = b"layer") -> oci.Image:
    layer = Layer(data, f"sha256:{hashlib.sha256(b'plain').hexdigest()}")
    return oci.Image(architecture, [layer], RUN, {"org.opencontainers.image.version": "1.2"}, 0)


def read(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]


def followed(files: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    """Return what a descriptor leads to, of its size and digest."""
    kind, _, digest = descriptor["digest"].partition(":")
    data = files[f"blobs/{kind}/{digest}"]
    assert (hashlib.new(kind, data).hexdigest(), len(data)) == (digest, descriptor["size"])
    return data


def test_one_architecture_is_a_manifest_that_leads_to_everything(tmp_path: Path) -> None:
    digest = oci.write(tmp_path / "image.tar", NAME, [image()])
    files = read(tmp_path / "image.tar")
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (top,) = json.loads(files["index.json"])["manifests"]
    assert top["digest"] == digest
    assert top["annotations"]["io.containerd.image.name"] == NAME
    assert top["annotations"]["org.opencontainers.image.ref.name"] == "1.2"
    manifest = json.loads(followed(files, top))
    config = json.loads(followed(files, manifest["config"]))
    assert [followed(files, layer) for layer in manifest["layers"]] == [b"layer"]
    assert config["architecture"] == "amd64"
    assert config["created"] == "1970-01-01T00:00:00Z"
    assert config["config"]["User"] == "65532:65532"
    assert config["config"]["Entrypoint"] == ["/bin/tool"]
    assert config["config"]["Cmd"] == ["serve"]
    assert config["config"]["ExposedPorts"] == {"8080/tcp": {}}
    assert len(config["rootfs"]["diff_ids"]) == len(manifest["layers"])


def test_docker_finds_its_own_list_beside_it(tmp_path: Path) -> None:
    oci.write(tmp_path / "image.tar", NAME, [image()])
    files = read(tmp_path / "image.tar")
    (listed,) = json.loads(files["manifest.json"])
    assert listed["RepoTags"] == [NAME]
    assert json.loads(files[listed["Config"]])["os"] == "linux"
    assert [files[layer] for layer in listed["Layers"]] == [b"layer"]


def test_two_architectures_are_an_index_with_platforms(tmp_path: Path) -> None:
    digest = oci.write(tmp_path / "image.tar", NAME, [image("amd64"), image("arm64", b"other")])
    files = read(tmp_path / "image.tar")
    (top,) = json.loads(files["index.json"])["manifests"]
    assert top["digest"] == digest
    assert top["mediaType"] == "application/vnd.oci.image.index.v1+json"
    inner = json.loads(followed(files, top))["manifests"]
    assert [one["platform"]["architecture"] for one in inner] == ["amd64", "arm64"]
    for one in inner:
        manifest = json.loads(followed(files, one))
        config = json.loads(followed(files, manifest["config"]))
        assert config["architecture"] == one["platform"]["architecture"]
    assert "manifest.json" not in files  # docker's list has no platforms


def test_the_same_layers_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one.tar", tmp_path / "other.tar"
    assert oci.write(one, NAME, [image()]) == oci.write(other, NAME, [image()])
    assert one.read_bytes() == other.read_bytes()
    assert oci.write(other, NAME, [image(data=b"x")]) != oci.write(one, NAME, [image()])


@pytest.mark.parametrize("count", [1, 2])
def test_every_folder_stands_before_what_is_in_it(tmp_path: Path, count: int) -> None:
    oci.write(tmp_path / "image.tar", NAME, [image("amd64"), image("arm64")][:count])
    seen: set[str] = set()
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "image.tar").read_bytes())) as archive:
        for member in archive:
            assert str(Path(member.name).parent) in seen | {"."}
            seen.add(member.name)
