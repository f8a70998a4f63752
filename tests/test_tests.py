"""The tests' own rules: no wait without an end, no example count or clock that a profile should set."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = sorted(HERE.rglob("*.py"))
MAY_SLEEP = {"support/wait.py", "faults/faulty.py", "faults/soak.py"}
"""What waits for others, what is a fault that blocks, and what runs for as long as it is told."""


def faults(name: str, text: str) -> Iterator[str]:
    """Yield what is wrong with a file of tests."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.While) and _polls(node):
            yield f"{name}:{node.lineno} polls without an end: use tests.support.wait.eventually"
        if isinstance(node, ast.keyword) and node.arg == "max_examples" and name != "conftest.py":
            yield f"{name}:{node.value.lineno} says how many examples: the profile does"
        if isinstance(node, ast.Attribute) and node.attr == "sleep" and name not in MAY_SLEEP:
            yield f"{name}:{node.lineno} sleeps: use tests.support.wait"


def _polls(loop: ast.While) -> bool:
    """Whether a loop does nothing but ask, and reads nothing that could come to its end."""
    idle = all(isinstance(one, ast.Pass) for one in loop.body)
    calls = [one for one in ast.walk(loop.test) if isinstance(one, ast.Call)]
    reads = [one for one in calls if isinstance(one.func, ast.Attribute)]
    return idle and not any(
        one.func.attr in {"next", "read", "readline", "recv", "take"} for one in reads
    )  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HERE)))
def test_nothing_waits_without_an_end(path: Path) -> None:
    assert list(faults(str(path.relative_to(HERE)), path.read_text())) == []


def test_the_rules_can_fail() -> None:
    assert list(faults("x.py", "while proxy.get('/metrics'): pass"))
    assert list(faults("x.py", "@settings(max_examples=9)\ndef f(): ..."))
    assert list(faults("x.py", "import time\ntime.sleep(1)"))
    assert not list(faults("x.py", "while data := one.recv(9): pass"))
