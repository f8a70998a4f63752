"""Make the one archive that a site without a way out carries in."""

import sys
from pathlib import Path

import click
from lockgate.amount import amount
from lockgate.policy.reading.problem import UnusableInputError


@click.command(name="bundle")
@click.argument("stack")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The archive to write: .tar.",
)
@click.option(
    "--image",
    "given",
    multiple=True,
    metavar="IMAGE=ARCHIVE",
    help="Archive of an image, by its name outside or in the site's registry; once for each.",
)
@click.option(
    "--listed", is_flag=True, help="Images without an archive are only listed, not refused."
)
def command(stack: str, *, out: Path, given: tuple[str, ...], listed: bool) -> None:
    """Write all that a stack needs inside into one archive, with checksums.

    It has the images' archives, the manifests with their proof, the list of the models that are
    fetched there, a script that pushes the images into the site's registry, and SHA256SUMS. The
    same input gives the same bytes.

    Exit status: 0 written, 1 the policy is violated (the report is on stdout), 2 the stack is
    refused, an image has no archive, or the archive cannot be written.
    """
    from pulumi_lockgate.bundle import carried, free_for, write_bundle  # noqa: PLC0415 - pulumi loads slowly
    from pulumi_lockgate.planned import Planned, Refused, planned  # noqa: PLC0415 - the same
    from pulumi_lockgate.stack.files import stack_file  # noqa: PLC0415 - the same
    from pulumi_lockgate.stack.read import load_stack, read_whole  # noqa: PLC0415 - the same

    outcome = planned(stack, None)
    if isinstance(outcome, Refused):
        raise outcome.error
    if not isinstance(outcome, Planned):
        outcome.render(click.echo)
        sys.exit(outcome.exit_status)
    path = stack_file(stack)
    images = carried(load_stack(read_whole(path), str(path)), outcome, _archives(given))
    missing = [one for one in images if one.archive is None]
    if missing and not listed:
        lines = [f"{amount(len(missing), 'image')} without an archive (--listed lists them only):"]
        for one in missing:
            lines += [f"  {one.pulled}", f"  --image {one.origin}={one.file.rpartition('/')[2]}"]
        raise UnusableInputError("\n".join(lines))
    free_for(out, images)
    digest = write_bundle(outcome, images, out)
    carried_ones = len(images) - len(missing)
    click.echo(f"{out} written: {carried_ones} of {amount(len(images), 'image')}, sha256:{digest}")


def _archives(given: tuple[str, ...]) -> dict[str, Path]:
    found = {}
    for text in given:
        name, equals, archive = text.partition("=")
        if not equals or not name or not archive:
            raise click.BadParameter(f"{text!r} is not IMAGE=ARCHIVE", param_hint="--image")
        found[name] = Path(archive)
    return found
