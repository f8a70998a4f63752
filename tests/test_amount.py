"""One is one, and anything else is several."""

import pytest
from lockgate.amount import amount


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 rules"), (1, "1 rule"), (2, "2 rules"), (12_345, "12,345 rules")]
)
def test_an_amount_has_its_noun(count: int, said: str) -> None:
    assert amount(count, "rule") == said


def test_a_noun_may_have_another_plural() -> None:
    assert [amount(n, "class", "classes") for n in (1, 2)] == ["1 class", "2 classes"]
