"""Import another router's configuration."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click
from lockgate.cli.errors import write_output
from lockgate.policy.reading.document import MAX_BYTES, parse
from lockgate.policy.reading.problem import UnusableInputError

from pulumi_lockgate.convert.difference import Imported
from pulumi_lockgate.convert.litellm.config import import_litellm
from pulumi_lockgate.convert.llmkube.router import import_router
from pulumi_lockgate.convert.yaml_output import stack_yaml
from pulumi_lockgate.stack.read import read_whole

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
    help="The product that the file is for.",
)
@click.option(
    "--tier",
    "tiers",
    multiple=True,
    type=Tier(),
    help="The tier of an external backend; may be repeated.",
)
@click.option(
    "--litellm-url", help="Base URL of the cluster's LiteLLM, for backends without a url."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the stack file here instead of to stdout."
)
@click.option("--json", "as_json", is_flag=True, help="Print config and differences as JSON.")
def command(  # noqa: PLR0913 - one parameter an option
    file: str,
    *,
    origin: str,
    tiers: tuple[tuple[str, str], ...],
    litellm_url: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Convert another router's configuration into a stack file of Lockgate.

    FILE is a ModelRouter manifest of LLMKube or a LiteLLM config; - reads stdin. The stack file
    goes to stdout or --out. Everything that will behave differently is listed on stderr, one line
    each.

    Exit status: 0 imported, 2 the file cannot be read, or holds something that cannot be imported.
    """
    if out is not None and out.exists():
        raise UnusableInputError(f"{out}: exists already; remove it, or name another")
    documents = parse(_source(file), file)
    imported = READERS[origin](documents, file, dict(tiers), litellm_url)
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
            "differences": [difference.to_dict() for difference in imported.differences],
        }
        text = json.dumps(document, indent=2) + "\n"
    elif imported.refused:
        return
    else:
        head = f"Imported from {Path(imported.source).name}. Prove it with `lockgate check`."
        text = stack_yaml(imported.config, head)
    if out is None:
        click.echo(text, nl=False)
    else:
        write_output(out, text)
