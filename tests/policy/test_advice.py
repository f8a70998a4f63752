"""What a policy may say and probably does not mean."""

import pytest
from lockgate.policy.reading.advice import advice
from lockgate.policy.reading.load import load_policy

POLICY = """\
backends:
- name: a
  tier: cloud
  external: {{ provider: {provider}, model: m, url: "{url}" }}
"""


@pytest.mark.parametrize(
    ("provider", "url", "message", "meant"),
    [
        ("openai", "https://h", "has no path", "https://h/v1"),
        ("openai", "https://h/", "has no path", "https://h/v1"),
        ("openai", "https://h:8080", "has no path", "https://h:8080/v1"),
        ("openai", "https://h//v1", "has a doubled slash", "https://h/v1"),
        ("openai", "https://h/a//b///v1/", "has a doubled slash", "https://h/a/b/v1/"),
        ("openai", "https://h//", "has a doubled slash", "https://h/"),
        ("litellm", "https://h//v1", "has a doubled slash", "https://h/v1"),
        ("openai", "https://h/v1/chat/completions", "names the door", "https://h/v1"),
        ("anthropic", "https://h/v1", "ends in /v1", "https://h"),
    ],
)
def test_r68_an_odd_base_url_is_told_with_what_may_be_meant(
    provider: str, url: str, message: str, meant: str
) -> None:
    """abetlen/llama-cpp-python#1032, harry0703/MoneyPrinterTurbo#57: a path too few, one too many."""
    (found,) = advice(load_policy(POLICY.format(provider=provider, url=url).encode(), "p.yaml"))
    assert (found.path, found.line) == ("backends[0].external.url", 4)
    assert message in found.message
    assert found.suggestion == f"did you mean `url: {meant}`?"


@pytest.mark.parametrize(
    ("provider", "url"),
    [
        ("openai", "https://h/v1"),
        ("openai", "https://h/v1/"),
        ("openai", "https://generativelanguage.googleapis.com/v1beta/openai"),
        ("litellm", "http://h"),
        ("anthropic", "https://api.anthropic.com"),
    ],
)
def test_r68_a_usual_base_url_is_not(provider: str, url: str) -> None:
    text = POLICY.format(provider=provider, url=url).replace("cloud", "local")
    text = text.replace("  external", "  attestedLocal: it is\n  external")
    assert list(advice(load_policy(text.encode(), "p.yaml"))) == []


@pytest.mark.parametrize(
    ("pattern", "glob"),
    [
        ("^gpt-.*$", "gpt-*"),
        ("gpt-4.+", "gpt-4*"),
        ("^claude", "claude"),
        ("gpt-4\\\\.1$", "gpt-4.1"),
        ("gpt-*", None),
        ("gpt-4.1*", None),
        ("[^a]*", None),
    ],
)
def test_a_pattern_that_looks_like_a_regular_expression_is_told(
    pattern: str, glob: str | None
) -> None:
    text = (
        "backends:\n- { name: a, inferenceServiceRef: { name: a } }\nrules:\n- name: r\n"
        f'  match: {{ models: ["{pattern}"] }}\n  route: {{ backends: [a] }}\ndefaultRoute: a\n'
    )
    found = list(advice(load_policy(text.encode(), "p.yaml")))
    assert [one.suggestion for one in found] == ([f"did you mean `{glob}`?"] if glob else [])
    assert all((one.path, one.line) == ("rules[0].match.models[0]", 5) for one in found)
