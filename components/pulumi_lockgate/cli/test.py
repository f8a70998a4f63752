"""Run policy tests."""

import json
import sys
from pathlib import Path

import click
from lockgate.policy.reading.problem import PolicyRefusedError, Problem

from pulumi_lockgate.policytests.report import Ran, as_document, junit, lines
from pulumi_lockgate.policytests.runner import judge
from pulumi_lockgate.policytests.suite import Loaded, load_suite, unknown_names
from pulumi_lockgate.stack.files import UnknownStackError
from pulumi_lockgate.stack.read import UnreadableError, load_named, read_whole

_UNUSABLE = (UnknownStackError, UnreadableError, PolicyRefusedError)


@click.command(name="test")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--policy", metavar="FILE|STACK", help="The policy, instead of the files' own.")
@click.option("--junit", "junit_file", type=click.Path(path_type=Path), help="Also write JUnit.")
@click.option("--json", "as_json", is_flag=True, help="The report for a machine.")
def command(
    files: tuple[str, ...], *, policy: str | None, junit_file: Path | None, as_json: bool
) -> None:
    """Run policy tests: requests, and what a policy must make of them.

    Exit status: 0 all pass, 1 a test fails, 2 a file that cannot be read or is refused.
    """
    ran, refused = [], []
    for file in files:
        try:
            ran.append(_run(file, policy))
        except _UNUSABLE as problem:
            refused.append(str(problem))
    if refused:
        click.echo("\n".join(refused), err=True)
        sys.exit(2)
    if junit_file is not None:
        _write(junit_file, junit(tuple(ran)))
    if as_json:
        click.echo(json.dumps(as_document(tuple(ran)), indent=2))
    else:
        for line in lines(tuple(ran)):
            click.echo(line)
    sys.exit(1 if any(one.failed for one in ran) else 0)


def _run(file: str, stated: str | None) -> Ran:
    loaded = load_suite(read_whole(Path(file)), file)
    named = stated or _policy_of(loaded)
    policy = load_named(named)
    unknown = list(unknown_names(loaded.suite, policy.spec))
    if unknown:
        raise loaded.refuse(unknown)
    outcomes = judge(policy, loaded.suite.tests)
    places = tuple(loaded.line_of(number) for number in range(len(outcomes)))
    return Ran(file, named, policy.digest, outcomes, places)


def _policy_of(loaded: Loaded) -> str:
    """Return what the file names: a file beside it, else a stack."""
    named = loaded.suite.policy
    if named is None:
        suggestion = "write `policy: FILE`, or pass --policy"
        raise loaded.refuse([Problem("policy", None, "is missing", suggestion)])
    beside = Path(loaded.source).parent / named
    is_path = "/" in named or beside.suffix in {".yaml", ".yml", ".json"}
    return str(beside) if is_path or beside.is_file() else named


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as problem:
        click.echo(f"{file}: cannot be written: {problem.strerror}", err=True)
        sys.exit(2)
