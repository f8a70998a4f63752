"""Patterns against Go's own table: path/match_test.go of Go 1.26, read as facts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.policy.glob import BadPatternError, check, compile_glob

LONG = "a" * 40
GO_TABLE = [
    ("abc", "abc", True), ("*", "abc", True), ("*c", "abc", True), ("a*", "a", True),
    ("a*", "abc", True), ("a*", "ab/c", False), ("a*/b", "abc/b", True), ("a*/b", "a/c/b", False),
    ("a*b*c*d*e*/f", "axbxcxdxe/f", True), ("a*b*c*d*e*/f", "axbxcxdxexxx/f", True),
    ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", False), ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", False),
    ("a*b?c*x", "abxbbxdbxebxczzx", True), ("a*b?c*x", "abxbbxdbxebxczzy", False),
    ("ab[c]", "abc", True), ("ab[b-d]", "abc", True), ("ab[e-g]", "abc", False),
    ("ab[^c]", "abc", False), ("ab[^b-d]", "abc", False), ("ab[^e-g]", "abc", True),
    ("a\\*b", "a*b", True), ("a\\*b", "ab", False), ("a?b", "a☺b", True),
    ("a[^a]b", "a☺b", True), ("a???b", "a☺b", False), ("a[^a][^a][^a]b", "a☺b", False),
    ("[a-ζ]*", "α", True), ("*[a-ζ]", "A", False), ("a?b", "a/b", False), ("a*b", "a/b", False),
    ("[\\]a]", "]", True), ("[\\-]", "-", True), ("[x\\-]", "x", True), ("[x\\-]", "-", True),
    ("[x\\-]", "z", False), ("[\\-x]", "x", True), ("[\\-x]", "-", True), ("[\\-x]", "a", False),
    ("*x", "xxx", True),
]  # fmt: skip
GO_MALFORMED = [
    "[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "*[", "a/b[",
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "name", "matches"), GO_TABLE)
def test_a_pattern_matches_what_go_matches(pattern: str, name: str, matches: bool) -> None:
    assert bool(compile_glob(pattern)(name)) is matches


@pytest.mark.parametrize("pattern", GO_MALFORMED)
def test_a_pattern_is_malformed_where_go_says_so(pattern: str) -> None:
    assert check(pattern) is not None
    with pytest.raises(BadPatternError):
        compile_glob(pattern)


def test_go_commits_to_the_first_fit_after_a_star() -> None:
    # `[^x]` may be `/` in Go, but the first place that fits is taken and never given back
    assert not compile_glob("*[^x]*b")("aa/b")


@given(st.text(min_size=1, max_size=12), st.text(max_size=12))
def test_an_escaped_name_matches_itself_and_nothing_else(name: str, other: str) -> None:
    matches = compile_glob("".join("\\" + char for char in name))
    assert matches(name)
    assert bool(matches(other)) is (other == name)


@given(st.text(alphabet="ab/", max_size=8))
def test_a_star_never_crosses_a_slash(name: str) -> None:
    assert bool(compile_glob("*")(name)) is ("/" not in name)


def test_many_stars_take_no_time() -> None:
    assert not compile_glob("*a" * 30 + "*b")(LONG * 50)
