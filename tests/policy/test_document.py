"""YAML and JSON as a tree with lines: what is ambiguous is refused with its line."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.policy.reading.document import Node, from_plain, parse
from lockgate.policy.reading.problem import PolicyRefusedError

MOST_KEY = 1024
"""As it is written, quotes and escapes too: https://yaml.org/spec/1.2.2/#822-block-mappings."""
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cn", "Cs"]))
"""No control characters: the composer refuses those that JSON lets stand (DEL and C1)."""
KEYS = TEXT.filter(lambda key: len(json.dumps(key)) <= MOST_KEY)


def plain(node: Node) -> Any:
    """Return a tree as Python's own data."""
    if node.is_mapping:
        return {member.key: plain(member.node) for member in node.value}
    return [plain(child) for child in node.value] if isinstance(node.value, tuple) else node.value


def one(source: str) -> Any:
    (root,) = parse(source.encode(), "p.yaml")
    return plain(root)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),  # YAML 1.2: no
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("007", 7),
        ("0x10", "0x10"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("'7'", "7"),
        ('"true"', "true"),
        ("1" * 20, float("1" * 20)),
    ],
)
def test_a_plain_scalar_is_what_yaml_1_2_says(text: str, value: Any) -> None:
    assert one(f"a: {text}\n") == {"a": value}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    ).filter(lambda value: isinstance(value, dict | list)),
    st.booleans(),
    st.sampled_from([None, 2, "\t"]),
)
def test_json_is_read_as_json_reads_it(value: Any, ascii_only: bool, indent: Any) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert one(text) == value


def test_a_key_longer_than_yaml_lets_one_be_is_refused_with_its_line() -> None:
    assert one(json.dumps({"k" * (MOST_KEY - 2): 1})) == {"k" * (MOST_KEY - 2): 1}
    with pytest.raises(PolicyRefusedError, match=r"p\.yaml:1: "):
        one(json.dumps({"k" * (MOST_KEY + 1): 1}))


def test_each_key_and_value_knows_its_line() -> None:
    (root,) = parse(b"a: 1\nb:\n  - x\n  - y: 2\n", "p.yaml")
    a, b = root.value
    assert [(m.key, m.line, m.node.line) for m in (a, b)] == [("a", 1, 1), ("b", 2, 3)]
    assert [item.line for item in b.node.value] == [3, 4]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\na: 2\n", 2, r"stands twice \(first on line 1\)"),
        ('{"a": 1,\n "a": 2}', 2, "stands twice"),
        ("a: &x 1\nb: *x\n", 1, "uses an anchor or an alias"),
        ("a: 1\nb: *x\n", 2, "uses an anchor or an alias"),
        ("a: !!int 1\n", 1, "uses the tag"),
        ("? [1]\n: 2\n", 1, "has a key that is not a name"),
        ("a:\n\tb: 1\n", 2, "is indented with a tab"),
        ("a: *\n", 1, "is not YAML"),
        ("a: [1,\nb: 2\n", 3, "that begins on line 1"),
    ],
)
def test_what_is_ambiguous_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(PolicyRefusedError, match=message) as refused:
        parse(text.encode(), "p.yaml")
    assert refused.value.problems[0].line == line


def test_several_documents_are_several_trees() -> None:
    assert [plain(root) for root in parse(b"a: 1\n---\nb: 2\n", "p.yaml")] == [{"a": 1}, {"b": 2}]


def test_plain_data_is_a_tree_without_lines() -> None:
    value = {"a": [1, {"b": None}], "c": True}
    tree = from_plain(value)
    assert (plain(tree), tree.line) == (value, None)
