"""The lock is made by apt, which checks signatures; here apt is a script that says what it got."""

import os
import stat
from pathlib import Path

import pytest

from image import lock
from image.debian import HEADERS, PACKAGES, LockError, Mirrors

KNOWN = Mirrors("http://m/debian", "http://s/security")
ENTRY = "Package: {0}\nVersion: 1-{0}\nFilename: pool/{0}.deb\nSHA256: {0}\n\n"


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with apt-get and apt-cache on PATH; their arguments come to `asked`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    told = tmp_path / "told"
    told.write_text("".join(ENTRY.format(name) for name in [*PACKAGES, HEADERS]))
    for name, does in (("apt-get", ":"), ("apt-cache", f"cat {told}")):
        script = folder / name
        script.write_text(f'#!/bin/sh\necho "$0 $*" >> {tmp_path}/asked\n{does}\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return tmp_path


def test_it_asks_apt_for_the_architecture_and_keeps_out_of_the_machines_own(apt: Path) -> None:
    found = lock.resolve("arm64", KNOWN, apt / "apt")
    assert [p.name for p in found] == sorted([*PACKAGES, HEADERS])
    assert all(p.architecture == "arm64" and p.version == f"1-{p.name}" for p in found)
    asked = (apt / "asked").read_text()
    assert "APT::Architecture=arm64" in asked
    assert f"Dir::State={apt / 'apt' / 'state'}" in asked
    assert "Dir::State::status=/dev/null" in asked
    sources = (apt / "apt" / "sources.list").read_text().splitlines()
    assert [line.split()[-3:] for line in sources] == [
        ["http://m/debian", "bookworm", "main"],
        ["http://s/security", "bookworm-security", "main"],
    ]
    assert all("[signed-by=/usr/share/keyrings/debian" in line for line in sources)


def test_a_package_that_the_release_lacks_is_named(apt: Path) -> None:
    (apt / "told").write_text("".join(ENTRY.format(name) for name in PACKAGES))
    with pytest.raises(LockError, match=f"has no {HEADERS} for amd64"):
        lock.resolve("amd64", KNOWN, apt / "apt")


def test_apts_own_words_are_shown(apt: Path) -> None:
    (apt / "bin" / "apt-get").write_text("#!/bin/sh\necho 'not signed' >&2\nexit 100\n")
    with pytest.raises(LockError, match="apt-get failed: not signed"):
        lock.resolve("amd64", KNOWN, apt / "apt")


def test_without_apt_it_says_where_to_lock(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(apt / "nothing"))
    with pytest.raises(LockError, match="lock on a Debian machine"):
        lock.resolve("amd64", KNOWN, apt / "apt")
