"""An OCI image as one archive: what registries, containerd, podman, kind and `docker load` read.

https://github.com/opencontainers/image-spec, image-layout.md; docker's own manifest.json beside it
lets `docker load` take it too. The same layers give the same bytes.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from image.layers import USER, Layer

MEDIA: Final = "application/vnd.oci.image."


@frozen
class Run:
    """How an image is started."""

    entrypoint: Sequence[str]
    arguments: Sequence[str] = ()
    ports: Sequence[int] = ()


@frozen
class Image:
    """An image for one architecture."""

    architecture: str
    layers: Sequence[Layer]
    run: Run
    annotations: Mapping[str, str]
    epoch: int

    @property
    def config(self) -> bytes:
        """The configuration: who runs what."""
        created = datetime.fromtimestamp(self.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        settings = {
            "User": f"{USER}:{USER}",
            "Env": [
                "PATH=/usr/local/bin:/usr/bin",
                "LANG=C.UTF-8",
                "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
            ],
            "Entrypoint": list(self.run.entrypoint),
            "Cmd": list(self.run.arguments),
            "ExposedPorts": {f"{port}/tcp": {} for port in self.run.ports},
            "WorkingDir": "/",
            "StopSignal": "SIGTERM",
            "Labels": dict(self.annotations),
        }
        return _json(
            {
                "created": created,
                "architecture": self.architecture,
                "os": "linux",
                "config": settings,
                "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in self.layers]},
                "history": [{"created": created, "created_by": "make image"} for _ in self.layers],
            }
        )

    @property
    def manifest(self) -> bytes:
        """The manifest, whose digest is the image's."""
        return _json(
            {
                "schemaVersion": 2,
                "mediaType": f"{MEDIA}manifest.v1+json",
                "config": _descriptor("config.v1+json", self.config),
                "layers": [_descriptor("layer.v1.tar+gzip", one.data) for one in self.layers],
                "annotations": dict(self.annotations),
            }
        )

    @property
    def described(self) -> dict[str, Any]:
        """What an index says of it."""
        platform = {"architecture": self.architecture, "os": "linux"}
        return {**_descriptor("manifest.v1+json", self.manifest), "platform": platform}


def write(file: Path, name: str, images: Sequence[Image]) -> str:
    """Write the archive of an image for one architecture or several; return its digest.

    `name` is the repository and tag that it is to be known by.
    """
    blobs = [blob for one in images for blob in (one.manifest, one.config)]
    blobs += [layer.data for one in images for layer in one.layers]
    if len(images) == 1:
        top = images[0].described
    else:
        document = {
            "schemaVersion": 2,
            "mediaType": f"{MEDIA}index.v1+json",
            "manifests": [one.described for one in images],
        }
        blobs.append(_json(document))
        top = _descriptor("index.v1+json", blobs[-1])
    names = {
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": name.rpartition(":")[2],
    }
    index = {
        "schemaVersion": 2,
        "mediaType": f"{MEDIA}index.v1+json",
        "manifests": [{**top, "annotations": names}],
    }
    files = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": _json(index),
        **{_path(_digest(blob)): blob for blob in blobs},
    }
    if len(images) == 1:
        files["manifest.json"] = _json([_docker(name, images[0])])
    _archive(file, files)
    return str(top["digest"])


def _docker(name: str, image: Image) -> dict[str, Any]:
    layers = [_path(layer.digest) for layer in image.layers]
    return {"Config": _path(_digest(image.config)), "RepoTags": [name], "Layers": layers}


def _archive(file: Path, files: Mapping[str, bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    with tarfile.open(part, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in _folders(files):
            entry = tarfile.TarInfo(path)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for path, data in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    part.replace(file)


def _folders(files: Iterable[str]) -> list[str]:
    parents = {str(parent) for path in files for parent in Path(path).parents}
    return sorted(parents - {"."})


def _descriptor(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": f"{MEDIA}{kind}", "digest": _digest(data), "size": len(data)}


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
