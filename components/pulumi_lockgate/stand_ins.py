"""Values that are not known yet, and what stands in for them while the rest is proved.

The proof asks where a request may go: by tier, label, rule and order. It does not ask for an
address, a model's name or a Secret's; so a policy is proved with stand-ins for these, and whoever
reads the verdict sees which they were. Where a value that decides is not known, nothing is
proved, and the verdict says so.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from attrs import evolve, frozen
from lockgate.policy.reading.document import Member, Node

URL: Final = "https://value-{n}.lockgate-unknown.svc"
"""An address inside, which a backend of either tier may have."""
NAME: Final = "lockgate-unknown-{n}"
IMAGE: Final = "lockgate-unknown:{n}"
_BY_PATH: Final = {
    "namespace": NAME,
    "lockgate:namespace": NAME,
    "lockgate:namespace.name": NAME,
    "litellmUrl": URL,
    "lockgate:litellmUrl": URL,
    "backends[].external.url": URL,
    "backends[].external.model": NAME,
    "backends[].external.credentialsSecretRef.name": NAME,
    "backends[].inferenceServiceRef.name": NAME,
    "backends[].inferenceServiceRef.namespace": NAME,
    "backends[].serviceRef.name": NAME,
    "backends[].serviceRef.namespace": NAME,
    "backends[].servedModel": NAME,
    "backends[].tls.caSecretRef.name": NAME,
    "backends[].tls.clientCertSecretRef.name": NAME,
    "proxy.image": IMAGE,
    "proxy.imagePullSecrets[].name": NAME,
}
_INDEX: Final = re.compile(r"\[[0-9]+\]")
_ADDRESSES: Final = (
    "litellmUrl",
    "lockgate:litellmUrl",
    "namespace",
    "lockgate:namespace",
    "lockgate:namespace.name",
    "backends[].external.url",
    "backends[].inferenceServiceRef.name",
    "backends[].inferenceServiceRef.namespace",
    "backends[].serviceRef.name",
    "backends[].serviceRef.namespace",
)
"""What the network policy is made of."""


@frozen
class Missing:
    """One value that is not known. `text` stands in for it, None where nothing can."""

    path: str
    text: str | None
    line: int | None = None


def missing(path: str, number: int, line: int | None = None) -> Missing:
    """Return what stands for the value at `path`, the `number`-th that is not known."""
    pattern = _BY_PATH.get(_plain(path)) or _of_model(path)
    return Missing(path, None if pattern is None else pattern.format(n=number), line)


def decides(values: Iterable[Missing]) -> tuple[Missing, ...]:
    """Return those without which nothing can be proved."""
    return tuple(value for value in values if value.text is None)


def shapes_network(values: Iterable[Missing]) -> bool:
    """Whether the network policy cannot be written without them."""
    return any(_plain(value.path) in _ADDRESSES for value in values)


def _plain(path: str) -> str:
    """Return a path without indexes and without its place in a stack file."""
    return _INDEX.sub("[]", path.removeprefix("config.").removeprefix("lockgate:router."))


def _of_model(path: str) -> str | None:
    """Return the stand-in for a setting of a model server, whose name stands in the path."""
    if not path.startswith("lockgate:models."):
        return None
    return {"image": IMAGE, "modelRef": "pvc://" + NAME + "/{n}"}.get(path.rpartition(".")[2])


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of plain data that is neither a mapping nor a list, with its path."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list | tuple):
        for number, value in enumerate(tree):
            yield from leaves(value, f"{path}[{number}]")
    else:
        yield path, tree


def filled(tree: Any, values: Mapping[str, Any], path: str = "") -> Any:
    """Return plain data with `values` at their paths."""
    if path in values:
        return values[path]
    if isinstance(tree, Mapping):
        inner = f"{path}." if path else ""
        return {key: filled(value, values, f"{inner}{key}") for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [filled(value, values, f"{path}[{n}]") for n, value in enumerate(tree)]
    return tree


def without_secrets(node: Node, path: str, found: list[Missing]) -> Node:
    """Return a stack file's tree with stand-ins for each ``secure:`` value; `found` gets them.

    A secret that decides keeps its place as it is, for a reader that refuses it to say so.
    """
    if node.is_mapping and [member.key for member in node.value] == ["secure"]:
        value = missing(path, len(found) + 1, node.line)
        found.append(value)
        return node if value.text is None else Node(value.text, node.line)
    if node.is_mapping:
        members = (_member(member, path, found) for member in node.value)
        return evolve(node, value=tuple(members))
    if isinstance(node.value, tuple):
        items = enumerate(node.value)
        return evolve(
            node, value=tuple(without_secrets(n, f"{path}[{i}]", found) for i, n in items)
        )
    return node


def _member(member: Member, path: str, found: list[Missing]) -> Member:
    inner = f"{path}.{member.key}" if path else member.key
    return evolve(member, node=without_secrets(member.node, inner, found))
