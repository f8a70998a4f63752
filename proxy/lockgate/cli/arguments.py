"""Types of command line values that several commands share."""

import ipaddress
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from lockgate.connections.credentials import usable_key
from lockgate.policy.spec.units import parse_duration


class HostPort(click.ParamType[tuple[str, int]]):
    """``HOST:PORT``, with brackets around an IPv6 address."""

    name = "host:port"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, int]:
        """Return (host, port)."""
        if isinstance(value, tuple):
            return value
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            self.fail(f"{value!r} is not HOST:PORT, like 127.0.0.1:8080", param, ctx)
        return host.strip("[]"), int(port)


class Address(click.ParamType[tuple[str, str]]):
    """``BACKEND=URL``."""

    name = "backend=url"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        """Return (backend, url)."""
        if isinstance(value, tuple):
            return value
        backend, _, url = str(value).partition("=")
        if not backend or not _is_place(url):
            self.fail(f"{value!r} is not BACKEND=URL, like local=http://127.0.0.1:9001", param, ctx)
        return backend, url


class Key(click.ParamType[tuple[str, str]]):
    """``SECRET=env:VAR`` or ``SECRET=@FILE``: where a key is, never the key itself.

    What was given is not repeated in a message, since it may be a key.
    """

    name = "secret=source"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        """Return (name of the Secret, key)."""
        if isinstance(value, tuple):
            return value
        secret, sign, source = str(value).partition("=")
        kind, place = ("env", source[4:]) if source.startswith("env:") else ("@", source[1:])
        if not sign or not secret or not place or (kind == "@" and source[0] != "@"):
            self.fail("write SECRET=env:VARIABLE or SECRET=@FILE, never the key itself", param, ctx)
        data = self._variable(place) if kind == "env" else self._file(place)
        if isinstance(data, str):
            self.fail(f"{secret}: {data}", param, ctx)
        key = usable_key(data)
        if key is None:
            where = f"the variable {place}" if kind == "env" else place
            why = "holds no key: it must be one line of printable ASCII"
            self.fail(f"{secret}: {where} {why}", param, ctx)
        return secret, key

    def _variable(self, name: str) -> bytes | str:
        """Return what the environment says, or what is wrong."""
        value = os.environb.get(name.encode())
        return f"the environment has no {name}" if value is None else value

    def _file(self, name: str) -> bytes | str:
        try:
            return Path(name).read_bytes()
        except OSError as problem:
            return f"{name} cannot be read: {problem.strerror}"


def _is_place(url: str) -> bool:
    """Whether `url` says a scheme of ours, a host, and a port that can be one."""
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port out of range, a broken address
        return False


def is_address(text: str) -> bool:
    """Whether `text` is a literal IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def parse_go_duration(ctx: Any, param: Any, value: str | None) -> float | None:
    """Read a Go duration; ``0s`` is none at all here."""
    if value is None or value in {"0", "0s"}:
        return None if value is None else 0.0
    try:
        return parse_duration(value)
    except ValueError as problem:
        raise click.BadParameter(str(problem), ctx, param) from problem
