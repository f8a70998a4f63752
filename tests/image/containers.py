"""Containers made of an image's archive by runc: nonroot, a read-only root, no capability."""

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "true"]
CAN_RUN = (
    os.geteuid() == 0
    and shutil.which("runc") is not None
    and subprocess.run(NAMESPACES, capture_output=True, check=False).returncode == 0
)


class Archive:
    """An image's archive, followed from its index to its layers."""

    def __init__(self, file: Path) -> None:
        with tarfile.open(file) as archive:
            self.files = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]
        (self.top,) = json.loads(self.files["index.json"])["manifests"]
        self.manifest = json.loads(self.blob(self.top))
        self.settings = json.loads(self.blob(self.manifest["config"]))["config"]

    def blob(self, descriptor: dict[str, Any]) -> bytes:
        return self.files["blobs/" + descriptor["digest"].replace(":", "/")]

    def unpack(self, into: Path) -> Path:
        """Write the layers over each other."""
        for layer in self.manifest["layers"]:
            data = io.BytesIO(gzip.decompress(self.blob(layer)))
            with tarfile.open(fileobj=data) as archive:
                # as root made it: what the filter of later releases is called, and 3.11.2 always does
                trusted = {"filter": "fully_trusted"} if hasattr(tarfile, "data_filter") else {}
                archive.extractall(into, **trusted)  # type: ignore[arg-type]
        return into


class Container:
    """A container on the host's network; `mounts` are folders of the host, read-only."""

    def __init__(
        self,
        folder: Path,
        archive: Archive,
        arguments: list[str],
        mounts: dict[str, Path],
        user: str | None = None,
    ) -> None:
        self.folder, self.name = folder, f"lockgate-{os.getpid()}-{folder.name}"
        folder.mkdir()
        self.root = archive.unpack(folder / "rootfs")
        subprocess.run(["runc", "spec"], cwd=folder, check=True)
        file = folder / "config.json"
        spec = json.loads(file.read_text())
        user, _, group = (user or archive.settings["User"]).partition(":")
        spec["root"]["readonly"] = True
        spec["process"] |= {
            "terminal": False,
            "user": {"uid": int(user), "gid": int(group)},
            "args": [*archive.settings["Entrypoint"], *arguments],
            "env": archive.settings["Env"],
            "cwd": archive.settings["WorkingDir"],
            "capabilities": {},
        }
        spec["linux"]["namespaces"] = [
            one for one in spec["linux"]["namespaces"] if one["type"] != "network"
        ]
        for target, source in mounts.items():
            (self.root / target.strip("/")).mkdir(parents=True, exist_ok=True)
            mount = {"destination": target, "type": "bind", "source": str(source)}
            spec["mounts"].append(mount | {"options": ["rbind", "ro"]})
        file.write_text(json.dumps(spec))
        self.log = folder / "log"

    def start(self, *before: str) -> None:
        line = [*before, *self._runc(), "run", "--bundle", str(self.folder), self.name]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(line, stdout=out, stderr=out)

    def exec(self, *line: str) -> subprocess.CompletedProcess[str]:
        whole = [*self._runc(), "exec", self.name, *line]
        return subprocess.run(whole, capture_output=True, text=True, check=False, timeout=30)

    def stop(self) -> int:
        """Send SIGTERM; return how the first process ended."""
        subprocess.run([*self._runc(), "kill", self.name, "TERM"], check=False)
        try:
            return self.process.wait(20)
        finally:
            subprocess.run([*self._runc(), "delete", "--force", self.name], check=False)

    def _runc(self) -> list[str]:
        return ["runc", "--root", str(self.folder / "runc")]


def answers(url: str) -> bool:
    """Whether a page is there."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False
