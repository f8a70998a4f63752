"""What people write out of habit is answered with what it is called here."""

import pytest
from lockgate.policy.reading.habits import field_habit, provider_habit


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Ollama", "`url: http://HOST:11434/v1`"),
        ("groq", "`url: https://api.groq.com/openai/v1`"),
        ("aws", "put a LiteLLM proxy in between"),
        ("nobody", None),
    ],
)
def test_a_provider_has_its_address(name: str, said: str | None) -> None:
    found = provider_habit(name)
    assert found is None if said is None else said in str(found)


@pytest.mark.parametrize(
    ("name", "above", "known"),
    [
        ("fallbacks", "rules[].route", True),
        ("fallbacks", "backends[]", False),
        ("when", "rules[]", True),
        ("when", "policy.invariants[]", False),
        ("key", "backends[].external.credentialsSecretRef", True),
        ("key", "backends[]", False),
        ("num_retries", "", True),
        ("other", "rules[]", False),
    ],
)
def test_a_field_is_known_where_it_is_meant(name: str, above: str, *, known: bool) -> None:
    assert (field_habit(name, above) is not None) == known
