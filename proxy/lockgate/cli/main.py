"""The `lockgate` command line: finds its commands as entry points and loads only the one that runs.

A command whose package is not installed (the proxy's image has no plan-time code) is not listed; an
attempt to run it names the package to install.
"""

import difflib
import os
import signal
import sys
from importlib.metadata import EntryPoint, entry_points, version
from importlib.util import find_spec
from typing import Any, Final

import click

from lockgate.cli.errors import BROKEN_PIPE, PLAN_TIME, explained, leave_stdout, package_of

GROUP: Final = "lockgate.verbs"
SUMMARIES: Final = {
    "bundle": "write all that an air-gapped site must carry in, as one archive",
    "check": "prove that no sensitive request can reach a cloud backend",
    "diff": "compare two policies: which requests are routed differently",
    "demo": "see it all on this machine: no cluster, no key, no network",
    "explain": "show where one request goes under a policy, and why",
    "fetch": "bring a model's files onto a disk, whole and verified",
    "graph": "draw a policy: its rules, its backends, the proof's verdict",
    "health": "tell whether a running proxy is ready, for health checks",
    "init": "write a first policy out of what this machine has, and prove it",
    "import": "convert a LiteLLM or LLMKube configuration; says what differs",
    "plan": "show what the Pulumi program would deploy, and prove it",
    "replay": "show what another policy would decide for recorded requests",
    "schema": "print the JSON Schema of a policy or a stack file, for editors",
    "serve": "run the proxy with a policy file",
    "test": "run policy tests: requests with the decisions they must get",
}
"""One line a command, so that the help needs none of them loaded."""
LATER: Final = ("audit",)


class Commands(click.Group):
    """A group whose commands are entry points."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands whose packages are installed."""
        return sorted(point.name for point in entry_points(group=GROUP) if _installed(point))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        for point in entry_points(group=GROUP, name=cmd_name):
            if _installed(point):
                ctx.invoked_subcommand = cmd_name  # for what goes wrong while it loads
                if cmd_name == "serve":  # a reload while it starts: it reads the file anyway
                    signal.signal(signal.SIGHUP, signal.SIG_IGN)
                command: click.Command = point.load()
                return command
        self._refuse(ctx, cmd_name)
        return None

    def make_context(self, *words: Any, **options: Any) -> click.Context:
        """Read the arguments; help that nobody reads to its end ends quietly."""
        try:
            return super().make_context(*words, **options)
        except BrokenPipeError:
            leave_stdout()
            sys.exit(BROKEN_PIPE)

    def invoke(self, ctx: click.Context) -> Any:
        """Run one command; what the user can correct ends it with a status and one text."""
        if os.environ.get("NO_COLOR"):  # https://no-color.org: set, and not empty
            ctx.color = False
        with explained(ctx):
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        rows = [(name, SUMMARIES.get(name, "")) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _refuse(self, ctx: click.Context, name: str) -> None:
        if name in LATER:
            ctx.fail(f"`lockgate {name}` is not implemented in this version")
        if name in PLAN_TIME or entry_points(group=GROUP, name=name):
            ctx.fail(f"`lockgate {name}` is not installed here: pip install {package_of(name)}")
        close = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        ctx.fail(f"there is no command {name!r}{hint}")


def _installed(point: EntryPoint) -> bool:
    return find_spec(point.module.partition(".")[0]) is not None


@click.command(
    cls=Commands, name="lockgate", context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(version("lockgate"), prog_name="lockgate")
def cli() -> None:
    """One OpenAI-compatible endpoint over local and cloud models, proved before it is deployed."""


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line; exits with the command's status."""
    return cli.main(args=arguments, prog_name="lockgate")


if __name__ == "__main__":
    sys.exit(main())
