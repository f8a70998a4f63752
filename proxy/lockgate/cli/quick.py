"""Serves a first policy that stands in no file: `lockgate serve --quick`."""

import os
import socket
from typing import Any, Final

import click

from lockgate.connections.credentials import usable_key
from lockgate.policy.reading.problem import UnusableInputError
from lockgate.policy.spec.backends import KEY_FILES
from lockgate.quickstart.first_policy import CLOUD_MODELS, Found, as_text, providers_in, spec_of
from lockgate.quickstart.proof import verdict
from lockgate.quickstart.servers import look, ports_of
from lockgate.quickstart.table import backend_lines, curl_lines, nothing_found
from lockgate.server.policy_file import HeldPolicy

Place = tuple[str, int]
_MORE_PORTS: Final = 20


def discover() -> Found:
    """Return what this machine has."""
    return Found(tuple(look(ports_of(os.environ))), providers_in(os.environ))


def first_spec(found: Found) -> dict[str, Any]:
    """Return a spec for what was found, and show it as a table on stderr.

    UnusableInputError where nothing was found.
    """
    if found.is_empty:
        raise UnusableInputError(nothing_found([KEY_FILES[name] for name in CLOUD_MODELS]))
    spec = spec_of(found)
    for line in backend_lines(spec, found):
        click.echo(line, err=True)
    return spec


def quick_policy(listen: Place) -> tuple[HeldPolicy, dict[str, str]]:
    """Return a policy for what this machine has, and the keys of its Secrets.

    Shows both, the verdict and three commands on stderr. UnusableInputError where nothing was found
    or the policy is not proved.
    """
    found = discover()
    spec = first_spec(found)
    text = as_text(spec, "made by `lockgate serve --quick`")
    said = verdict(text)
    click.echo(said.text, err=True)
    if said.status:
        raise UnusableInputError("the policy is not proved, so nothing is served")
    click.echo("try:", err=True)
    for line in curl_lines(spec, "http://{}:{}/v1".format(*listen)):
        click.echo(f"  {line}", err=True)
    return HeldPolicy(text.encode()), _keys(found)


def _keys(found: Found) -> dict[str, str]:
    """Return the key of each Secret."""
    values = {s: usable_key(os.environ[v].encode()) for s, v in found.keys.items()}
    return {secret: key for secret, key in values.items() if key is not None}


def free_place(place: Place) -> Place:
    """Return `place`, or the first port after it on which nobody listens."""
    host, first = place
    for port in range(first, first + _MORE_PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return host, port
    return place
