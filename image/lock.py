"""Asks apt which packages a release has now: their signatures are checked, then they are pinned.

apt works in a folder of its own, for any architecture, without root, and changes nothing of this
machine's.
"""

import subprocess
from pathlib import Path
from typing import Final

from debian.deb822 import Packages

from image.debian import HEADERS, PACKAGES, RELEASE, LockError, Mirrors, Package

KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"


def resolve(architecture: str, known: Mirrors, folder: Path) -> list[Package]:
    """Return what the release has now; LockError with apt's words where it cannot say."""
    sources = folder / "sources.list"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    suites = ((known.main, RELEASE), (known.security, f"{RELEASE}-security"))
    sources.write_text("".join(f"deb [signed-by={KEYRING}] {u} {s} main\n" for u, s in suites))
    settings = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": folder / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": folder / "cache",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    _apt("apt-get", *options, "update", "-qq", "-o", "APT::Update::Error-Mode=any")
    names = [*PACKAGES, HEADERS]
    told = _apt("apt-cache", *options, "show", "--no-all-versions", *names)
    found = {one["Package"]: one for one in Packages.iter_paragraphs(told, use_apt_pkg=False)}
    missing = [name for name in names if name not in found]
    if missing:
        raise LockError(f"Debian {RELEASE} has no {', '.join(missing)} for {architecture}")
    entries = [found[name] for name in sorted(names)]
    return [
        Package(architecture, e["Package"], e["Version"], e["Filename"], e["SHA256"])
        for e in entries
    ]


def _apt(*line: str) -> str:
    try:
        done = subprocess.run(line, capture_output=True, text=True, check=False)
    except FileNotFoundError as problem:
        raise LockError(f"{line[0]} is not here: lock on a Debian machine") from problem
    if done.returncode:
        raise LockError(f"{line[0]} failed: {done.stderr.strip()}")
    return done.stdout
