"""The bill of materials: valid CycloneDX, complete, the same twice."""

import json
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from image import bom
from image.debian import HEADERS, Package
from image.layers import SITE

NAME = "ghcr.io/lockgate/lockgate-proxy:0.2.0"
DIGEST = "sha256:" + "a" * 64
PACKAGES = [
    Package("amd64", "libc6", "2.36-9+deb12u14", "pool/x.deb", "b" * 64),
    Package("amd64", HEADERS, "3.11.2", "pool/y.deb", "c" * 64),
]


def layer(folder: Path) -> Path:
    for name, more in (("Alpha", "License-Expression: MIT\n"), ("beta_x", "License: BSD\n\n a\n"), ("gamma", "")):  # fmt: skip
        info = folder / SITE / f"{name}-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n{more}")
    return folder


def test_it_is_valid_and_names_every_package_and_distribution(tmp_path: Path) -> None:
    text = bom.document(NAME, DIGEST, PACKAGES, [layer(tmp_path)], 0)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert {one["purl"] for one in document["components"]} == {
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=bookworm",
        "pkg:pypi/alpha@1",
        "pkg:pypi/beta-x@1",
        "pkg:pypi/gamma@1",
    }
    about = document["metadata"]["component"]
    assert about["version"] == "0.2.0"
    assert "a" * 64 in about["purl"]
    licences = {one["name"]: one.get("licenses") for one in document["components"]}
    assert licences["Alpha"] == [{"expression": "MIT"}]
    assert licences["beta_x"] == [{"license": {"name": "BSD"}}]


def test_the_same_image_gives_the_same_text_and_another_another(tmp_path: Path) -> None:
    folder = layer(tmp_path)
    one, other = (bom.document(NAME, DIGEST, PACKAGES, [folder], 0) for _ in range(2))
    assert one == other
    assert one != bom.document(NAME, DIGEST.replace("a", "d"), PACKAGES, [folder], 0)
