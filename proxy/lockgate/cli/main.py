"""The `lockgate` command: finds its verbs as entry points and loads only the one that runs.

A verb whose package is not installed (the proxy's image has no plan-time code) is not listed; who
asks for it is told which package brings it.
"""

import difflib
import signal
import sys
from importlib.metadata import EntryPoint, entry_points, version
from importlib.util import find_spec
from typing import Any, Final

import click

from lockgate.cli.errors import PLAN_TIME, explained, package_of

GROUP: Final = "lockgate.verbs"
SUMMARIES: Final = {
    "check": "load and prove a policy: a file, or a stack's",
    "diff": "which requests go another way, and whether they leave for a cloud",
    "demo": "the whole thing on this machine: no cluster, no key, no network",
    "explain": "the decision for one request, with every reason",
    "graph": "draw a policy: rules, candidates, what goes to a cloud",
    "import": "another router's configuration into a stack's; says what differs",
    "plan": "evaluate the Pulumi program in process: resources, proof, manifests",
    "replay": "what another policy would have decided for recorded requests",
    "serve": "run the proxy on a policy file",
    "test": "run policy tests: requests, and what must come of them",
}
"""One line a verb, so that the help needs none of them loaded."""
LATER: Final = ("audit",)


class Verbs(click.Group):
    """A group whose commands are entry points."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the verbs whose packages are installed."""
        return sorted(verb.name for verb in entry_points(group=GROUP) if _installed(verb))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one verb."""
        for verb in entry_points(group=GROUP, name=cmd_name):
            if _installed(verb):
                ctx.invoked_subcommand = cmd_name  # for what goes wrong while it loads
                if cmd_name == "serve":  # a reload while it starts: it reads the file anyway
                    signal.signal(signal.SIGHUP, signal.SIG_IGN)
                command: click.Command = verb.load()
                return command
        self._refuse(ctx, cmd_name)
        return None

    def invoke(self, ctx: click.Context) -> Any:
        """Run one verb; what the user can mend ends it with status 2 and one text."""
        with explained(ctx):
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without loading them."""
        rows = [(name, SUMMARIES.get(name, "")) for name in self.list_commands(ctx)]
        with formatter.section("Verbs"):
            formatter.write_dl(rows)

    def _refuse(self, ctx: click.Context, name: str) -> None:
        if name in LATER:
            ctx.fail(f"`lockgate {name}` is not implemented in this version")
        if name in PLAN_TIME or entry_points(group=GROUP, name=name):
            ctx.fail(f"`lockgate {name}` is not installed here: pip install {package_of(name)}")
        close = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        ctx.fail(f"there is no verb {name!r}{hint}")


def _installed(verb: EntryPoint) -> bool:
    return find_spec(verb.module.partition(".")[0]) is not None


@click.command(cls=Verbs, name="lockgate")
@click.version_option(version("lockgate"), prog_name="lockgate")
def cli() -> None:
    """One OpenAI-compatible endpoint over local and cloud models, proved before it is deployed."""


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; exits with the verb's status."""
    return cli.main(args=arguments, prog_name="lockgate")


if __name__ == "__main__":
    sys.exit(main())
