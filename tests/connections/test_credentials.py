"""What is said of a Secret that is not there, or is of no use."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lockgate.connections.credentials import LOOK_S, Credentials, usable_key
from lockgate.policy.spec.backends import Backend, BackendTls, External, SecretRef
from twisted.internet.task import Clock

KEYED = Backend(
    name="c",
    external=External(
        provider="openai", model="m", credentials_secret_ref=SecretRef(name="openai")
    ),
)
TLS = Backend(
    name="t",
    external=External(provider="openai", model="m", url="https://h/v1"),
    tls=BackendTls(
        ca_secret_ref=SecretRef(name="own-ca"), client_cert_secret_ref=SecretRef(name="client")
    ),
)


def put(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("backend", "prepare", "words"),
    [
        (KEYED, lambda _: None, "/openai/OPENAI_API_KEY"),
        (
            KEYED,
            lambda d: put(d / "openai" / "OPENAI_API_KEY", "two\nlines\n"),
            "no usable key: looked for one line of ASCII at ",
        ),
        (KEYED, lambda d: put(d / "openai" / "OPENAI_API_KEY", ""), "/openai/OPENAI_API_KEY"),
        (KEYED, lambda d: put(d / "openai" / "key", "sk-x\n"), None),
        (TLS, lambda _: None, "Secret own-ca is not mounted"),
        (
            TLS,
            lambda d: put(d / "own-ca" / "ca.pem", "x"),
            "Secret own-ca has no ca.crt with something in it: looked",
        ),
        (TLS, lambda d: put(d / "own-ca" / "ca.crt", "x"), "Secret client is not mounted"),
    ],
)
def test_r67_what_is_missing_is_named(
    tmp_path: Path, backend: Backend, prepare: Callable[[Path], None], words: str | None
) -> None:
    prepare(tmp_path)
    clock = Clock()
    told = Credentials(tmp_path, clock.seconds).why_missing(backend)
    assert (told is None) if words is None else (told is not None and words in told)
    assert "sk-x" not in str(told)


def test_r67_without_a_directory_the_option_is_named() -> None:
    told = Credentials(None, Clock().seconds).why_missing(KEYED)
    assert told == (
        "Secret openai is not mounted: start with --secrets DIR, or --key openai=env:OPENAI_API_KEY"
    )


def test_r67_what_is_mended_is_seen(tmp_path: Path) -> None:
    clock = Clock()
    credentials = Credentials(tmp_path, clock.seconds)
    assert credentials.why_missing(KEYED)
    put(tmp_path / "openai" / "key", "sk-x\n")
    clock.advance(LOOK_S)
    assert credentials.why_missing(KEYED) is None


def test_a_key_that_was_given_stands_before_the_directory(tmp_path: Path) -> None:
    put(tmp_path / "openai" / "OPENAI_API_KEY", "sk-mounted\n")
    given = Credentials(tmp_path, Clock().seconds, {"openai": "sk-given"})
    assert given.key_for(KEYED) == "sk-given"
    assert given.why_missing(KEYED) is None
    assert "sk-given" not in repr(given)


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (b"sk-1\n", "sk-1"),
        (b"sk-1\r\n", "sk-1"),
        (b"", None),
        (b"a b", None),
        (b"a\nb", None),
        ("é".encode(), None),
        (b"sk-\x00", None),
    ],
)
def test_a_key_is_one_line_of_printable_ascii(data: bytes, key: str | None) -> None:
    assert usable_key(data) == key
