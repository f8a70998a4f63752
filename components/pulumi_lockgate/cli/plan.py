"""Evaluate the Pulumi program in process."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import click
import yaml
from lockgate.cli.results import show
from lockgate.policy.reading.load import load_policy
from lockgate.policy.reading.problem import UnusableInputError

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
    from pulumi_lockgate.proved_policy import PolicyViolatedError  # noqa: PLC0415 - pulumi loads slowly

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
    sys.exit(0 if passage is None or passage.passed else 3)


def _planned(stack: str, against: str | None) -> tuple[Any, Any]:
    """Return the plan, and how its policy stands to what `against` names."""
    from pulumi_lockgate.stack.engine import StackRefusedError  # noqa: PLC0415 - pulumi loads slowly
    from pulumi_lockgate.stack.evaluate import config_of, evaluate  # noqa: PLC0415 - the same
    from pulumi_lockgate.widening import KEY  # noqa: PLC0415 - the same

    path = stack_file(stack)
    _say_whose_program()
    source = read_whole(path)
    config = config_of(source, str(path))
    try:
        plan = evaluate(stack, config)
    except StackRefusedError:
        load_stack(source, str(path))  # the same again with the file's lines: a program has none
        raise
    return plan, _compared(plan, against, stack, config.get(KEY))


def _compared(plan: Any, against: str | None, stack: str, accepted: Any) -> Any:
    """Return how the plan's policy stands to what `against` names, None where there is none."""
    from pulumi_lockgate.stack.deployed import load_base  # noqa: PLC0415 - pulumi loads slowly
    from pulumi_lockgate.widening import judge  # noqa: PLC0415 - the same

    base = load_base(against) if against is not None else None
    policies = [router.policy for router in plan.routers]
    if len(policies) == 1 and policies[0] is not None:
        policy = load_policy(policies[0].encode(), "policy.json")
        return judge(base, policy, accepted if isinstance(accepted, str) else None, stack)
    if base is not None:
        why = "one router's policy, wholly known here, is compared"
        raise UnusableInputError(f"--against: {why}; this program has {len(policies)} routers")
    return None


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
    for router in plan.routers:
        _show_router(router, alone=len(plan.routers) == 1)
    if not plan.routers:
        click.echo("this program has no ModelRouter: nothing was proved")


def _show_router(router: Any, *, alone: bool) -> None:
    from pulumi_lockgate.model_router import notices  # noqa: PLC0415 - pulumi loads slowly

    if not alone:
        click.echo(click.style(f"router {router.name}", bold=True))
    proved, colon, rest = router.verdict.partition(":")
    colour = "yellow" if proved.startswith("NOT") else "green"
    click.echo(f"{click.style(proved, fg=colour, bold=True)}{colon}{rest}")
    if router.policy is not None:
        for line in notices(load_policy(router.policy.encode(), "policy.json")):
            click.echo(f"  {line}")
    click.echo(f"  url {router.url or 'is known to the engine alone'}")


def _show_change(passage: Any) -> None:
    if passage is None:
        return
    click.echo()
    passage.render(click.echo)
    if passage.base is None:
        click.echo("  to compare with what is deployed, name it: --against FILE")


def write_manifests(manifests: tuple[dict[str, Any], ...], out: Path) -> None:
    """Write one YAML file an object, numbered so that `kubectl apply -f` keeps the order."""
    out.mkdir(parents=True, exist_ok=True)
    for number, manifest in enumerate(manifests):
        called = f"{manifest['kind']}-{manifest['metadata']['name']}".lower()
        name = f"{number:02}-{re.sub('[^a-z0-9.-]+', '-', called)}.yaml"
        ordered = {key: manifest[key] for key in ("apiVersion", "kind", "metadata")} | manifest
        text = yaml.safe_dump(ordered, sort_keys=False, width=100)
        (out / name).write_text(text, encoding="utf-8")


def _document(plan: Any, passage: Any) -> dict[str, Any]:
    return {
        "change": None if passage is None else passage.to_dict(),
        "outputs": dict(plan.outputs),
        "resources": [
            {"type": r.type, "name": r.name, "inputs": dict(r.inputs)} for r in plan.resources
        ],
    }
