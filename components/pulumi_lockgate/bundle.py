"""One archive with all that a site without a way out must carry in: images, manifests, checksums.

The same stack and the same image archives give the same bytes. Images are archives as
`skopeo copy`, `docker save` and this repository's `make image` write them.
"""

import hashlib
import io
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import IO, Any, Final

from attrs import evolve, frozen
from lockgate.policy.reading.problem import UnusableInputError

from pulumi_lockgate.manifests.fetching import CONTAINER
from pulumi_lockgate.manifests.inference import manifests_of
from pulumi_lockgate.manifests.router import DEFAULT_IMAGE
from pulumi_lockgate.manifests.site import image_at
from pulumi_lockgate.planned import Planned
from pulumi_lockgate.stack.settings import Stack
from pulumi_lockgate.written import write_plan

SUMS: Final = "SHA256SUMS"
_CHUNK: Final = 1 << 20
_ARCHIVES: Final = {"oci-layout": "oci-archive", "manifest.json": "docker-archive"}
"""What an archive has in it, and how skopeo calls such a one; made by `make image`, it is both."""


@frozen
class Carried:
    """An image: what it is called outside and by pods inside, and its archive if there is one."""

    origin: str
    name: str
    archive: Path | None = None

    @property
    def file(self) -> str:
        """Its archive's name in the bundle."""
        words = "".join(c if c.isalnum() or c in ".-" else "-" for c in self.origin)
        return f"images/{words}.tar"

    @property
    def pulled(self) -> str:
        """The line that makes its archive, outside."""
        return (
            f"skopeo copy --all docker://{self.origin} oci-archive:{self.file.rpartition('/')[2]}"
        )


def carried(stack: Stack, plan: Planned, given: Mapping[str, Path]) -> tuple[Carried, ...]:
    """Return every image of a plan, each once; `given` are archives by either name of an image.

    Raises UnusableInputError for an archive that is of no image of it, or is none.
    """
    origins = _origins(stack, plan)
    names = {name for pair in origins.items() for name in pair}
    for name, archive in given.items():
        if name not in names:
            known = ", ".join(origins.values())
            raise UnusableInputError(f"--image {name}: no pod has it; there are: {known}")
        _kind(archive)
    return tuple(
        Carried(origin, name, given.get(origin) or given.get(name))
        for name, origin in sorted(origins.items())
    )


def _origins(stack: Stack, plan: Planned) -> dict[str, str]:
    """Return what pods call each image, and what it is called where it comes from."""
    site = stack.settings.site.asked
    used = {container["image"] for container in _containers(plan)}
    known = {image_at(site, origin): origin for origin in _before(stack)}
    return {name: known.get(name, name) for name in used}


def _before(stack: Stack) -> Iterator[str]:
    """Yield the images of a stack as they are called without its site."""
    yield stack.policy.spec.proxy.image or DEFAULT_IMAGE
    for manifest in manifests_of(evolve(model, site=None) for model in stack.models.values()):
        yield from (one["image"] for one in _of(manifest))


def _containers(plan: Planned) -> Iterator[dict[str, Any]]:
    for manifest in plan.plan.manifests:
        yield from _of(manifest)


def _of(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if manifest["kind"] == "Deployment":
        pod = manifest["spec"]["template"]["spec"]
        yield from (*pod.get("initContainers", ()), *pod["containers"])


def models(plan: Planned) -> list[str]:
    """Return the references of the models that pods fetch inside."""
    fetching = (one for one in _containers(plan) if one["name"] == CONTAINER)
    return sorted({one["args"][1] for one in fetching})


def write_bundle(plan: Planned, images: Sequence[Carried], out: Path) -> str:
    """Write the archive, and return its SHA-256. Raises UnusableInputError where it cannot be."""
    name = f"lockgate-{plan.stack}"
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_plan(plan, folder / "manifests")
        (folder / "images").mkdir()
        (folder / "images.txt").write_text(_list(images))
        (folder / "models.txt").write_text("".join(f"{one}\n" for one in models(plan)))
        (folder / "load.sh").write_text(_load(images))
        (folder / "README.txt").write_text(_readme(plan, images))
        files = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
        files |= {one.file: one.archive for one in images if one.archive is not None}
        sums = "".join(f"{_sum(path)}  {file}\n" for file, path in sorted(files.items()))
        (folder / SUMS).write_text(sums)
        files[SUMS] = folder / SUMS
        part = out.with_name(f".{out.name}.part")
        try:
            with part.open("wb") as stream:
                _tar(stream, {f"{name}/{file}": path for file, path in files.items()})
            digest = _sum(part)
            part.replace(out)
        except OSError as problem:
            part.unlink(missing_ok=True)
            raise UnusableInputError(f"{out}: cannot be written: {problem.strerror}") from problem
    return digest


def _tar(stream: IO[bytes], files: Mapping[str, Path]) -> None:
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, path in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = path.stat().st_size, 0
            entry.mode = 0o755 if name.endswith(".sh") else 0o644
            with path.open("rb") as content:
                archive.addfile(entry, content)


def _sum(path: Path) -> str:
    sum_ = hashlib.sha256()
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK):
            sum_.update(chunk)
    return sum_.hexdigest()


def _kind(archive: Path) -> str:
    """Return how skopeo calls such an archive; UnusableInputError where it is none."""
    try:
        with tarfile.open(archive) as opened:
            names = {entry.name.removeprefix("./") for entry in opened}
    except (OSError, tarfile.TarError) as problem:
        raise UnusableInputError(f"{archive}: cannot be read as an archive: {problem}") from problem
    for name, kind in _ARCHIVES.items():
        if name in names:
            return kind
    raise UnusableInputError(f"{archive}: is no image: it has neither {' nor '.join(_ARCHIVES)}")


def _list(images: Sequence[Carried]) -> str:
    head = "# image outside, image in the site's registry, archive here\n"
    return head + "".join(
        f"{one.origin} {one.name} {one.file if one.archive else '-'}\n" for one in images
    )


def _load(images: Sequence[Carried]) -> str:
    lines = [
        "#!/bin/sh",
        "# Pushes the images into the site's registry; needs skopeo, and `skopeo login` before it.",
        "set -eu",
        'cd "$(dirname "$0")"',
        f"sha256sum -c {SUMS}",
    ]
    for one in images:
        if one.archive is None:
            lines.append(f'echo "not in this bundle: {one.name}" >&2')
            continue
        there = quote(f"docker://{one.name}")
        lines.append(f"skopeo copy --all {_kind(one.archive)}:{one.file} {there}")
    return "\n".join(lines) + "\n"


def _readme(plan: Planned, images: Sequence[Carried]) -> str:
    text = io.StringIO()
    text.write(f"What the stack {plan.stack} of Lockgate needs inside.\n\n")
    text.write(f"1. sha256sum -c {SUMS}\n")
    text.write("2. sh load.sh   pushes images/ into the site's registry (images.txt)\n")
    text.write("3. models.txt   names what must lie in the site's bucket, hub or registry\n")
    text.write(
        "4. kubectl apply --server-side -f manifests/   or give that folder to Argo CD or Flux\n\n"
    )
    text.write("manifests/proof.txt is the proof, and says what must exist in the cluster.\n")
    missing = [one for one in images if one.archive is None]
    if missing:
        text.write("\nNot in here; outside, each is fetched by:\n")
        text.writelines(f"  {one.pulled}\n" for one in missing)
    return text.getvalue()


def free_for(out: Path, images: Sequence[Carried]) -> None:
    """Raise UnusableInputError where the disk has no room for the archive."""
    size = sum(one.archive.stat().st_size for one in images if one.archive is not None)
    where = out.absolute().parent
    if where.is_dir() and shutil.disk_usage(where).free < size:
        raise UnusableInputError(f"{out}: {where} has no room for {size / 1e9:.1f} GB of images")
