"""Commands that are shown to be typed: our own as it is called here, and kubectl's for a Secret."""

import shlex
import shutil
import sys
from pathlib import Path


def shown(*words: str) -> str:
    """Return a command line of ours that works where this process runs.

    It begins with `lockgate` where that is what PATH finds, else with the path of what runs.
    """
    return " ".join([_program(), *map(shlex.quote, words)])


def secret_line(namespace: str, secret: str, key: str) -> str:
    """Return the command that makes a Secret of a variable's value, which no command line holds."""
    make = f"kubectl -n {namespace} create secret generic {secret} --from-file={key}=/dev/stdin"
    return f'printf %s "${key}" | {make}'


def _program() -> str:
    running = Path(sys.argv[0])
    if running.name != "lockgate":  # run as a module, or by a test
        beside = Path(sys.executable).with_name("lockgate")
        running = beside if beside.is_file() else running
    found = shutil.which("lockgate")
    if found is not None and Path(found).resolve() == running.resolve():
        return "lockgate"
    if running.name == "lockgate":
        return shlex.quote(str(_nearest(running)))
    return f"{shlex.quote(sys.executable)} -m lockgate.cli.main"


def _nearest(path: Path) -> Path:
    """Return `path` from the working directory where it is below that."""
    whole = path.absolute()
    return whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole
