"""The verdict is that of `lockgate check`; without it, what to install is said."""

import pytest
from lockgate.quickstart import proof
from lockgate.quickstart.proof import NOT_PROVED, verdict

GOOD = """\
backends:
- { name: a, inferenceServiceRef: { name: a } }
defaultRoute: a
"""


def test_what_check_says_is_passed_on() -> None:
    found = verdict(GOOD)
    assert (found.status, found.text.splitlines()[0][:7]) == (0, "PROVED:")
    refused = verdict("backends: []\n")
    assert (refused.status, "backends: is empty" in refused.text) == (2, True)


def test_where_it_is_not_installed_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "find_spec", lambda _: None)
    assert verdict(GOOD) == proof.Verdict(NOT_PROVED, None)
