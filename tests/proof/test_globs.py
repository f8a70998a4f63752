"""The automaton takes exactly what the proxy's own pattern takes, and finds the shortest name."""

import itertools
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from lockgate.bodies.scan import MAX_MODEL_CHARS
from lockgate.policy.glob import BadPatternError, compile_glob
from pulumi_lockgate.proof.glob_automata import MAX_NAME, Glob, TooManyStatesError, shortest

PIECES = (
    "a", "b", "/", "*", "*", "*", "?", "[^a]", "[a-b]", "[^a-b]", "[b-a]", "[^b-a]", "[/a]",
    "\\*", "[\\]x]", "é", "[^é]", "]", "-", "^",
)  # fmt: skip
patterns = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)
names = st.text(st.sampled_from("ab/*é]x-^"), max_size=8)
SHORT = ["".join(s) for n in range(1, 6) for s in itertools.product("mab/", repeat=n)]


def takes(pattern: str, name: str) -> bool:
    glob = Glob(pattern)
    state = glob.start
    for char in name:
        state = glob.step(state, char)
    return glob.accepts(state)


def good(pattern: str) -> bool:
    try:
        compile_glob(pattern)
    except BadPatternError:
        return False
    return True


@given(patterns, names)
def test_the_automaton_takes_what_the_proxys_pattern_takes(pattern: str, name: str) -> None:
    assume(good(pattern))
    assert takes(pattern, name) == bool(compile_glob(pattern)(name)), (pattern, name)


@pytest.mark.parametrize(
    "pattern", ["*[^a]*b", "*?*b", "a*[^b]*", "*a/*b", "*[/a]*b*", "[^a]*/*[^b]", "*ab*[^a]b*"]
)
def test_every_short_name_is_taken_alike(pattern: str) -> None:
    held = compile_glob(pattern)
    assert [n for n in SHORT if takes(pattern, n)] == [n for n in SHORT if held(n)]


@given(st.lists(patterns, max_size=2), st.lists(patterns, max_size=3))
def test_what_is_found_is_shortest_and_what_is_not_found_is_not_there(
    wanted: list[str], unwanted: list[str]
) -> None:
    assume(all(map(good, (*wanted, *unwanted))))
    found = shortest(map(Glob, wanted), map(Glob, unwanted), 50_000)
    must, may_not = [compile_glob(p) for p in wanted], [compile_glob(p) for p in unwanted]

    def fits(name: str) -> bool:
        return all(m(name) for m in must) and not any(m(name) for m in may_not)

    if found is not None:
        assert found.isprintable()
        assert fits(found)
    bound = 6 if found is None else len(found)
    assert not any(fits(name) for name in SHORT if len(name) < bound)


def test_a_name_is_one_that_the_proxy_admits() -> None:
    assert MAX_NAME == MAX_MODEL_CHARS
    assert shortest([Glob("?" * MAX_NAME)], [], 5000) == "m" * MAX_NAME
    assert shortest([Glob("?" * (MAX_NAME + 1))], [], 5000) is None
    assert shortest([Glob("[\x00-\x1f]")], [], 5000) is None
    assert shortest([Glob("*")], [], 5000) == "m"


def test_a_pattern_of_many_stars_needs_few_states() -> None:
    pattern = "*a" * 40 + "*b"
    assert shortest([Glob(pattern)], [], 5000) == "a" * 40 + "b"
    assert shortest([Glob(pattern)], [Glob("*a*b")], 5000) is None


def test_too_many_states_is_an_error_and_no_answer() -> None:
    with pytest.raises(TooManyStatesError, match=re.escape("more than 500 states")):
        shortest([Glob("*a" + "?" * 20), Glob("*b" + "?" * 20)], [], 500)
