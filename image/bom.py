"""What is inside an image, as CycloneDX: each Debian package and each Python distribution."""

from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from image.debian import HEADERS, RELEASE, Package
from image.layers import SITE

DISTRIBUTION: Final = {"distro": RELEASE}


def document(
    name: str, digest: str, packages: Iterable[Package], layers: Iterable[Path], epoch: int
) -> str:
    """Return the bill of materials of an image: `name` with its tag, the layers' folders.

    The same image gives the same text: its number is made of the digest, its time is `epoch`.
    """
    repository, _, version = name.rpartition(":")
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, digest))
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, UTC)
    bom.metadata.component = Component(
        type=ComponentType.CONTAINER,
        name=repository,
        version=version,
        bom_ref="image",
        purl=PackageURL(
            "oci",
            None,
            repository.rpartition("/")[2],
            digest,
            {"repository_url": repository, "tag": version},
        ),
    )
    for package in packages:
        if package.name != HEADERS:
            bom.components.add(_debian(package))
    sites = [str(layer / SITE) for layer in layers]
    for found in distributions(path=sites):
        bom.components.add(_python(found))
    bom.register_dependency(bom.metadata.component, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1)


def _debian(package: Package) -> Component:
    where = {**DISTRIBUTION, "arch": package.architecture}
    purl = PackageURL("deb", "debian", package.name, package.version, where)
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        purl=purl,
        bom_ref=f"deb:{package.name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=package.sha256)],
    )


def _python(found: Distribution) -> Component:
    name, version = found.metadata["Name"], found.version
    told = found.metadata.json
    licences: list[LicenseExpression | DisjunctiveLicense] = []
    if expression := told.get("license_expression"):
        licences = [LicenseExpression(str(expression))]
    elif text := told.get("license"):
        licences = [DisjunctiveLicense(name=str(text).splitlines()[0])]
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        purl=PackageURL("pypi", None, name.lower().replace("_", "-"), version),
        bom_ref=f"pypi:{quote(name)}",
        licenses=licences,
    )
