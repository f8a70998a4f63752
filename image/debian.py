"""Debian packages by name, version and checksum, and what of them goes into an image.

No maintainer script runs and nothing is configured: the files are all that is taken, which is how
the common distroless images are made. So an image for another architecture needs no emulator.
"""

import hashlib
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from attrs import frozen
from debian.debfile import DebFile

RELEASE: Final = "bookworm"
PYTHON: Final = "python3.11"
"""The release's own Python; what is compiled for the image is compiled for this one."""
MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
"""Debian's name of an architecture (and OCI's), and the kernel's."""
PACKAGES: Final = {
    "base-files": "os-release, the licences, the folders",
    "netbase": "/etc/services, which c-ares reads",
    "ca-certificates": "the authorities that cloud providers are checked against",
    "libc6": "",
    "libgcc-s1": "wheels in Rust unwind with it",
    "gcc-12-base": "libgcc-s1's copyright",
    "zlib1g": "",
    "libexpat1": "pyexpat",
    "libssl3": "ssl, hashlib",
    "libffi8": "ctypes",
    "libbz2-1.0": "bz2, which shutil asks for",
    "liblzma5": "lzma, which shutil asks for",
    "libuuid1": "uuid",
    "libpython3.11-minimal": "",
    "libpython3.11-stdlib": "",
    "python3.11-minimal": "",
}
"""What an image holds, and for what where the name does not say it."""
HEADERS: Final = "libpython3.11-dev"
"""In no image: what our wheel is compiled with for another architecture."""
DROPPED: Final = (
    "usr/share/man/*",
    "usr/share/locale/*",
    "usr/share/lintian/*",
    "usr/share/bug/*",
    "usr/share/binfmts/*",
    "usr/share/applications/*",
    "usr/share/pixmaps/*",
    "usr/share/doc/*/[!c]*",  # copyright stays
    "usr/share/doc/*/changelog*",
    "usr/share/doc/*/README*",
    "usr/share/gcc/*",
    "usr/lib/*/gconv/*",  # character sets for iconv, which Python does without
    "usr/sbin/update-ca-certificates",  # a shell script, and there is no shell
    "etc/update-motd.d/*",
    "etc/ca-certificates/update.d/*",
    # modules whose libraries are not among PACKAGES: a database, terminals, NIS
    "usr/lib/python3.11/lib-dynload/_sqlite3.*",
    "usr/lib/python3.11/lib-dynload/_curses*",
    "usr/lib/python3.11/lib-dynload/readline.*",
    "usr/lib/python3.11/lib-dynload/_dbm.*",
    "usr/lib/python3.11/lib-dynload/nis.*",
    "usr/lib/python3.11/lib-dynload/_crypt.*",
)
AUTHORITIES: Final = "usr/share/ca-certificates"
BUNDLE: Final = "etc/ssl/certs/ca-certificates.crt"


class LockError(Exception):
    """A package cannot be had as the lock says; the text is for whoever builds."""


@frozen
class Package:
    """One package for one architecture; `path` is where a mirror has it, below its root."""

    architecture: str
    name: str
    version: str
    path: str
    sha256: str


def read_lock(text: str) -> list[Package]:
    """Return the packages of a lock file: five words a line, `#` begins a comment."""
    lines = [line.partition("#")[0].split() for line in text.splitlines()]
    return [Package(*words) for words in lines if words]


def lock_text(packages: Iterable[Package], date: str) -> str:
    """Return a lock file's text."""
    rows = [f"{p.architecture} {p.name} {p.version} {p.path} {p.sha256}" for p in packages]
    head = "# architecture, package, version, path on a mirror, SHA-256: by `make image-lock`"
    return "\n".join([head, f"# taken {date}", *rows, ""])


@frozen
class Mirrors:
    """The roots of a mirror of Debian, and of one of its security updates."""

    main: str
    security: str

    def url(self, path: str) -> str:
        """Return where a path of the lock is: the security pool calls itself `pool/updates`."""
        root = self.security if path.startswith("pool/updates/") else self.main
        return f"{root.rstrip('/')}/{path}"


def mirrors() -> Mirrors:
    """Return the mirrors of DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR, else this machine's own.

    LockError where there are neither.
    """
    main, security = (os.environ.get(f"DEBIAN_{kind}MIRROR") for kind in ("", "SECURITY_"))
    if not (main and security):
        known = _configured()
        main = main or known.get(RELEASE)
        security = security or known.get(f"{RELEASE}-security")
    if not (main and security):
        raise LockError(
            f"this machine's apt knows no mirror of Debian {RELEASE}: set DEBIAN_MIRROR and "
            "DEBIAN_SECURITY_MIRROR to the roots of one, or build with Docker (image/Dockerfile)"
        )
    return Mirrors(main, security)


def _configured() -> dict[str, str]:
    """Return this machine's package sources: suite and root."""
    line = ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages"]
    try:
        told = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    rows = [row.split() for row in told.splitlines()]
    return dict(reversed([(row[0], row[1]) for row in rows if len(row) == 2]))


def fetch(package: Package, known: Mirrors, cache: Path) -> Path:
    """Return a package's file, from `cache` or a mirror; LockError where it is not what it was."""
    file = cache / f"{package.sha256}.deb"
    if file.is_file():
        return file
    url = known.url(package.path)
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            data: bytes = response.read()
    except OSError as problem:
        raise LockError(_gone(package, problem)) from problem
    found = hashlib.sha256(data).hexdigest()
    if found != package.sha256:
        raise LockError(f"{package.name}: the mirror's file is {found}, not {package.sha256}")
    cache.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_bytes(data)
    part.replace(file)
    return file


def _gone(package: Package, problem: OSError) -> str:
    if isinstance(problem, urllib.error.HTTPError) and problem.code == 404:
        return (
            f"{package.name} {package.version} is no longer on the mirror: `make image-lock` takes "
            "the release's present packages; DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR may name an "
            "archive of the old ones"
        )
    return f"{package.name}: cannot be fetched: {problem}"


def is_dropped(path: str) -> bool:
    """Whether a package's file stays out of the image."""
    return any(fnmatch(path, pattern) for pattern in DROPPED)


def unpack(file: Path, into: Path) -> None:
    """Write a package's files below `into`, and what scanners look for: its entry of dpkg's."""
    with DebFile(file) as deb:
        with deb.data.tgz() as members:
            for member in members:
                path = member.name.removeprefix("./").strip("/.")
                target = into / path
                if not path or is_dropped(path):
                    continue
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                if member.issym():
                    target.unlink(missing_ok=True)
                    target.symlink_to(member.linkname)
                    continue
                content = members.extractfile(member)
                if content is None:
                    raise LockError(f"{file}: {path} is no file, folder or link")
                target.write_bytes(content.read())
                target.chmod(0o755 if member.mode & 0o100 else 0o644)
        control = deb.debcontrol()
        status = into / "var/lib/dpkg/status.d" / control["Package"]
        status.parent.mkdir(parents=True, exist_ok=True)
        status.write_text(f"{control}")


def bundle_authorities(folder: Path) -> None:
    """Write the file that ca-certificates makes when it is configured: every authority."""
    files = sorted((folder / AUTHORITIES).rglob("*.crt"))
    target = folder / BUNDLE
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"".join(file.read_bytes().rstrip() + b"\n" for file in files))
