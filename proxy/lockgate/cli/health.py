"""Tell whether a proxy is ready: what a container's health check runs, where there is no curl."""

import http.client
from typing import Final

import click

from lockgate.cli.arguments import HostPort, parse_go_duration

READY: Final = 200
MOST_BYTES: Final = 64 * 1024
"""More than any readiness page has: what else listens there may never end."""


@click.command(name="health")
@click.option(
    "--admin",
    default="127.0.0.1:9090",
    show_default=True,
    type=HostPort(),
    help="Admin address and port of the proxy.",
)
@click.option(
    "--timeout",
    "timeout_s",
    default="2s",
    metavar="DURATION",
    callback=parse_go_duration,
    show_default=True,
    help="How long the proxy may take to answer.",
)
@click.pass_context
def command(ctx: click.Context, *, admin: tuple[str, int], timeout_s: float) -> None:
    """Ask a running proxy whether it is ready, and print what it looks at.

    Kubernetes asks /readyz itself; this is for container runtimes that run a command.

    Exit status: 0 ready, 1 not ready or no answer, 2 wrong usage.
    """
    if not timeout_s:
        raise click.BadParameter(
            "no proxy answers in no time; write one like 2s", param_hint="--timeout"
        )
    host, port = admin
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", "/readyz?verbose")
        response = connection.getresponse()
        status, text = response.status, response.read(MOST_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException) as problem:
        click.echo(f"no answer from {host}:{port}: {problem or type(problem).__name__}", err=True)
        ctx.exit(1)
    finally:
        connection.close()
    lines = text.splitlines()
    click.echo("\n".join(lines) or f"{host}:{port} answers {status} and says nothing")
    # the word too: what else listens there may answer 200 to everything
    ctx.exit(0 if status == READY and lines[-1:] == ["ready"] else 1)
