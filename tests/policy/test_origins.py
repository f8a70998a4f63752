"""An origin is written as a browser says it; anything else would never be met, or let anyone in."""

import pytest
from lockgate.policy.reading.origins import origin_fault


@pytest.mark.parametrize(
    "origin",
    [
        "https://chat.example",
        "http://localhost:3000",
        "http://[::1]:3000",
        "https://chat.example:8443",
        "app://obsidian.md",
        "chrome-extension://abcdefghijklmnop",
        "http://10.0.0.1:5173",
        "tauri://localhost",
    ],
)
def test_what_browsers_say_is_taken(origin: str) -> None:
    assert origin_fault(origin) is None


@pytest.mark.parametrize(
    ("origin", "suggestion"),
    [
        ("*", "https://chat.example"),
        ("null", "https://chat.example"),
        ("", "https://chat.example"),
        ("https://chat.example/", "https://chat.example"),
        ("https://chat.example/app?x", "https://chat.example"),
        ("HTTPS://Chat.Example", "https://chat.example"),
        ("https://chat.example:443", "https://chat.example"),
        ("http://chat.example:80", "http://chat.example"),
        ("chat.example", "https://chat.example"),
        ("chat.example:8443/x", "https://chat.example:8443"),
        ("https://*.example", "https://chat.example"),
        ("https://user@chat.example", "https://chat.example"),
        (" https://chat.example", "https://chat.example"),
        ("https://chat.example:99999999", "https://chat.example"),
        ("https://chat.example\n", "https://chat.example"),
        ("https://chat.example\r\nx: y", "https://chat.example"),
    ],
)
def test_what_no_browser_says_is_told_what_it_would_say(origin: str, suggestion: str) -> None:
    fault = origin_fault(origin)
    assert fault is not None
    assert fault[1] == suggestion
    assert origin_fault(suggestion) is None
