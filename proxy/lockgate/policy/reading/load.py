"""Loads a policy: a text or plain data becomes a `LoadedPolicy`, or every fault it has.

A text is a bare spec, or a Pulumi stack file whose `config` holds ``lockgate:router``; paths and
lines are those of the file.
"""

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any, Final

import attrs

from lockgate.policy.canonical import digest_of, policy_json
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.audit_faults import audit_faults
from lockgate.policy.reading.document import Member, Node, parse
from lockgate.policy.reading.invariant_faults import invariant_faults
from lockgate.policy.reading.nearest import nearest
from lockgate.policy.reading.network_faults import network_faults
from lockgate.policy.reading.paths import is_within, joined
from lockgate.policy.reading.placing import (
    Surroundings,
    placed,
    surroundings_of,
    without_an_address,
)
from lockgate.policy.reading.problem import PolicyRefusedError, Problem
from lockgate.policy.reading.proxy_faults import proxy_faults
from lockgate.policy.reading.site_faults import site_faults
from lockgate.policy.reading.structure import INVALID, Builder, TooManyError
from lockgate.policy.reading.suggestions import worded
from lockgate.policy.reading.validate import Fault, faults
from lockgate.policy.spec.fields import wire_name
from lockgate.policy.spec.model_router import RouterSpec

STACK_KEY: Final = "lockgate:router"
MOST: Final = {"rules": 2000, "backends": 500}
"""Twice what the proof and the growth bench are measured for."""
MAX_JSON_BYTES: Final = 1_000_000
"""Kubernetes takes ConfigMaps up to 1 MiB, names and annotations included."""
_MORE: Final = Problem("", None, "has more faults", f"only the first {Builder.MOST} are listed")
_KEYS: Final = tuple(wire_name(f) for f in attrs.fields(RouterSpec))


def load_policy(source: bytes, name: str) -> LoadedPolicy:
    """Load YAML or JSON; `name` stands in messages. PolicyRefusedError has every problem."""
    return load_documents(parse(source, name), name)


def load_documents(documents: tuple[Node, ...], name: str) -> LoadedPolicy:
    """Load what was parsed, as `load_policy` does."""
    if not documents:
        _refuse(name, None, "is empty", "write a policy, beginning with `backends:`")
    if any(_kind(document) == "ModelRouter" for document in documents):
        line = next(d.line for d in documents if _kind(d) == "ModelRouter")
        suggestion = f"run `lockgate import {name} --out Pulumi.NAME.yaml` and name that"
        _refuse(name, line, "is a ModelRouter manifest, not a policy", suggestion)
    if len(documents) > 1:
        _refuse(name, documents[1].line, "has more than one document", "keep one, without `---`")
    root, path = _spec_of(documents[0], name)
    loaded = load_tree(root, path, name)
    config = _member(documents[0], "config") if path else None
    return loaded if config is None else place(loaded, surroundings_of(config.node), path, name)


def compiled(spec: RouterSpec, lines: Mapping[str, int] | None = None) -> LoadedPolicy:
    """Return a spec that is already valid with its bytes and digest."""
    data = policy_json(spec)
    return LoadedPolicy(spec, data, digest_of(data), lines or {})


def _refuse(name: str, line: int | None, message: str, suggestion: str) -> Any:
    raise PolicyRefusedError(name, (Problem("", line, message, suggestion),))


def _kind(document: Node) -> object:
    kind = _member(document, "kind")
    return kind.node.value if kind else None


def _member(node: Node, key: str) -> Member | None:
    if not node.is_mapping:
        return None
    return next((member for member in node.value if member.key == key), None)


def _spec_of(document: Node, name: str) -> tuple[Node, str]:
    """Return the spec's node and its path: the document, or its place in a stack file."""
    config = _member(document, "config")
    router = _member(config.node, STACK_KEY) if config else None
    if router is not None:
        return router.node, f"config.{STACK_KEY}"
    if document.is_mapping and not any(_member(document, key) for key in _KEYS):
        _no_policy(document, config, name)
    return document, ""


def _no_policy(document: Node, config: Member | None, name: str) -> None:
    """Refuse what is neither a policy nor a stack file; say which of its keys is misspelt."""
    place, inside, wanted = (
        ("config.", config.node, STACK_KEY) if config else ("", document, "config")
    )
    for member in inside.value if inside.is_mapping else ():
        if nearest(member.key, [wanted]):
            problem = Problem(
                place + member.key,
                member.line,
                "is not a key of a stack file",
                f"did you mean {wanted}? write `{wanted}:`",
            )
            raise PolicyRefusedError(name, (problem,))
    suggestion = (
        f"a policy begins with `backends:`, a stack file has `{STACK_KEY}:` under `config:`"
    )
    _refuse(name, document.line, "is neither a policy nor a stack file", suggestion)


def load_tree(root: Node, path: str, name: str) -> LoadedPolicy:
    """Load a spec out of a tree; `path` is its place in the file `name`."""
    too_many = _too_many(root)
    if too_many:
        raise _refused(too_many, path, name)
    builder = Builder(RouterSpec)
    try:
        spec = builder.build(RouterSpec, root, "")
        found = [*worded(builder.refusals), *_meaningless(builder, spec, root)]
    except TooManyError:
        spec, found = INVALID, [*worded(builder.refusals), _MORE]
    if found:
        more = [_MORE] if len(found) > builder.MOST else []
        found = sorted(found[: builder.MOST], key=lambda p: p.line or 0)
        raise _refused([*found, *more], path, name)
    return _sized(compiled(spec, builder.lines), root.line, path, name)


def place(policy: LoadedPolicy, around: Surroundings, path: str, name: str) -> LoadedPolicy:
    """Return `policy` with the namespace of its model servers and the URL of the LiteLLM.

    `path` is its place in the file `name`. PolicyRefusedError says which backend has no address. So
    a stack has one digest, wherever it is read.
    """
    spec = placed(policy.spec, around)
    missing = [
        Problem(
            joined(path, f"backends[{number}].{at}"),
            policy.line_of(f"backends[{number}].external"),
            message,
            suggestion,
        )
        for number, (at, message, suggestion) in without_an_address(spec)
    ]
    if missing:
        raise PolicyRefusedError(name, tuple(missing))
    return recheck(policy, spec, path, name)  # a URL from the stack is held to the same rules


def recheck(policy: LoadedPolicy, spec: RouterSpec, path: str, name: str) -> LoadedPolicy:
    """Return `policy` with `spec` in its place, checked by every rule again but not read again.

    `spec` is the policy's own with values filled in. `path` and `name` are as for `load_tree`.
    """
    problems = [
        Problem(at, policy.line_of(at), message, suggestion)
        for at, message, suggestion in islice(_faults(spec), Builder.MOST)
    ]
    if problems:
        raise _refused(problems, path, name)
    return _sized(compiled(spec, policy.lines), None, path, name)


def _sized(policy: LoadedPolicy, line: int | None, path: str, name: str) -> LoadedPolicy:
    """Return `policy`; PolicyRefusedError where a ConfigMap would not hold it."""
    if len(policy.json) > MAX_JSON_BYTES:
        message = f"is {len(policy.json)} bytes as policy.json"
        suggestion = f"make it smaller: a ConfigMap holds {MAX_JSON_BYTES}"
        raise _refused([Problem("", line, message, suggestion)], path, name)
    return policy


def _faults(spec: RouterSpec) -> Iterator[Fault]:
    """Yield what a spec may not say although its types allow it."""
    return chain(
        faults(spec),
        audit_faults(spec),
        proxy_faults(spec),
        network_faults(spec),
        site_faults(spec),
        invariant_faults(spec),
    )


def _refused(problems: list[Problem], path: str, name: str) -> PolicyRefusedError:
    placed = (attrs.evolve(p, path=joined(path, p.path)) for p in problems)
    return PolicyRefusedError(name, tuple(placed))


def _too_many(root: Node) -> list[Problem]:
    """Return what has more entries than can be proved, before anything is built of them."""
    problems = []
    for key, most in MOST.items():
        member = _member(root, key)
        if member is None or member.node.is_mapping or not isinstance(member.node.value, tuple):
            continue
        count = len(member.node.value)
        if count > most:
            message = f"has {count} entries, more than can be proved"
            suggestion = f"write at most {most}; one pattern covers many models"
            problems.append(Problem(key, member.line, message, suggestion))
    return problems


def _meaningless(builder: Builder, spec: Any, root: Node) -> Iterator[Problem]:
    """Yield the problems of what was built; at most one more than is shown."""
    tiers = [p for p in _unstated_tiers(root) if p.path not in builder.reported]
    yield from tiers
    if spec is INVALID:
        return
    reported = builder.reported | {problem.path for problem in tiers}
    unreported = (
        row for row in _faults(spec) if not any(is_within(row[0], path) for path in reported)
    )
    for path, message, suggestion in islice(unreported, builder.MOST + 1):
        yield Problem(path, builder.line_of(path), message, suggestion)


def _unstated_tiers(root: Node) -> list[Problem]:
    """An external backend must state its tier: a default would be a guess about where data goes."""
    backends = _member(root, "backends")
    if backends is None or backends.node.is_mapping or not isinstance(backends.node.value, tuple):
        return []
    problems = []
    for number, backend in enumerate(backends.node.value):
        external = _member(backend, "external")
        if external is not None and _member(backend, "tier") is None:
            path = f"backends[{number}].tier"
            suggestion = (
                "write `tier: cloud`, or `tier: local` with an address inside or attestedLocal"
            )
            problems.append(
                Problem(
                    path, external.line, "is missing: an external backend must state it", suggestion
                )
            )
    return problems
