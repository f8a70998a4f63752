"""Run policy tests."""

import sys
from pathlib import Path

import click
from lockgate.cli.errors import write_output
from lockgate.cli.results import show
from lockgate.policy.reading.problem import Problem, UnusableInputError

from pulumi_lockgate.policytests.report import FileResult, Results
from pulumi_lockgate.policytests.runner import run
from pulumi_lockgate.policytests.suite import LoadedSuite, load_suite, unknown_names
from pulumi_lockgate.stack.read import load_named, read_whole


@click.command(name="test")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--policy", metavar="FILE|STACK", help="Test this policy, not the one that each file names."
)
@click.option("--junit", type=click.Path(path_type=Path), help="Also write JUnit XML here.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def command(
    files: tuple[str, ...], *, policy: str | None, junit: Path | None, as_json: bool
) -> None:
    """Run policy tests: each is a request with the decision that a policy must make for it.

    Exit status: 0 all pass, 1 a test fails, 2 a file cannot be read or is refused.
    """
    ran, refused = [], []
    for file in files:
        try:
            ran.append(_run(file, policy))
        except UnusableInputError as problem:
            refused.append(str(problem))
    if refused:
        raise UnusableInputError("\n".join(refused))
    results = Results(tuple(ran))
    if junit is not None:
        write_output(junit, results.junit())
    show(results, as_json=as_json)
    sys.exit(1 if results.failed else 0)


def _run(file: str, stated: str | None) -> FileResult:
    loaded = load_suite(read_whole(Path(file)), file)
    named = stated or _policy_of(loaded)
    policy = load_named(named)
    unknown = list(unknown_names(loaded.suite, policy.spec))
    if unknown:
        raise loaded.refuse(unknown)
    outcomes = run(policy, loaded.suite.tests)
    lines = tuple(loaded.line_of(number) for number in range(len(outcomes)))
    return FileResult(file, named, policy.digest, outcomes, lines)


def _policy_of(loaded: LoadedSuite) -> str:
    """Return the policy that the test file names: a file beside it, else a stack."""
    named = loaded.suite.policy
    if named is None:
        suggestion = "write `policy: FILE`, or pass --policy"
        raise loaded.refuse([Problem("policy", None, "is missing", suggestion)])
    beside = Path(loaded.source).parent / named
    is_path = "/" in named or beside.suffix in {".yaml", ".yml", ".json"}
    return str(beside) if is_path or beside.is_file() else named
