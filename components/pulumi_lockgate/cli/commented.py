"""A verb that can leave what it says as a comment for a change."""

import sys
from pathlib import Path
from typing import Any, TextIO

import click
from lockgate.policy.reading.problem import EndsCommandError

from pulumi_lockgate.ci_output.comment import comment


class Commented(click.Command):
    """Adds ``--comment FILE``: the verdict and all that was printed as Markdown, whatever it is.

    The verb's own argument is called ``stack``; its exit status is the verdict.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.params.append(
            click.Option(
                ["--comment"],
                type=click.Path(path_type=Path, dir_okay=False),
                help="Write the verdict as Markdown there, for a comment or a summary.",
            )
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; write the comment before its exit status is given on."""
        out: Path | None = ctx.params.pop("comment")
        if out is None:
            return super().invoke(ctx)
        if ctx.params.get("as_json"):
            raise click.UsageError("--comment is for people: leave --json out")
        text, status = self._kept(ctx)
        try:
            out.write_text(comment(ctx.params["stack"], status, text), encoding="utf-8")
        except OSError as problem:
            click.echo(f"{out}: cannot be written: {problem.strerror}", err=True)
            status = status or 2
        return ctx.exit(status)

    def _kept(self, ctx: click.Context) -> tuple[str, int]:
        """Run the verb; return what it printed, on both streams, and its exit status."""
        held: list[str] = []
        status = 0
        streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = _Tee(streams[0], held), _Tee(streams[1], held)
        try:
            super().invoke(ctx)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
        except EndsCommandError as error:
            click.echo(str(error), err=True)
            status = error.exit_status
        finally:
            sys.stdout, sys.stderr = streams
        return "".join(held), status


class _Tee:
    """A stream that also keeps what is written to it."""

    def __init__(self, stream: TextIO, held: list[str]) -> None:
        self._stream, self._held = stream, held

    def write(self, text: str) -> int:
        """Write, and keep."""
        written = self._stream.write(text)
        self._held.append(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
