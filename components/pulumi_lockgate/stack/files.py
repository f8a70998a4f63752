"""Where the files of stacks are: ``Pulumi.<name>.yaml``, in the folder that Pulumi.yaml names."""

import difflib
import re
from pathlib import Path
from typing import Final

from lockgate.policy.reading.problem import UnusableInputError

from pulumi_lockgate.stack.project import nearest_project

NAME: Final = re.compile(r"[A-Za-z0-9._-]+\Z")


class UnknownStackError(UnusableInputError):
    """There is neither such a file nor such a stack."""


def stack_file(name: str) -> Path:
    """Return the file of stack `name`; UnknownStackError names the stacks there are."""
    project = nearest_project()
    if project is None:
        hint = "there is no Pulumi.yaml in this folder or above it; name a file, or go to a project"
        raise UnknownStackError(f"there is no stack {name!r}: {hint}")
    path = project.stacks / f"Pulumi.{name}.yaml"
    if NAME.match(name) and path.is_file():
        return path
    found = sorted(project.stacks.glob("Pulumi.*.yaml"))
    names = [file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in found]
    close = difflib.get_close_matches(name, names, n=1)
    known = f"there are {', '.join(names)}" if names else f"{project.stacks} has no stack files"
    raise UnknownStackError(
        f"there is no stack {name!r}; " + (f"did you mean {close[0]}?" if close else known)
    )


def policy_source(named: str) -> Path:
    """Return the file that `named` means: a path, or the name of a stack."""
    path = Path(named)
    if path.is_file() or "/" in named or path.suffix in {".yaml", ".yml", ".json"}:
        return path
    return stack_file(named)
