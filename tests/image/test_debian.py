"""The packages of the images: what is pinned, what is fetched, what of them is left out."""

import io
import tarfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from image import debian
from image.debian import MACHINES, PACKAGES, LockError, Mirrors, Package

LOCK = Path(debian.__file__).parent / "debian.lock"


def packed(tmp_path: Path, *members: tuple[str, bytes | str, int]) -> Path:
    """Write a package: an `ar` of a version, a control tar and a data tar; text is a link."""
    control = b"Package: thing\nVersion: 1\nArchitecture: amd64\n"
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar": archive([("./control", control, 0o644)]),
        "data.tar": archive(list(members)),
    }
    file = tmp_path / "thing.deb"
    heads = {n: f"{n:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(d):<10}`\n" for n, d in parts.items()}
    body = b"".join(heads[n].encode() + d + b"\n" * (len(d) % 2) for n, d in parts.items())
    file.write_bytes(b"!<arch>\n" + body)
    return file


def archive(members: list[tuple[str, bytes | str, int]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content, mode in members:
            entry = tarfile.TarInfo(name)
            entry.mode = mode
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def test_every_package_is_pinned_for_every_architecture() -> None:
    locked = debian.read_lock(LOCK.read_text())
    for architecture in MACHINES:
        names = [p.name for p in locked if p.architecture == architecture]
        assert sorted(names) == sorted([*PACKAGES, debian.HEADERS])
    assert all(len(p.sha256) == 64 and p.path.startswith("pool/") for p in locked)


def test_what_is_locked_is_read_as_it_was_written() -> None:
    one = Package("arm64", "libc6", "2.36-9", "pool/main/g/glibc/libc6.deb", "0" * 64)
    text = debian.lock_text([one], "2026-11-27")
    assert debian.read_lock(text) == [one]
    assert "# taken 2026-11-27\n" in text


def test_files_links_and_programs_are_unpacked_and_the_rest_is_left_out(tmp_path: Path) -> None:
    file = packed(
        tmp_path,
        ("./usr/bin/tool", b"#!", 0o4755),
        ("./lib/libx.so.1", "libx.so.1.2", 0o777),
        ("./etc/tool.conf", b"a", 0o600),
        ("./usr/share/man/man1/tool.1", b"m", 0o644),
        ("./usr/share/doc/thing/copyright", b"c", 0o644),
        ("./usr/share/doc/thing/changelog.gz", b"z", 0o644),
    )
    into = tmp_path / "root"
    debian.unpack(file, into)
    found = sorted(str(p.relative_to(into)) for p in into.rglob("*") if not p.is_dir())
    assert found == [
        "etc/tool.conf",
        "lib/libx.so.1",
        "usr/bin/tool",
        "usr/share/doc/thing/copyright",
        "var/lib/dpkg/status.d/thing",
    ]
    assert (into / "lib/libx.so.1").readlink() == Path("libx.so.1.2")
    assert (into / "usr/bin/tool").stat().st_mode & 0o7777 == 0o755  # not what runs as root
    assert (into / "etc/tool.conf").stat().st_mode & 0o777 == 0o644
    assert "Version: 1\n" in (into / "var/lib/dpkg/status.d/thing").read_text()


def test_the_authorities_are_one_file_in_one_order(tmp_path: Path) -> None:
    folder = tmp_path / debian.AUTHORITIES / "mozilla"
    folder.mkdir(parents=True)
    for name in ("b", "a"):
        (folder / f"{name}.crt").write_text(name)
    debian.bundle_authorities(tmp_path)
    assert (tmp_path / debian.BUNDLE).read_text() == "a\nb\n"


def test_security_updates_come_from_their_own_mirror() -> None:
    known = Mirrors("http://m/debian/", "http://s/security")
    assert known.url("pool/main/z/z.deb") == "http://m/debian/pool/main/z/z.deb"
    assert known.url("pool/updates/main/z.deb") == "http://s/security/pool/updates/main/z.deb"


def test_the_environment_names_the_mirrors_or_apt_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "_configured", lambda: {"bookworm": "http://a"})
    monkeypatch.setenv("DEBIAN_SECURITY_MIRROR", "http://s")
    monkeypatch.delenv("DEBIAN_MIRROR", raising=False)
    assert debian.mirrors() == Mirrors("http://a", "http://s")
    monkeypatch.setenv("DEBIAN_MIRROR", "http://m")
    assert debian.mirrors() == Mirrors("http://m", "http://s")
    monkeypatch.delenv("DEBIAN_SECURITY_MIRROR")
    with pytest.raises(LockError, match="set DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR"):
        debian.mirrors()


class _Mirror(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path.endswith("/there.deb")
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(b"a package" if found else b"")

    def log_message(self, *args: object) -> None: ...


@pytest.mark.parametrize(
    ("path", "sha256", "said"),
    [
        ("pool/there.deb", "0" * 64, "thing: the mirror's file is c0cd5ccf.*, not 0000"),
        ("pool/gone.deb", "0" * 64, "thing 1 is no longer on the mirror: `make image-lock`"),
    ],
)
def test_what_is_not_as_locked_is_refused(
    tmp_path: Path, path: str, sha256: str, said: str
) -> None:
    with HTTPServer(("127.0.0.1", 0), _Mirror) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        known = Mirrors(f"http://127.0.0.1:{server.server_port}", "http://none.invalid")
        with pytest.raises(LockError, match=said):
            debian.fetch(Package("amd64", "thing", "1", path, sha256), known, tmp_path / "cache")
        server.shutdown()
    assert not list(tmp_path.rglob("*.deb"))


def test_what_was_fetched_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / ("1" * 64 + ".deb")).write_bytes(b"held")
    nowhere = Mirrors("http://none.invalid", "http://none.invalid")
    held = debian.fetch(Package("amd64", "thing", "1", "pool/x.deb", "1" * 64), nowhere, tmp_path)
    assert held.read_bytes() == b"held"
