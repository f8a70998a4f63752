"""The type checker sees: errors planted in a copy of every module are all reported.

A module that is exempt from a check, or a room whose own names are all `Any`, turns this red.
`make typecheck` runs it right after mypy itself: with what mypy remembers it takes seconds.
"""

import ast
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("proxy/lockgate", "components/pulumi_lockgate", "image")
CHECKED = ("proxy", "components", "infra", "policy-pack", "bench", "image")
ANYWHERE = (
    ("planted.uper()", "attr-defined"),
    ("planted.join()", "call-arg"),
    ("planted.join(1)", "arg-type"),
)
"""A misspelt method, a missing argument and a wrong type, of a name that is typed everywhere."""
NOTHING_OF_ITS_OWN: set[str] = set()
"""Rooms without a class or a function that can be used wrongly: a program."""
ANYTHING = {"Any", "object"}
"""Annotations of parameters that take whatever they are given; type variables are others."""
REPORTED = re.compile(r"^(?P<file>\S+?):(?P<line>\d+): error: .*\[(?P<code>[a-z-]+)\]$", re.MULTILINE)  # fmt: skip

Plants = list[tuple[str, str]]
"""Lines to plant, and the code of the error that each one is."""


def needed(function: ast.FunctionDef) -> list[ast.arg]:
    """Return the parameters that have no default, where a call by position is all there is."""
    if function.decorator_list or None in function.args.kw_defaults or function.args.vararg:
        return []
    arguments = [*function.args.posonlyargs, *function.args.args]
    return arguments[: len(arguments) - len(function.args.defaults)]


def type_variables(tree: ast.Module) -> set[str]:
    """Return the names of a module's type variables: a wrong argument is not always one of them."""
    return {
        ast.unparse(node.targets[0])
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == "TypeVar"
    }


def wrong_calls(called: str, parameters: list[ast.arg], anything: set[str]) -> Plants:
    """Return calls that lack an argument, and that have a wrong one; none where all is right."""
    if not parameters or any(ast.unparse(p.annotation or ast.Name("Any")) in anything for p in parameters):  # fmt: skip
        return []
    arguments = ", ".join(["object()"] * len(parameters))
    return [(f"{called}()", "call-arg"), (f"{called}({arguments})", "arg-type")]


def of_the_room(tree: ast.Module) -> tuple[str, Plants]:
    """Return wrong uses of a class of the module's own, or else of a function, with its type."""
    anything = ANYTHING | type_variables(tree)
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.decorator_list:
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    plants = wrong_calls(f"own.{method.name}", needed(method)[1:], anything)
                    if plants:
                        return node.name, [
                            (f"own.{method.name}_misspelt()", "attr-defined"),
                            *plants,
                        ]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            plants = wrong_calls(node.name, needed(node), anything)
            if plants:
                return "None", [(f"{node.name}.misspelt()", "attr-defined"), *plants]
    return "None", []


def plant(file: Path, own: str, plants: Plants) -> Iterator[tuple[int, str]]:
    """Append errors to a module; yield the line and the code of each."""
    lines = [*file.read_text().splitlines(), f"def _plant(planted: str, own: {own!r}) -> None:"]
    for line, code in plants:
        lines.append(f"    {line}")
        yield len(lines), code
    file.write_text("\n".join(lines) + "\n")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_error_that_is_planted_in_any_room_is_reported(tmp_path: Path) -> None:
    for name in CHECKED:
        shutil.copytree(
            ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns(".venv", "build")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    if (ROOT / ".mypy_cache").is_dir():  # else it takes a minute or two
        shutil.copytree(ROOT / ".mypy_cache", tmp_path / ".mypy_cache")

    expected: set[tuple[str, int, str]] = set()
    own_errors: defaultdict[Path, int] = defaultdict(int)
    for package in PACKAGES:
        for file in sorted((tmp_path / package).rglob("*.py")):
            own, plants = of_the_room(ast.parse(file.read_text()))
            own_errors[file.parent] += len(plants)
            name = str(file.relative_to(tmp_path))
            planted = plant(file, own, [*ANYWHERE, *plants])
            expected |= {(name, line, code) for line, code in planted}
    rooms = {str(folder.relative_to(tmp_path)): count for folder, count in own_errors.items()}
    assert {room for room, count in rooms.items() if not count} == NOTHING_OF_ITS_OWN

    done = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    reported = {(m["file"], int(m["line"]), m["code"]) for m in REPORTED.finditer(done.stdout)}
    assert expected - reported == set(), done.stderr
    assert reported - expected == set(), "the tree is not clean by itself"
