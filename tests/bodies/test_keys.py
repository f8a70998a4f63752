"""Keys that a reader further up could take for one that was checked here are refused."""

import pytest
from lockgate.bodies.keys import OPTION_KEYS, TOP_KEYS, check_key, folded, is_harmless
from lockgate.errors.kinds import RejectedError


@pytest.mark.parametrize("key", ["MODEL", "Model", "\u017ftream", "\u017fTREAM", "api_\u212aey"])
def test_what_go_takes_for_a_key_that_is_read_is_not_harmless(key: str) -> None:
    assert folded(key) in TOP_KEYS
    assert not is_harmless(key)


@pytest.mark.parametrize("key", ["model", "messages", "x", "models2", "Temperature", ""])
def test_everyday_keys_and_unknown_ones_are_harmless(key: str) -> None:
    assert is_harmless(key)


@pytest.mark.parametrize(
    ("key", "plain", "again", "code"),
    [
        ("Model", True, False, "folded_key"),
        ("\u017ftream", True, False, "folded_key"),
        ("MESSAGES", True, False, "folded_key"),
        ("model", True, True, "duplicate_key"),
        ("model", False, False, "escaped_key"),
        ("fallbacks", True, False, "client_routing"),
        ("Api_Base", True, False, "client_routing"),
    ],
)
def test_a_key_in_another_spelling_is_refused_with_its_reason(
    key: str, plain: bool, again: bool, code: str
) -> None:
    with pytest.raises(RejectedError) as refused:
        check_key(key, TOP_KEYS, plain=plain, again=again)
    assert refused.value.kind.code == code


def test_what_is_read_is_said_to_be_and_the_rest_is_not() -> None:
    assert check_key("model", TOP_KEYS, plain=True, again=False)
    assert not check_key("temperature", TOP_KEYS, plain=True, again=True)
    assert check_key("include_usage", OPTION_KEYS, plain=True, again=False)
    assert not check_key("model", OPTION_KEYS, plain=False, again=True)
