"""Reads the policy that a command is given: a policy file, a stack file, a stack's name, stdin.

A file is read once, up to a bound, and only as one version: one that is written to while it is
read is read again, and refused when that does not stop.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lockgate.cli.policies import STDIN, read_stdin
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.document import Node, bounded, parse
from lockgate.policy.reading.load import load_documents
from lockgate.policy.reading.problem import Problem, UnusableInputError

from pulumi_lockgate.convert.difference import Imported
from pulumi_lockgate.convert.llmkube.manifest import routers
from pulumi_lockgate.convert.llmkube.router import import_router, load_imported
from pulumi_lockgate.stack.files import policy_source
from pulumi_lockgate.stack.placing import loopback_notices
from pulumi_lockgate.stack.settings import PROJECT, Stack, read_stack_tree
from pulumi_lockgate.stand_ins import Missing

_TRIES: Final = 3


class UnreadableError(UnusableInputError):
    """A file cannot be read; the text says which and why."""


def load_named(named: str, note: Callable[[str], object] = str) -> LoadedPolicy:
    """Return the policy that `named` means, with the lines of its file.

    `note` gets a line for each difference between a ModelRouter manifest and its policy, and for
    each secret of a stack that its file does not show. A stack's
    policy is placed: namespaces and URLs that the stack knows are filled in, as the program does
    it, so that the digest is the one that is deployed. Raises UnreadableError, UnknownStackError,
    PolicyRefusedError.
    """
    return load_source(*read_named(named), note)


def read_named(named: str) -> tuple[bytes, str]:
    """Return the text that `named` means, and its file's name: a file, a stack, or - for stdin."""
    if named == STDIN:
        return read_stdin(), named
    path = policy_source(named)
    return read_whole(path), str(path)


def load_source(source: bytes, name: str, note: Callable[[str], object] = str) -> LoadedPolicy:
    """Return the policy in `source`: a policy file, a stack file, or a ModelRouter manifest."""
    documents = parse(source, name)
    imported = _imported(documents, name)
    if imported is not None:
        for difference in imported.differences:
            note(difference.render(name))
        return load_imported(imported)
    config = _config(documents)
    if config is None:
        return load_documents(documents, name)
    stack = read_stack_tree(config, "config", name)
    for line in loopback_notices(stack.policy.spec):
        note(f"warning: {name}: {line}")
    for secret in stack.missing:
        note(_hidden(secret).render(name))
    return stack.policy


def _hidden(secret: Missing) -> Problem:
    message = "is a secret, which a file does not show: a stand-in takes its place here"
    suggestion = "`pulumi preview` reads it, and its digest is the one that is deployed"
    return Problem(secret.path, secret.line, message, suggestion)


def load_stack(source: bytes, name: str) -> Stack:
    """Return everything that a stack file says; PolicyRefusedError has every fault, with lines."""
    documents = parse(source, name)
    config = _config(documents)
    if config is None:
        load_documents(documents, name)  # says better what it is when it is no policy either
    return read_stack_tree(config or Node((), None, is_mapping=True), "config", name)


def _imported(documents: tuple[Node, ...], name: str) -> Imported | None:
    return import_router(documents, name) if any(routers(documents)) else None


def _config(documents: tuple[Node, ...]) -> Node | None:
    """Return the ``config`` of a stack file, None when this is no stack file."""
    if len(documents) != 1 or not documents[0].is_mapping:
        return None
    found = next((m.node for m in documents[0].value if m.key == "config"), None)
    if found is None or not found.is_mapping:
        return None
    return found if any(m.key.startswith(f"{PROJECT}:") for m in found.value) else None


def read_whole(path: Path) -> bytes:
    """Return the bytes of a file as one version of it; at most one more than may be loaded."""
    try:
        for _ in range(_TRIES):
            with path.open("rb") as file:
                before = os.fstat(file.fileno())
                source = bounded(file)
                after = os.fstat(file.fileno())
            still = (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
            if still or not stat.S_ISREG(before.st_mode):  # a pipe has one version by nature
                return source
    except OSError as problem:
        raise UnreadableError(f"{path}: cannot be read: {problem.strerror}") from None
    suggestion = "write it elsewhere and rename it over this one, then try again"
    raise UnreadableError(f"{path}: changes while it is read; {suggestion}")
