"""Write a first policy out of what this machine has."""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from lockgate.cli.errors import write_output
from lockgate.cli.quick import discover, first_spec
from lockgate.cli.shown import secret_line, shown
from lockgate.policy.reading.load import load_policy
from lockgate.policy.reading.problem import UnusableInputError
from lockgate.quickstart.first_policy import Found, as_text, namespace_of, spec_of, stack_of
from lockgate.quickstart.proof import verdict
from lockgate.quickstart.table import curl_lines

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+\Z")


@click.command(name="init")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write; lockgate.yaml, or that of the stack.",
)
@click.option("--stack", metavar="NAME", help="Write a stack file for a cluster instead.")
def command(*, out: Path | None, stack: str | None) -> None:
    """Write a first policy out of what this machine has, prove it, and say what to do next.

    Looks for OPENAI_API_KEY and ANTHROPIC_API_KEY in the environment, and for Ollama, llama.cpp,
    vLLM, LM Studio and SGLang on loopback. No key is written, and nothing is sent to a provider. A
    file that exists is left as it is.

    Exit status: 0 written, 2 nothing was found, or the file cannot be written.
    """
    if stack is not None and not _NAME.match(stack):
        why = "a stack's name has letters, digits, '.', '_' and '-'"
        raise UnusableInputError(f"--stack {stack}: {why}")
    file = out or _usual(stack)
    if file.exists():
        raise UnusableInputError(f"{file}: exists already; remove it, or name another with --out")
    found = discover()
    text = _policy(found) if stack is None else _stack(found, stack)
    write_output(file, text)
    click.echo(f"{file} written")
    said = verdict(text)
    click.echo(said.text)
    click.echo("next:")
    for line in _next(file, stack, found):
        click.echo(f"  {line}")
    sys.exit(said.status or 0)


def _usual(stack: str | None) -> Path:
    if stack is None:
        return Path("lockgate.yaml")
    folder = Path("stacks")
    return (folder if folder.is_dir() else Path()) / f"Pulumi.{stack}.yaml"


def _policy(found: Found) -> str:
    day = datetime.now(UTC).date().isoformat()
    head = f"A first policy, made of what this machine had on {day}. Every field: docs/spec.md."
    text = as_text(first_spec(found), head)
    load_policy(text.encode(), "init")  # what does not load is not written
    return text


def _stack(found: Found, name: str) -> str:
    head = (
        f"The stack {name}. To be filled in: `modelRef` is a file on a PersistentVolumeClaim;\n"
        "`models/model.gguf` stands for CLAIM/PATH."
    )
    return as_text({"config": stack_of(found, name)}, head)


def _next(file: Path, stack: str | None, found: Found) -> list[str]:
    if stack is not None:
        namespace = namespace_of(stack)
        secrets = [secret_line(namespace, secret, key) for secret, key in found.keys.items()]
        return [shown("plan", stack), *secrets, f"pulumi up --stack {stack}"]
    keys = [word for s, name in found.keys.items() for word in ("--key", f"{s}=env:{name}")]
    return [
        shown("serve", "--policy", str(file), *keys),
        *curl_lines(spec_of(found), "http://127.0.0.1:8080/v1"),
        shown("explain", str(file), "--model", "m", "--header", "x-llmkube-classification: pii"),
    ]
