"""What is said of a Secret that is not there, or is of no use."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lockgate.connections.credentials import LOOK_S, Credentials
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
        (KEYED, lambda _: None, "Secret openai is not mounted: put it at "),
        (KEYED, lambda d: put(d / "openai" / "OPENAI_API_KEY", "two\nlines\n"), "no usable key"),
        (KEYED, lambda d: put(d / "openai" / "OPENAI_API_KEY", ""), "a file OPENAI_API_KEY, or a"),
        (KEYED, lambda d: put(d / "openai" / "key", "sk-x\n"), None),
        (TLS, lambda _: None, "Secret own-ca is not mounted"),
        (TLS, lambda d: put(d / "own-ca" / "ca.pem", "x"), "Secret own-ca has no ca.crt"),
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
    assert told == "Secret openai is not mounted: start with --secrets DIR"


def test_r67_what_is_mended_is_seen(tmp_path: Path) -> None:
    clock = Clock()
    credentials = Credentials(tmp_path, clock.seconds)
    assert credentials.why_missing(KEYED)
    put(tmp_path / "openai" / "key", "sk-x\n")
    clock.advance(LOOK_S)
    assert credentials.why_missing(KEYED) is None
