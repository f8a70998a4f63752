"""Where the stacks of this project are: ``stacks/Pulumi.<name>.yaml``, as Pulumi.yaml says."""

import difflib
import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
NAME: Final = re.compile(r"[A-Za-z0-9._-]+\Z")


class UnknownStackError(Exception):
    """There is neither such a file nor such a stack."""


def stacks_folder() -> Path:
    """Return the folder of stack files: of the working directory's project, else of this one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").is_file() and (folder / "stacks").is_dir():
            return folder / "stacks"
    return ROOT / "stacks"


def stack_file(name: str) -> Path:
    """Return the file of stack `name`; UnknownStackError names the stacks there are."""
    folder = stacks_folder()
    path = folder / f"Pulumi.{name}.yaml"
    if NAME.match(name) and path.is_file():
        return path
    names = [found.name.split(".")[1] for found in sorted(folder.glob("Pulumi.*.yaml"))]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}?" if close else "there are " + ", ".join(names)
    raise UnknownStackError(f"there is no stack {name!r}; {hint}")


def policy_source(named: str) -> Path:
    """Return the file that `named` means: a path, or the name of a stack."""
    path = Path(named)
    if path.is_file() or "/" in named or path.suffix in {".yaml", ".yml", ".json"}:
        return path
    return stack_file(named)
