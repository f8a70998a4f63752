"""Imports LLMKube's ModelRouter: read with its meanings, written with ours, every difference said.

The promise: a request that LLMKube keeps off cloud backends is kept off by what is written, read as
LLMKube reads it. The numbers are those of docs/guides/import.md.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.document import Node, from_plain
from lockgate.policy.reading.load import STACK_KEY
from lockgate.policy.reading.problem import PolicyRefusedError

from pulumi_lockgate.convert.difference import Difference, Imported, inside
from pulumi_lockgate.convert.llmkube import backends, router_wide, rules
from pulumi_lockgate.convert.llmkube.draft import Draft, begin
from pulumi_lockgate.convert.llmkube.manifest import Source, read_manifest
from pulumi_lockgate.stack.settings import read_stack_tree


@frozen
class Point:
    """One thing that import does; several may share a number. They run in this order."""

    number: int
    apply: Callable[[Draft], None]


POINTS: Final = (
    Point(9, router_wide.only_the_proxy),
    Point(3, backends.tiers),
    Point(2, backends.addresses),
    Point(5, backends.private_addresses),
    Point(1, rules.never_matched),
    Point(1, rules.repeated),
    Point(6, rules.labels),
    Point(4, rules.fail_closed),
    Point(8, rules.shadows_to_cloud),
    Point(8, rules.ignored),
    Point(8, backends.ignored),
    Point(8, router_wide.ignored),
    Point(1, router_wide.deployment),
    Point(7, rules.timeouts),
    Point(10, backends.names),
    Point(11, backends.reports),
    Point(1, router_wide.readings),
)


def import_router(
    documents: tuple[Node, ...],
    name: str,
    tiers: Mapping[str, str] | None = None,
    litellm_url: str | None = None,
) -> Imported:
    """Import the ModelRouter among `documents`, which come from the file `name`.

    PolicyRefusedError where it is no such manifest; what cannot be carried is among the
    differences instead.
    """
    source = read_manifest(documents, name)
    draft = begin(source, tiers, litellm_url)
    for point in POINTS:
        point.apply(draft)
    config = {**draft.config, STACK_KEY: draft.router()}
    _unknown_tiers(draft)
    refused = [path for kind, path, *_ in draft.notes.told if kind == "refused"]
    for path, message, mend in _unloadable(draft, config):
        if not inside(path, refused) and not any(inside(told, [path]) for told in refused):
            draft.notes.refused(path, message, mend)
    return Imported(name, config, _differences(source, draft))


def load_imported(imported: Imported) -> LoadedPolicy:
    """Return the policy of an import; PolicyRefusedError has what could not be carried."""
    if imported.refused:
        raise PolicyRefusedError(imported.source, imported.refused)
    return read_stack_tree(from_plain(imported.config), "", imported.source).policy


def _unknown_tiers(draft: Draft) -> None:
    names = [backend.name for backend in draft.origin.backends]
    for name in draft.tiers:
        if name not in names:
            message = f"--tier names no backend {name!r}"
            draft.notes.refused("spec.backends", message, "use one of " + ", ".join(names))


def _unloadable(draft: Draft, config: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return what our own loader says of the result, at the places of the source."""
    try:
        read_stack_tree(from_plain(config), "", draft.source.name)
    except PolicyRefusedError as refused:
        inside = f"{STACK_KEY}."
        return [
            (
                draft.place_of(p.path.removeprefix(inside))
                if p.path.startswith(inside)
                else "metadata",
                p.message,
                p.suggestion,
            )
            for p in refused.problems
        ]
    return []


def _differences(source: Source, draft: Draft) -> tuple[Difference, ...]:
    """Return all of them, refused ones first; what is refused does not begin to act."""
    told = draft.notes.told
    refused = [path for kind, path, *_ in told if kind == "refused"]
    order = {"refused": 0, "begins to act": 1, "differs": 2}
    kept = [
        Difference(kind, path, source.line_of(path), message, mend)
        for kind, path, message, mend in told
        if kind != "begins to act" or not inside(path, refused)
    ]
    return tuple(sorted(kept, key=lambda difference: order[difference.kind]))
