"""Take over another router's configuration."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click
from lockgate.policy.reading.document import MAX_BYTES, parse
from lockgate.policy.reading.problem import PolicyRefusedError

from pulumi_lockgate.convert.difference import Imported
from pulumi_lockgate.convert.litellm.config import import_litellm
from pulumi_lockgate.convert.llmkube.router import import_router
from pulumi_lockgate.convert.yaml_output import stack_yaml
from pulumi_lockgate.stack.read import UnreadableError, read_whole

READERS: Final[Mapping[str, Callable[..., Imported]]] = {
    "litellm": import_litellm,
    "llmkube": import_router,
}


class Tier(click.ParamType[tuple[str, str]]):
    """``NAME=local`` or ``NAME=cloud``."""

    name = "name=tier"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        """Return (backend, tier)."""
        if isinstance(value, tuple):
            return value
        backend, _, tier = str(value).rpartition("=")
        if not backend or tier not in {"local", "cloud"}:
            self.fail(f"{value!r} is not NAME=local or NAME=cloud", param, ctx)
        return backend, tier


@click.command(name="import")
@click.argument("file")
@click.option(
    "--from",
    "origin",
    type=click.Choice(sorted(READERS)),
    default="llmkube",
    show_default=True,
    help="Whose configuration it is.",
)
@click.option("--tier", "tiers", multiple=True, type=Tier(), help="Tier of an external backend.")
@click.option("--litellm-url", help="The cluster's LiteLLM, for backends without a url.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the stack file there.")
@click.option("--json", "as_json", is_flag=True, help="Config and differences for a machine.")
def command(  # noqa: PLR0913 - one parameter an option
    file: str,
    *,
    origin: str,
    tiers: tuple[tuple[str, str], ...],
    litellm_url: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Write a stack's config out of a ModelRouter manifest or a LiteLLM config, - for stdin.

    The config goes to stdout or --out, every difference to stderr, one line each.

    Exit status: 0 imported, 2 a file that cannot be read, or something that cannot be carried.
    """
    if out is not None and out.exists():
        _refuse(f"{out}: exists already; remove it, or name another")
    try:
        documents = parse(_source(file), file)
        imported = READERS[origin](documents, file, dict(tiers), litellm_url)
    except (UnreadableError, PolicyRefusedError) as problem:
        _refuse(str(problem))
    _show(imported, out, as_json=as_json)
    sys.exit(2 if imported.refused else 0)


def _source(file: str) -> bytes:
    if file == "-":
        with click.open_file(file, "rb") as stream:
            return bytes(stream.read(MAX_BYTES + 1))
    return read_whole(Path(file))


def _show(imported: Imported, out: Path | None, *, as_json: bool) -> None:
    for difference in imported.differences:
        click.echo(difference.render(imported.source), err=True)
    if as_json:
        document = {
            "config": None if imported.refused else imported.config,
            "differences": [difference.as_document() for difference in imported.differences],
        }
        text = json.dumps(document, indent=2) + "\n"
    elif imported.refused:
        return
    else:
        head = f"Imported from {Path(imported.source).name}. Prove it with `lockgate check`."
        text = stack_yaml(imported.config, head)
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as problem:
        _refuse(f"{out}: cannot be written: {problem.strerror}")


def _refuse(text: str) -> None:
    click.echo(text, err=True)
    sys.exit(2)
