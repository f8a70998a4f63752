"""Twisted's private parts are touched in lockgate.eventloop alone, and docs/event-loop.md names each."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PROXY = ROOT / "proxy"
PAGE = ROOT / "docs" / "event-loop.md"
PRIVATE = re.compile(r"\b_[A-Za-z]\w*")
BENEATH = {"reactor", "selectable", "connector", "port", "transport"}
"""Names under which functions get an object of Twisted's."""


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(PROXY).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(file): file for file in sorted((PROXY / "lockgate").rglob("*.py"))}


def of_twisted(kind: type) -> set[str]:
    """Return the private names that a class of Twisted's has or sets."""
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):
        return set()
    names = set(re.findall(r"\bself\.(_[A-Za-z]\w*)", source)) | set(vars(kind))
    return {name for name in names if PRIVATE.fullmatch(name)}


def inherited(module: str) -> Iterator[str]:
    """Yield the private names of Twisted's that heirs of its classes in `module` use or replace."""
    tree = ast.parse(MODULES[module].read_text())
    if not any("twisted" in ast.unparse(node) for node in tree.body if isinstance(node, ast.ImportFrom)):  # fmt: skip
        return
    known = vars(importlib.import_module(module))
    for node in ast.walk(tree):
        kind = known.get(node.name) if isinstance(node, ast.ClassDef) else None
        if not isinstance(kind, type):
            continue
        theirs = [base for base in kind.__mro__ if base.__module__.startswith("twisted.")]
        private = {name for base in theirs for name in of_twisted(base)}
        used = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
        used |= {n.name for n in ast.walk(node) if isinstance(n, ast.FunctionDef)}
        yield from sorted(private & used)


def reached_into(module: str) -> Iterator[str]:
    """Yield the private attributes that `module` asks of an object of Twisted's by its name."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Attribute) and PRIVATE.fullmatch(node.attr):
            owner = ast.unparse(node.value)
            if owner.rpartition(".")[2].lstrip("_") in BENEATH:
                yield node.attr


def touched(module: str) -> set[str]:
    return {*inherited(module), *reached_into(module)}


@pytest.mark.parametrize("module", [m for m in MODULES if not m.startswith("lockgate.eventloop")])
def test_nothing_else_touches_twisteds_private_parts(module: str) -> None:
    assert touched(module) == set()


def test_the_page_names_what_is_touched_and_nothing_else() -> None:
    found = {name for m in MODULES if m.startswith("lockgate.eventloop.") for name in touched(m)}
    table = PAGE.read_text().partition("| attribute |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(_\w+)`", table)) == found


def test_it_would_be_seen() -> None:
    assert {"_doReadOrWrite", "_poller"} <= touched("lockgate.eventloop.reactor_loop")
    assert {"_connectDone", "_makeTransport"} <= touched("lockgate.eventloop.sockets")
    assert "_aborted" in touched("lockgate.eventloop.client_tls")
