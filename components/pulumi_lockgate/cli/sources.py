"""Policies that a command line names: a file, a stack file, or a stack."""

import sys

import click
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.problem import PolicyRefusedError

from pulumi_lockgate.stack.files import UnknownStackError
from pulumi_lockgate.stack.read import UnreadableError, read_named


def read_policy(named: str) -> LoadedPolicy:
    """Return the policy that `named` means; where it cannot be had, say why and end with 2.

    What is read otherwise than it was written goes to stderr too.
    """
    try:
        loaded, differences = read_named(named)
    except (UnknownStackError, UnreadableError, PolicyRefusedError) as problem:
        click.echo(str(problem), err=True)
        sys.exit(2)
    for difference in differences:
        click.echo(difference, err=True)
    return loaded
