"""Import another router's configuration."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click
from lockgate.cli.errors import write_output
from lockgate.cli.shown import shown
from lockgate.policy.reading.document import MAX_BYTES, Node, parse
from lockgate.policy.reading.problem import UnusableInputError

from pulumi_lockgate.convert.difference import Imported
from pulumi_lockgate.convert.litellm.config import import_litellm
from pulumi_lockgate.convert.llmkube.router import import_router, load_written
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
    help="The product that the file is for; seen from the file when left out.",
)
@click.option(
    "--tier",
    "tiers",
    multiple=True,
    type=Tier(),
    help="The tier of an external backend, by name or a pattern ('*=cloud'); may be repeated.",
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
    origin: str | None,
    tiers: tuple[tuple[str, str], ...],
    litellm_url: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Convert another router's configuration into a stack file of Lockgate.

    FILE is a ModelRouter manifest of LLMKube or a LiteLLM config; - reads stdin. All that can be
    carried is written, to stdout or --out. On stderr each entry has a line, the weightiest first:
    left out, changed or exact; then the verdict of the proof, and what to do next.

    Exit status: 0 all is carried, 3 written with something left out, 2 nothing could be written.
    """
    if out is not None and out.exists():
        raise UnusableInputError(f"{out}: exists already; remove it, or name another")
    documents = parse(_source(file), file)
    imported = READERS[origin or _origin(documents)](documents, file, dict(tiers), litellm_url)
    _show(imported, out, as_json=as_json)
    if not imported.config:
        click.echo("nothing could be written", err=True)
        sys.exit(2)
    _next(imported, out)
    sys.exit(3 if imported.refused else 0)


def _origin(documents: tuple[Node, ...]) -> str:
    """Return the product that a file is for, by what stands in it."""
    keys = {
        member.key for document in documents if document.is_mapping for member in document.value
    }
    return "litellm" if "model_list" in keys else "llmkube"


def _next(imported: Imported, out: Path | None) -> None:
    """Say what the proof finds in the result, and the next three commands."""
    from pulumi_lockgate.proof.checks import prove  # noqa: PLC0415 - z3 loads only where it is used
    from pulumi_lockgate.proof.report import verdict  # noqa: PLC0415 - the same

    policy = load_written(imported)
    word, meaning = verdict(prove(policy))
    click.echo(f"{word}: {meaning}", err=True)
    file = str(out or "lockgate.yaml")
    if out is None:
        click.echo(f"next, with this output in {file}:", err=True)
    else:
        click.echo("next:", err=True)
    model, label = policy.spec.backends[0].published_id, "x-llmkube-classification=pii"
    for line in (
        shown("check", file),
        shown("explain", file, "--model", model, "--header", label),
        shown("serve", "--policy", file),
    ):
        click.echo(f"  {line}", err=True)


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
            "config": imported.config or None,
            "differences": [difference.to_dict() for difference in imported.differences],
        }
        text = json.dumps(document, indent=2) + "\n"
    elif not imported.config:
        return
    else:
        head = f"Imported from {Path(imported.source).name}. Prove it with `lockgate check`."
        text = stack_yaml(imported.config, head)
    if out is None:
        click.echo(text, nl=False)
    else:
        write_output(out, text)
