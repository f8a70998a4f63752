"""Print the JSON Schema of a policy or a stack file."""

import json

import click


@click.command(name="schema")
@click.argument("kind", type=click.Choice(("policy", "stack")), default="policy")
def command(*, kind: str) -> None:
    """Print the JSON Schema (2020-12) of a policy file, or of a stack file.

    For editors: `lockgate schema stack > stack.schema.json`, and in the first line of a stack file
    `# yaml-language-server: $schema=stack.schema.json`.

    Exit status: 0 printed, 2 for another kind.
    """
    from lockgate.policy.reading.schema import policy_schema  # noqa: PLC0415 - help needs none of it

    from pulumi_lockgate.stack.schema import stack_schema  # noqa: PLC0415 - the same

    schema = policy_schema() if kind == "policy" else stack_schema()
    click.echo(json.dumps(schema, indent=2))
