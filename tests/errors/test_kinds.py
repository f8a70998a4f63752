"""The one table of errors: it is whole, and nobody keeps a second list of codes."""

import ast
from pathlib import Path
from typing import get_args

import pytest
from lockgate.errors.codes import Code, Deadline
from lockgate.errors.kinds import ALARMS, KINDS, RejectedError, kind_of, of_deadline

SOURCES = sorted((Path(__file__).parent.parent.parent / "proxy" / "lockgate").rglob("*.py"))
WORDS_OF_OTHERS = {
    "exchange/refusal.py": "what providers write",
    "audit/replay.py": "what older records have",
}
PLANTED = 'FINAL = frozenset({"total_timeout", "memory_full"})'


def test_every_code_is_one_row() -> None:
    assert tuple(KINDS) == get_args(Code)


def test_every_deadline_is_one_error() -> None:
    names = get_args(Deadline)
    assert tuple(KINDS[of_deadline(name)].deadline for name in names) == names


def test_what_is_no_code_has_no_row() -> None:
    assert kind_of("complete") is None
    assert kind_of("internal") is KINDS["internal"]


def test_who_must_act_is_told_where_to_look() -> None:
    assert {code for code, kind in KINDS.items() if kind.advice} == ALARMS


def test_only_failures_of_upstreams_count_against_them() -> None:
    assert all(kind.source == "upstream" for kind in KINDS.values() if kind.counts)


def test_a_rejection_has_its_row() -> None:
    assert RejectedError("not_found", "Use /v1/models.").kind is KINDS["not_found"]


def listed(text: str) -> list[list[str]]:
    """Return every set, list, tuple or dict of at least two codes; types are none."""
    tree = ast.parse(text)
    types = {
        id(node.slice)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in types or not isinstance(node, ast.Set | ast.List | ast.Tuple | ast.Dict):
            continue
        members = node.keys if isinstance(node, ast.Dict) else node.elts
        codes = [m.value for m in members if isinstance(m, ast.Constant) and m.value in KINDS]
        if len(codes) > 1:
            found.append(codes)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nobody_keeps_a_second_list_of_codes(path: Path) -> None:
    if not any(path.as_posix().endswith(place) for place in WORDS_OF_OTHERS):
        assert listed(path.read_text()) == []


def test_a_second_list_would_be_seen() -> None:
    assert listed(PLANTED)
