"""Writes docs/faults.md out of the rows and the tests: ``python -m tests.faults.page``."""

import ast
import sys
from pathlib import Path
from typing import Final

from tests.faults.rows import NOT_HERE, ROWS

HERE: Final = Path(__file__).parent
HEAD: Final = """\
# The fault matrix

What goes wrong between an agent, Lockgate and a model, how a test makes it go wrong, and what was seen. `make faults`
runs all of it and prints a line for each row. This page is written by `make docs` from the tests; a test compares.

Every row is checked against ten invariants (`tests/faults/rig.py`): a response that is cut never ends cleanly (I1); one record
for each admitted request (I2); a sensitive request touches local backends only (I3); an upstream is cancelled within a
second of its client's leaving (I4); attempts stay inside the retry law (I5); memory is bounded (I6); every wait has a
deadline (I7); no key and no prompt in a response, a record or the log (I8); no descriptor, timer, permit or byte of the
budget is left (I9); a breaker counts only what its backend did (I10).

A client's FIN says that it closed, or that it will send no more: nobody can tell which. It is taken for leaving (C8),
since responses cost tokens.

| row | what goes wrong | injected | seen |
| --- | --- | --- | --- |
"""


def marks() -> dict[str, dict[tuple[str, str], None]]:
    """Return what the tests say of each row: (injected, seen), in order, each once."""
    found: dict[str, dict[tuple[str, str], None]] = {}
    for file in sorted(HERE.glob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "fault":
                        row, injected, seen = (ast.literal_eval(one) for one in mark.args)
                        found.setdefault(row, {})[injected, seen] = None
    return found


def page() -> str:
    """Return the page."""
    lines = []
    tested = marks()
    for row, what in ROWS.items():
        if row in NOT_HERE:
            lines.append(f"| {row} | {what} | not here: {NOT_HERE[row]} | |")
        for injected, seen in tested.get(row, {}):
            lines.append(f"| {row} | {what} | {injected} | {seen} |")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
