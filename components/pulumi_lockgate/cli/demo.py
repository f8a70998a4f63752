"""Demonstrate everything on this machine."""

import sys

import click


@click.command(name="demo")
def command() -> None:
    """Demonstrate a policy with stand-in models, the real proxy and the real openai SDK.

    Needs no cluster, no key and no network. On a terminal the proxy keeps running afterwards; with
    CI set, or without a terminal, it ends.

    Exit status: 0 every step showed what it should, 1 one did not.
    """
    from pulumi_lockgate.demo.show import run  # noqa: PLC0415 - pulumi and openai load slowly

    sys.exit(run())
