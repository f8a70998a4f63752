"""Imports LLMKube's ModelRouter, and lists every difference.

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

from pulumi_lockgate.convert.difference import Imported, inside, problems_of
from pulumi_lockgate.convert.llmkube import backends, router_wide, rules
from pulumi_lockgate.convert.llmkube.draft import Draft, begin
from pulumi_lockgate.convert.llmkube.manifest import read_manifest
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
    config = {**draft.config, STACK_KEY: draft.router()}
    _unknown_tiers(draft)
    _refuse_unloadable(draft, config)
    return Imported(name, config, draft.notes.differences(source.line_of))


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


def _refuse_unloadable(draft: Draft, config: dict[str, Any]) -> None:
    """Refuse what our own loader refuses in the result, once at each place of the source."""
    refused, prefix = draft.notes.refused_paths, f"{STACK_KEY}."
    for problem in problems_of(config, draft.source.name):
        ours = problem.path
        path = draft.place_of(ours.removeprefix(prefix)) if ours.startswith(prefix) else "metadata"
        if not inside(path, refused) and not any(inside(other, [path]) for other in refused):
            draft.notes.refused(path, problem.message, problem.suggestion)
