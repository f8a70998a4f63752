"""Packs an OCI image archive that `ctr images import` reads, from files and root filesystem tars.

python3 mkimage.py OUT.tar NAME:TAG [--user U] [--env K=V] [--entry ARG]... [--file SRC:DST]...
[--layer ROOTFS.tar]... An ARG that begins with a dash is written `--entry=-m`.
Image format: https://github.com/opencontainers/image-spec
"""

import argparse
import hashlib
import io
import json
import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any

OCI = "application/vnd.oci.image."
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def main() -> None:
    """Read the command line and write the archive."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("name")
    parser.add_argument("--user", default="")
    for several in ("env", "entry", "file", "layer"):
        parser.add_argument(f"--{several}", action="append", default=[])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        layers = [Path(layer) for layer in given.layer]
        if given.file:
            layers.append(layer_of(given.file, Path(folder) / "files.tar"))
        write(given, layers)


def layer_of(files: list[str], out: Path) -> Path:
    """Write a layer of single files, each SRC:DST, and return it."""
    with tarfile.open(out, "w") as tar:
        for source, _, target in (one.partition(":") for one in files):
            info = tar.gettarinfo(source, target.lstrip("/"))
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            with Path(source).open("rb") as file:
                tar.addfile(info, file)
    return out


def write(given: argparse.Namespace, layers: list[Path]) -> None:
    """Write the archive: its index, its manifest, its config, its layers."""
    digests = [hashlib.file_digest(layer.open("rb"), "sha256").hexdigest() for layer in layers]
    started = {
        "User": given.user,
        "Env": given.env or ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
        "Entrypoint": given.entry or None,
    }
    config = json.dumps(
        {
            "architecture": ARCHITECTURES[os.uname().machine],
            "os": "linux",
            "config": started,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one}" for one in digests]},
            "history": [{"created_by": "mkimage.py"} for _ in digests],
        }
    ).encode()
    pairs = list(zip(digests, layers, strict=True))
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{OCI}manifest.v1+json",
            "config": blob("config.v1+json", digest_of(config), len(config)),
            "layers": [blob("layer.v1.tar", one, file.stat().st_size) for one, file in pairs],
        }
    ).encode()
    names = {
        "io.containerd.image.name": given.name,
        "org.opencontainers.image.ref.name": given.name.rpartition(":")[2],
    }
    described = blob("manifest.v1+json", digest_of(manifest), len(manifest))
    index = {"schemaVersion": 2, "manifests": [{**described, "annotations": names}]}
    with tarfile.open(given.out, "w") as tar:
        add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        add(tar, "index.json", json.dumps(index).encode())
        for data in (config, manifest):
            add(tar, f"blobs/sha256/{digest_of(data)}", data)
        for digest, layer in pairs:
            info = tarfile.TarInfo(f"blobs/sha256/{digest}")
            info.size = layer.stat().st_size
            with layer.open("rb") as file:
                tar.addfile(info, file)


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of `data`, in hex."""
    return hashlib.sha256(data).hexdigest()


def blob(kind: str, digest: str, size: int) -> dict[str, Any]:
    """Return what names a blob."""
    return {"mediaType": f"{OCI}{kind}", "digest": f"sha256:{digest}", "size": size}


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """Add a file with this content."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


if __name__ == "__main__":
    main()
