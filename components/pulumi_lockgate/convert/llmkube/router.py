"""Imports LLMKube's ModelRouter, and lists every difference.

The promise: a request that LLMKube keeps off cloud backends is kept off by what is written, read as
LLMKube reads it. The numbers are those of docs/guides/import.md.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.document import Node, from_plain
from lockgate.policy.reading.load import STACK_KEY
from lockgate.policy.reading.problem import PolicyRefusedError, Problem

from pulumi_lockgate.convert.difference import Imported, inside
from pulumi_lockgate.convert.llmkube import backends, router_wide, rules
from pulumi_lockgate.convert.llmkube.draft import Draft, begin
from pulumi_lockgate.convert.llmkube.manifest import read_manifest
from pulumi_lockgate.convert.salvage import refuse, salvaged, without
from pulumi_lockgate.convert.tiers import without_a_backend
from pulumi_lockgate.stack.settings import read_stack_tree


@frozen
class Point:
    """One step of the import, with its number in docs/guides/import.md; several may share one."""

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
    Point(12, router_wide.beside),
    Point(1, router_wide.readings),
)


def import_router(
    documents: tuple[Node, ...],
    name: str,
    tiers: Mapping[str, str] | None = None,
    litellm_url: str | None = None,
) -> Imported:
    """Return the ModelRouter in the file `name` as a stack's config.

    PolicyRefusedError where it is no such manifest; what cannot be carried is among the
    differences instead.
    """
    source = read_manifest(documents, name)
    draft = begin(source, tiers, litellm_url)
    for point in POINTS:
        point.apply(draft)
    _unknown_tiers(draft)
    config = _loadable(draft, {**draft.config, STACK_KEY: draft.router()})
    places = [path for path, *_ in draft.pairs()] + [rule.path for rule in draft.rules]
    return Imported(name, config, draft.notes.differences(source.line_of, places))


def load_imported(imported: Imported) -> LoadedPolicy:
    """Return the policy of an import; PolicyRefusedError has what could not be carried."""
    refused = tuple(p for p in imported.refused if not p.path.startswith(router_wide.BESIDE))
    if refused or not imported.config:
        raise PolicyRefusedError(imported.source, refused)
    return load_written(imported)


def load_written(imported: Imported) -> LoadedPolicy:
    """Return the policy of what an import wrote, whatever it left out."""
    return read_stack_tree(from_plain(imported.config), "", imported.source).policy


def _unknown_tiers(draft: Draft) -> None:
    names = [backend.name for backend in draft.origin.backends]
    for name in without_a_backend(draft.tiers, names):
        message = f"--tier names no backend {name!r}"
        draft.notes.refused("spec.backends", message, "use one of " + ", ".join(names))


def _loadable(draft: Draft, config: dict[str, Any]) -> dict[str, Any]:
    """Return `config` without what was refused and what does not load, once at each place."""
    router = config[STACK_KEY]
    refused = draft.notes.refused_paths
    for path, theirs, _ in list(draft.pairs()):
        if any(inside(other, [path]) for other in refused):
            without(router, theirs.name)
    for rule in draft.standing():
        if any(inside(other, [rule.path]) for other in refused):
            refuse(rule.out)
    if not router["backends"]:
        if not draft.origin.backends:
            draft.notes.refused("spec.backends", "no backend: nothing could serve", "add one")
        return {}
    names = {id(b): f"spec.backends[{n}]" for n, b in enumerate(draft.backends)}

    def left_out(problem: Problem) -> None:
        prefix = f"{STACK_KEY}."
        ours = problem.path.removeprefix(prefix)
        path = draft.place_of(ours) if problem.path.startswith(prefix) else "metadata"
        place = re.match(r"backends\[([0-9]+)\]", ours)
        if place is not None:
            backend = router["backends"][int(place[1])]
            path = names.get(id(backend), path) + ours.removeprefix(place[0])
        if not inside(path, draft.notes.refused_paths):
            draft.notes.refused(path, problem.message, problem.suggestion)

    return salvaged(config, draft.source.name, left_out)
