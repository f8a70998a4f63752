"""The Pulumi project that a command runs in: the nearest Pulumi.yaml, and what it names."""

from pathlib import Path
from typing import Any, Final

import yaml
from attrs import frozen
from lockgate.policy.reading.problem import UnusableInputError

NAMES: Final = ("Pulumi.yaml", "Pulumi.yml")
SHIPPED: Final = Path(__file__).resolve().parent.parent / "program" / "__main__.py"
"""The program of a project that has none of its own."""


class ProjectError(UnusableInputError):
    """A Pulumi.yaml that cannot be followed; the text says which, why, and what to do."""


@frozen
class Project:
    """A project. `main` is the file or the folder of its program, as Pulumi.yaml names it."""

    file: Path
    name: str
    runtime: str
    main: Path
    stacks: Path

    @property
    def root(self) -> Path:
        """The folder of the Pulumi.yaml."""
        return self.file.parent

    @property
    def program(self) -> Path | None:
        """The Python file that Pulumi would run, None where there is none."""
        file = self.main / "__main__.py" if self.main.is_dir() else self.main
        return file if file.is_file() else None


def nearest_project(start: Path | None = None) -> Project | None:
    """Return the project of `start` (the working directory) or above it, None without one.

    Raises ProjectError when its Pulumi.yaml cannot be read.
    """
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        for name in NAMES:
            if (folder / name).is_file():
                return _read(folder / name)
    return None


def _read(file: Path) -> Project:
    try:
        stated = yaml.safe_load(file.read_bytes())
    except (OSError, ValueError, yaml.YAMLError) as problem:
        first = str(problem).splitlines()[0]
        raise ProjectError(f"{file}: cannot be read: {first}") from None
    if not isinstance(stated, dict) or not isinstance(stated.get("name"), str):
        raise ProjectError(f"{file}: is not a Pulumi project; write `name:` and `runtime:`")
    runtime = stated.get("runtime")
    kind = runtime.get("name") if isinstance(runtime, dict) else runtime
    root = file.parent
    return Project(
        file,
        stated["name"],
        str(kind or "python"),
        root / _text(stated, "main"),
        _stacks(root, _text(stated, "stackConfigDir") or _text(stated, "config")),
    )


def _stacks(root: Path, stated: str) -> Path:
    """Return the folder of stack files; where none is stated, `stacks` if only there are any."""
    beside = root / "stacks"
    if stated or any(root.glob("Pulumi.*.yaml")) or not beside.is_dir():
        return root / stated
    return beside


def _text(stated: dict[str, Any], key: str) -> str:
    value = stated.get(key)
    return value if isinstance(value, str) else ""
