"""The command that makes the images: what it is told wrongly, and what it cannot have."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result

from image import __main__ as command
from image import debian

NAMES = [*debian.PACKAGES, debian.HEADERS]


class _Empty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make everything in a folder of the test's own, from a mirror that has nothing."""
    monkeypatch.setattr(command, "OUT", tmp_path / "out")
    with HTTPServer(("127.0.0.1", 0), _Empty) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        for name in ("DEBIAN_MIRROR", "DEBIAN_SECURITY_MIRROR"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()


def run(*words: str) -> Result:
    return CliRunner().invoke(command.cli, words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["proxy"], "Missing option '--arch'"),
        (["proxy", "--arch", "s390x"], "'s390x' is not one of 'amd64', 'arm64'"),
        (["router"], "No such command 'router'"),
        (["stand-in", "--arch", "amd64"], "is no longer on the mirror: `make image-lock` takes"),
        (["headers", "--arch", "arm64"], f"{debian.HEADERS} "),
    ],
)
def test_what_cannot_be_made_ends_with_2_and_a_sentence(words: list[str], said: str) -> None:
    told = run(*words)
    assert told.exit_code == 2, told.output
    assert said in told.output
    assert "Traceback" not in told.output


def test_without_a_compiled_wheel_it_says_which_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proxy").mkdir()
    (tmp_path / "proxy" / "pyproject.toml").write_text('[project]\nversion = "0.2.0"\n')
    monkeypatch.setattr(command, "ROOT", tmp_path)
    with pytest.raises(command.NotMadeError, match=r"no compiled wheel of 0.2.0 for arm64 and pyt"):
        command._wheel("arm64")


def test_elsewhere_than_on_linux_it_names_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.platform, "system", lambda: "Darwin")
    told = run("stand-in", "--arch", "amd64")
    assert told.exit_code == 2
    assert "image/Dockerfile" in told.output


def test_unlocked_takes_what_the_release_has_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def resolve(architecture: str, *more: object) -> list[debian.Package]:
        asked.append(architecture)
        return [debian.Package(architecture, n, "2", f"pool/{n}.deb", "0" * 64) for n in NAMES]

    monkeypatch.setattr(command, "resolve", resolve)
    told = run("stand-in", "--arch", "arm64", "--unlocked")
    assert asked == [command.NATIVE]
    assert told.output.startswith("NOT AS LOCKED: ")
    assert told.exit_code == 2  # this mirror has not even those


def test_the_lock_holds_what_the_release_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(architecture: str, *more: object) -> list[debian.Package]:
        return [debian.Package(architecture, n, "2", f"pool/{n}.deb", "0" * 64) for n in NAMES]

    monkeypatch.setattr(command, "resolve", resolve)
    monkeypatch.setattr(command, "LOCK", tmp_path / "debian.lock")
    assert run("lock").exit_code == 0
    locked = debian.read_lock((tmp_path / "debian.lock").read_text())
    assert {(p.architecture, p.name) for p in locked} == {
        (architecture, name) for architecture in debian.MACHINES for name in NAMES
    }
