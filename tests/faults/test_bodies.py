"""Rows R20 to R29: bodies, their lengths and their cost, as public reports tell of them."""

import json

import pytest

from tests.faults.house import PII, House, body

fault = pytest.mark.fault


@fault("R20", "Model, STREAM, U+017F, U+212A, Api_Base beside the real ones", "400, by name")
@pytest.mark.parametrize(
    "key", ["Model", "\u017ftream", "STREAM", "Stream_Options", "N", "Fallbacks", "api_\u212aey"]
)
def test_r20_a_sensitive_request_cannot_choose_a_model_in_other_letters(
    house: House, key: str
) -> None:
    """golang/go #14750: Go's decoder obeys the last of `model` and `Model`; ours read the first."""
    answer = house.ask({**body(), key: "gpt-oss:120b-cloud"}, PII)
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["param"] == key
    assert house.record()["outcome"] == "bad_request"
    assert house.local.requests == []
