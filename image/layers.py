"""The folders that an image is made of, one a layer, with nothing in them that a build leaves.

A layer is a folder until it is packed, so that the Dockerfile can copy the same files.
"""

import csv
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from image.debian import (
    MACHINES,
    PYTHON,
    Mirrors,
    Package,
    bundle_authorities,
    fetch,
    unpack,
)

USER: Final = 65532
"""The `nonroot` user of the common distroless images, and of the manifests."""
SITE: Final = f"usr/local/lib/{PYTHON}/dist-packages"
GLIBC: Final = range(36, 16, -1)
"""The 2.N of the C libraries that wheels may be made for: the release has 2.36."""
SHARED: Final = {"tmp", "var/tmp"}
"""Folders that everybody may write to, where the root is not read-only."""
ACCOUNTS: Final = {
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\n"
    f"nonroot:x:{USER}:{USER}:nonroot:/home/nonroot:/sbin/nologin\n",
    "etc/group": f"root:x:0:\nnonroot:x:{USER}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n",
}
COMMAND: Final = """\
#!/usr/bin/{python} -IB
import sys
from {module} import main
sys.exit(main())
"""
"""-I: nothing of the environment or the working directory is imported; -B: nothing is written."""


@frozen
class Layer:
    """A packed layer: the gzipped bytes, and the digest of what they unpack to."""

    data: bytes
    diff_id: str

    @property
    def digest(self) -> str:
        """The digest that a registry knows it by."""
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"


def base(folder: Path, packages: list[Package], known: Mirrors, cache: Path) -> None:
    """Make the layer that every image begins with: the release's Python and what it needs.

    Nothing is compiled yet.
    """
    _empty(folder)
    for package in packages:
        unpack(fetch(package, known, cache), folder)
    bundle_authorities(folder)
    for path, text in ACCOUNTS.items():
        (folder / path).write_text(text)
    for shared in SHARED:
        (folder / shared).mkdir(parents=True, exist_ok=True)
        (folder / shared).chmod(0o1777)


def wheels(folder: Path, architecture: str, *what: str | Path) -> None:
    """Make a layer of what pip installs: pip's own words, after its options for another machine.

    What is not a wheel is refused, and dependencies are not followed: a file with hashes says all.
    """
    _empty(folder)
    machine = MACHINES[architecture]
    tags = [f"manylinux_2_{minor}_{machine}" for minor in GLIBC]
    tags += [f"manylinux2014_{machine}", f"linux_{machine}"]
    line = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    line += ["--no-deps", "--no-compile", "--only-binary=:all:", "--no-warn-conflicts"]
    line += ["--implementation", "cp", "--python-version", PYTHON.removeprefix("python")]
    line += [word for tag in tags for word in ("--platform", tag)]
    site = folder / SITE
    subprocess.run([*line, "--target", str(site), *map(str, what)], check=True)
    shutil.rmtree(site / "bin", ignore_errors=True)
    for leftover in [*site.rglob("direct_url.json"), *site.rglob("REQUESTED")]:
        leftover.unlink()
    for tests in [*site.rglob("test"), *site.rglob("tests")]:
        if tests.is_dir():
            shutil.rmtree(tests)
    for record in site.glob("*.dist-info/RECORD"):
        _correct(record)


def _correct(record: Path) -> None:
    """Leave in a distribution's list what is there: scripts, say, name this machine's Python."""
    rows = csv.reader(record.read_text().splitlines())
    kept = [row for row in rows if (record.parent.parent / row[0]).is_file()]
    with record.open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows(kept)


def command(folder: Path, name: str, module: str) -> None:
    """Add a command that runs `main` of a module."""
    file = folder / "usr/local/bin" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(COMMAND.format(python=PYTHON, module=module))
    file.chmod(0o755)


def interpreter(folder: Path, architecture: str) -> list[str]:
    """Return the command that runs the Python of a base layer for this machine, where it lies.

    Patch releases compile some modules differently: the image's own gives the same everywhere.
    """
    machine = MACHINES[architecture]
    libraries = [folder / below / f"{machine}-linux-gnu" for below in ("lib", "usr/lib")]
    loader = next(libraries[0].glob("ld-linux-*.so.*"))
    found = ":".join(map(str, libraries))
    python = folder / "usr" / "bin" / PYTHON
    home = f"PYTHONHOME={folder / 'usr'}"
    return ["env", home, str(loader), "--library-path", found, str(python), "-sSB"]


def compile_python(folder: Path, python: Sequence[str]) -> None:
    """Compile every module: a read-only image could not, and would do it at each start.

    The result says nothing of where and when it was made, and is believed without a look at the
    source (PEP 552, unchecked hashes). `python` is the command of the one that compiles.
    """
    line = [*python, "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"]
    line += ["-s", str(folder), "-p", "/", str(folder)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    subprocess.run(line, check=True, env=environment)


def pack(folder: Path, epoch: int) -> Layer:
    """Return a folder as a layer: sorted, everything root's, every time `epoch` (in seconds)."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.rglob("*"), key=lambda path: path.parts):
            name = path.relative_to(folder).as_posix()
            entry = archive.gettarinfo(path, name)
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = epoch
            entry.mode = _mode(name, entry)
            if entry.isreg():
                with path.open("rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)
    whole = raw.getvalue()
    packed = gzip.compress(whole, compresslevel=6, mtime=0)
    return Layer(packed, f"sha256:{hashlib.sha256(whole).hexdigest()}")


def _mode(name: str, entry: tarfile.TarInfo) -> int:
    if entry.issym():
        return 0o777
    if entry.isdir():
        return 0o1777 if name in SHARED else 0o755
    return 0o755 if entry.mode & 0o100 else 0o644


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
