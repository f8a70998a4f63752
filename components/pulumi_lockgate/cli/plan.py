"""Evaluate the Pulumi program in process."""

import json
import sys
from pathlib import Path
from typing import Any

import click
import yaml
from lockgate.cli.results import show
from lockgate.policy.reading.load import load_policy

from pulumi_lockgate.cli.commented import Commented
from pulumi_lockgate.stack.files import stack_file
from pulumi_lockgate.stack.project import nearest_project
from pulumi_lockgate.stack.read import load_stack, read_whole


@click.command(cls=Commented, name="plan")
@click.argument("stack")
@click.option("--against", metavar="FILE|STACK", help="What is deployed: compare with it.")
@click.option("--out", type=click.Path(path_type=Path), help="Write each manifest as YAML there.")
@click.option("--json", "as_json", is_flag=True, help="The plan for a machine.")
def command(stack: str, *, against: str | None, out: Path | None, as_json: bool) -> None:
    """Evaluate the Pulumi program for STACK: resources, proof, what changed.

    --against takes a policy file, a stack file, a stack's name, or what `pulumi stack output
    --json` or `pulumi stack export` prints.

    Exit status: 0 proved, 1 violated (the report is on stdout), 2 unreadable or refused, 3 more
    may reach a cloud than before and the stack does not accept it.
    """
    from pulumi_lockgate.model_router import PolicyViolatedError  # noqa: PLC0415 - pulumi loads slowly

    try:
        plan, passage = _planned(stack, against)
    except PolicyViolatedError as violated:
        show(violated.report, as_json=as_json)
        sys.exit(1)
    if out is not None:
        write_manifests(plan.manifests, out)
    if as_json:
        click.echo(json.dumps(_document(plan, passage), indent=2))
    else:
        show_plan(stack, plan)
        _show_change(passage)
    if out is not None and not as_json:
        click.echo(f"{len(plan.manifests)} manifests written to {out}")
    sys.exit(0 if passage.passed else 3)


def _planned(stack: str, against: str | None) -> tuple[Any, Any]:
    """Return the plan, and how its policy stands to what `against` names."""
    from pulumi_lockgate.stack.deployed import load_base  # noqa: PLC0415 - pulumi loads slowly
    from pulumi_lockgate.stack.engine import StackRefusedError  # noqa: PLC0415 - the same
    from pulumi_lockgate.stack.evaluate import config_of, evaluate  # noqa: PLC0415 - the same
    from pulumi_lockgate.widening import KEY, judge  # noqa: PLC0415 - the same

    path = stack_file(stack)
    _say_whose_program()
    source = read_whole(path)
    config = config_of(source, str(path))
    base = load_base(against) if against is not None else None
    try:
        plan = evaluate(stack, config)
    except StackRefusedError:
        load_stack(source, str(path))  # the same again with the file's lines: a program has none
        raise
    policy = load_policy(plan.policy_json, "policy.json")
    return plan, judge(base, policy, config.get(KEY), stack)


def _say_whose_program() -> None:
    """Say where the project names a program that is not there: another one is evaluated then."""
    project = nearest_project()
    if project is not None and project.program is None and project.main != project.root:
        missing = f"{project.file}: there is no program at {project.main}"
        click.echo(f"{missing}; evaluating the one that pulumi-lockgate ships", err=True)


def show_plan(stack: str, plan: Any) -> None:
    """Print a plan for people, at 80 columns."""
    click.echo(click.style(f"stack {stack}: {len(plan.resources)} resources", bold=True))
    for resource in plan.resources:
        kind = resource.type.rpartition(":")[2]
        manifest = resource.manifest
        click.echo(f"  + {kind:<21} {manifest['metadata']['name'] if manifest else resource.name}")
    click.echo()
    proved, _, rest = plan.outputs["verdict"].partition(":")
    click.echo(f"{click.style(proved, fg='green', bold=True)}:{rest}")
    from pulumi_lockgate.model_router import notices  # noqa: PLC0415 - pulumi loads slowly

    for line in notices(load_policy(plan.policy_json, "policy.json")):
        click.echo(f"  {line}")
    click.echo(f"  url {plan.outputs['url']}")


def _show_change(passage: Any) -> None:
    click.echo()
    passage.render(click.echo)
    if passage.base is None:
        click.echo("  to compare with what is deployed, name it: --against FILE")


def write_manifests(manifests: tuple[dict[str, Any], ...], out: Path) -> None:
    """Write one YAML file an object, numbered so that `kubectl apply -f` keeps the order."""
    out.mkdir(parents=True, exist_ok=True)
    for number, manifest in enumerate(manifests):
        name = f"{number:02}-{manifest['kind'].lower()}-{manifest['metadata']['name']}.yaml"
        ordered = {key: manifest[key] for key in ("apiVersion", "kind", "metadata")} | manifest
        text = yaml.safe_dump(ordered, sort_keys=False, width=100)
        (out / name).write_text(text, encoding="utf-8")


def _document(plan: Any, passage: Any) -> dict[str, Any]:
    return {
        "change": passage.to_dict(),
        "outputs": dict(plan.outputs),
        "resources": [
            {"type": r.type, "name": r.name, "inputs": dict(r.inputs)} for r in plan.resources
        ],
    }
