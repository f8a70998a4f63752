"""The command: `python -m image proxy`, `stand-in`, `headers`, `lock`; see the Makefile."""

import os
import platform
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from image import bom, debian, layers, oci
from image.lock import resolve

ROOT: Final = Path(__file__).parent.parent
LOCK: Final = ROOT / "image" / "debian.lock"
OUT: Final = ROOT / "build" / "image"
REQUIREMENTS: Final = ROOT / "requirements" / "proxy.txt"
STAND_IN: Final = ROOT / "components" / "pulumi_lockgate" / "demo" / "stand_in.py"
REPOSITORY: Final = "ghcr.io/lockgate"
NATIVE: Final = "arm64" if platform.machine() in {"aarch64", "arm64"} else "amd64"
EPOCH: Final = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
"""The time of every file, in seconds: https://reproducible-builds.org/specs/source-date-epoch/"""
SERVING: Final = oci.Run(
    ["/usr/local/bin/lockgate"],
    [
        *("serve", "--policy", "/etc/lockgate/policy/policy.json"),
        *("--listen", "0.0.0.0:8080", "--admin", "0.0.0.0:9090"),
        *("--secrets", "/etc/lockgate/secrets"),
    ],
    [8080, 9090],
)
STANDING_IN: Final = oci.Run(
    ["/usr/local/bin/stand-in"], ["--host", "0.0.0.0", "--port", "8080"], [8080]
)

architectures = click.option(
    "--arch",
    "wanted",
    multiple=True,
    required=True,
    type=click.Choice(list(debian.MACHINES)),
    help="Architecture; twice for one image of both.",
)
fresh = click.option(
    "--unlocked",
    is_flag=True,
    help="Take the release's present packages where the locked ones are gone, and say so.",
)


def version() -> str:
    """Return the version of the distributions, which is the images' too."""
    text = (ROOT / "proxy" / "pyproject.toml").read_text()
    return str(tomllib.loads(text)["project"]["version"])


def name(short: str) -> str:
    """Return an image's repository and tag."""
    return f"{REPOSITORY}/lockgate-{short}:{version()}"


class NotMadeError(click.ClickException):
    """Ends the command with 2 and one text: what whoever builds can correct."""

    exit_code = 2


@contextmanager
def explained() -> Iterator[None]:
    """End the command with what is wrong about a package or a wheel."""
    try:
        yield
    except debian.LockError as problem:
        raise NotMadeError(str(problem)) from problem
    except subprocess.CalledProcessError as problem:
        # the program has said what is wrong
        raise NotMadeError(
            f"{' '.join(problem.cmd[1:4])} ended with {problem.returncode}"
        ) from problem


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Make the container images without a daemon; see docs/guides/image.md."""


@cli.command()
@architectures
@fresh
def proxy(wanted: tuple[str, ...], *, unlocked: bool) -> None:
    """Make the proxy's image out of build/wheel*."""
    _make("proxy", "Lockgate's proxy", wanted, SERVING, unlocked=unlocked)


@cli.command("stand-in")
@architectures
@fresh
def stand_in(wanted: tuple[str, ...], *, unlocked: bool) -> None:
    """Make the image of a model server that is none: canned words, for tests and guides."""
    _make("stand-in", "A stand-in for a model server", wanted, STANDING_IN, unlocked=unlocked)


@cli.command()
@click.option("--arch", required=True, type=click.Choice(list(debian.MACHINES)))
def headers(arch: str) -> None:
    """Unpack the headers that the wheel is compiled with for another architecture."""
    package = next(p for p in _locked(arch) if p.name == debian.HEADERS)
    folder = OUT / arch / "headers"
    shutil.rmtree(folder, ignore_errors=True)
    with explained():
        debian.unpack(debian.fetch(package, debian.mirrors(), OUT / "debs"), folder)


@cli.command()
def lock() -> None:
    """Pin the packages that the release has now, in image/debian.lock."""
    found = []
    with explained():
        for architecture in debian.MACHINES:
            found += resolve(architecture, debian.mirrors(), OUT / "apt" / architecture)
    LOCK.write_text(debian.lock_text(found, datetime.now(UTC).date().isoformat()))


def _locked(architecture: str) -> list[debian.Package]:
    return [p for p in debian.read_lock(LOCK.read_text()) if p.architecture == architecture]


def _base(folder: Path, architecture: str, *, unlocked: bool) -> list[debian.Package]:
    """Make the base layer; return what is in it."""
    packages, known = _locked(architecture), debian.mirrors()
    inside = [p for p in packages if p.name != debian.HEADERS]
    try:
        layers.base(folder, inside, known, OUT / "debs")
    except debian.LockError as problem:
        if not unlocked:
            raise
        click.echo(f"NOT AS LOCKED: {problem}", err=True)
        inside = resolve(architecture, known, OUT / "apt" / architecture)
        inside = [p for p in inside if p.name != debian.HEADERS]
        layers.base(folder, inside, known, OUT / "debs")
    return inside


def _folders(short: str, architecture: str) -> list[Path]:
    """Make the layers above the base; return their folders in order."""
    where = OUT / architecture
    if short == "stand-in":
        folder = where / "stand-in"
        shutil.rmtree(folder, ignore_errors=True)
        target = folder / layers.SITE / "lockgate_stand_in.py"
        target.parent.mkdir(parents=True)
        target.write_text(STAND_IN.read_text())
        layers.command(folder, "stand-in", "lockgate_stand_in")
        made = [folder]
    else:
        packages, ours = where / "wheels", where / "lockgate"
        layers.wheels(packages, architecture, "--require-hashes", "-r", REQUIREMENTS)
        layers.wheels(ours, architecture, _wheel(architecture))
        layers.command(ours, "lockgate", "lockgate.cli.main")
        made = [packages, ours]
    return made


def _wheel(architecture: str) -> Path:
    machine = debian.MACHINES[architecture]
    python = debian.PYTHON.removeprefix("python").replace(".", "")
    found = sorted((ROOT / "build").glob(f"wheel*/lockgate-{version()}-cp{python}-*_{machine}.whl"))
    if len(found) != 1:
        raise NotMadeError(
            f"no compiled wheel of {version()} for {architecture} and {debian.PYTHON} in build/"
        )
    return found[0]


def _make(short: str, title: str, wanted: tuple[str, ...], run: oci.Run, *, unlocked: bool) -> None:
    if platform.system() != "Linux":
        raise NotMadeError("images are made on Linux, elsewhere with Docker: image/Dockerfile")
    annotations = {
        "org.opencontainers.image.title": title,
        "org.opencontainers.image.version": version(),
        "org.opencontainers.image.licenses": "Apache-2.0",
    }
    images, contents = [], []
    with explained():
        _base(OUT / "python", NATIVE, unlocked=unlocked)
        python = layers.interpreter(OUT / "python", NATIVE)
        for architecture in wanted:
            below = OUT / architecture / "base"
            inside = _base(below, architecture, unlocked=unlocked)
            made = [below, *_folders(short, architecture)]
            for folder in made:
                layers.compile_python(folder, python)
            packed = [layers.pack(folder, EPOCH) for folder in made]
            images.append(oci.Image(architecture, packed, run, annotations, EPOCH))
            contents.append((inside, made))
    stem = f"lockgate-{short}-{version()}"
    for image, (inside, made) in zip(images, contents, strict=True):
        digest = image.described["digest"]
        listed = bom.document(name(short), digest, inside, made, EPOCH)
        (OUT / f"{stem}-{image.architecture}.cdx.json").write_text(listed)
    archive = OUT / f"{stem}-{'-'.join(wanted)}.tar"
    digest = oci.write(archive, name(short), images)
    size = archive.stat().st_size / 1024**2
    click.echo(f"{archive.relative_to(ROOT)} {digest} {size:.1f} MiB")


if __name__ == "__main__":
    cli(prog_name="python -m image")
