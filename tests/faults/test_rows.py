"""Every row has a test, or a reason why it has none."""

from pathlib import Path

import pytest

from tests.faults.page import marks, page
from tests.faults.rows import NOT_HERE, ROWS

PAGE = Path(__file__).parent.parent.parent / "docs" / "faults.md"


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_a_test_or_a_reason(row: str) -> None:
    assert (row in marks()) != (row in NOT_HERE)


def test_no_test_is_about_a_row_that_is_not_there() -> None:
    assert set(marks()) <= set(ROWS)
    assert set(NOT_HERE) <= set(ROWS)


def test_the_page_is_what_the_tests_say() -> None:
    assert PAGE.read_text() == page()
