"""Bring a model's files onto a disk, whole and verified: what a model server's pod does first."""

import os
from pathlib import Path

import click

from lockgate.fetching.asking import Asking, FetchError
from lockgate.fetching.download import Fetcher
from lockgate.fetching.folder import Wanted, bring
from lockgate.fetching.listing import Place
from lockgate.fetching.source import SHA256, Source, SourceError, read_source

_ENDPOINTS = {"hf": ("HF_ENDPOINT",), "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")}
"""The variables that the makers' own tools read."""
_NAMES = (
    "HF_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_REGION", "AWS_DEFAULT_REGION",
)  # fmt: skip
_MOST_SECRET = 1 << 20


@click.command(name="fetch")
@click.argument("source")
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the files; made if it is not there.",
)
@click.option("--sha256", metavar="HEX", help="Sum of the one file; required with https://.")
@click.option("--file", metavar="PATH", help="A file that must be among them.")
@click.option(
    "--endpoint",
    metavar="URL",
    help="Base URL of a hub, bucket or registry of your own.",
)
@click.option("--region", metavar="NAME", help="Region of a bucket.")
@click.option(
    "--credentials",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with a file each: HF_TOKEN, AWS_ACCESS_KEY_ID, token, username, password.",
)
@click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Certificates to trust, PEM, instead of the system's.",
)
@click.pass_context
def command(  # noqa: PLR0913 - an option each
    ctx: click.Context,
    *,
    source: str,
    folder: Path,
    sha256: str | None,
    file: str | None,
    endpoint: str | None,
    region: str | None,
    credentials: Path | None,
    ca: Path | None,
) -> None:
    """Fetch the files of a model, each verified before it gets its name.

    SOURCE is hf://ORG/REPO[@REVISION][/PATH], https://HOST/PATH, s3://BUCKET/KEY or
    oci://REGISTRY/REPOSITORY:TAG. What is there already is not fetched again, what was begun is
    gone on with, and of several that fetch into one folder one does and the others wait.

    Exit status: 0 all of it is there, 1 it is not, 2 wrong usage.
    """
    wanted = Wanted(_source(source), _sum(sha256, source), file)
    held = {**{name: os.environ[name] for name in _NAMES if name in os.environ}}
    if credentials is not None:
        held |= _read(credentials)
    names = _ENDPOINTS.get(wanted.source.scheme, ())
    stated = endpoint or next((os.environ[name] for name in names if os.environ.get(name)), None)
    if stated is not None and not stated.startswith(("https://", "http://")):
        raise click.BadParameter(f"{stated!r} is not a URL", param_hint="--endpoint")
    try:
        asking = Asking(ca)
    except OSError as problem:
        raise click.BadParameter(
            f"{ca} holds no certificates: {problem}", param_hint="--ca"
        ) from None
    try:
        place = Place(asking, held, stated, region)
        bring(wanted, folder, place, Fetcher(asking, click.echo))
    except FetchError as problem:
        click.echo(str(problem), err=True)
        ctx.exit(1)
    except OSError as problem:
        where = problem.filename or folder
        click.echo(f"{where}: cannot be written: {problem.strerror}", err=True)
        ctx.exit(1)


def _source(text: str) -> Source:
    try:
        return read_source(text)
    except SourceError as problem:
        raise click.BadParameter(str(problem), param_hint="SOURCE") from None


def _sum(sha256: str | None, source: str) -> str | None:
    if sha256 is None:
        if source.startswith("https://"):
            text = "is missing: nothing else says what https:// must bring"
            raise click.BadParameter(text, param_hint="--sha256")
        return None
    stated = sha256.lower().removeprefix("sha256:")
    if not SHA256.match(stated):
        raise click.BadParameter(f"{sha256!r} is not 64 hex digits", param_hint="--sha256")
    return stated


def _read(folder: Path) -> dict[str, str]:
    """Return what the files of a mounted Secret say, by their names."""
    found = {}
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.stat().st_size <= _MOST_SECRET:
            found[file.name] = file.read_text(errors="replace").strip()
    return found
