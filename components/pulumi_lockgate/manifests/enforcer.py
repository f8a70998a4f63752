"""What enforces a policy on a cluster, read off what is rendered for it.

`policy.json` says nothing of the image that reads it, nor of the Service and the NetworkPolicy
around it. A deployment puts these facts out beside its policy, so that the next one is compared.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from attrs import asdict, fields, frozen
from lockgate.policy.loaded import LoadedPolicy

from pulumi_lockgate.manifests.covering import Fact, facts_of, was_open
from pulumi_lockgate.manifests.openings import (
    Opening,
    egress,
    ingress,
    peer_in_words,
    port_in_words,
)
from pulumi_lockgate.manifests.router import Router, router_manifests

Change = tuple[Literal["enforcer", "who_may_call"], str, str]
"""(kind of widening, place in the spec, what was and what is)."""
_REACH: Final = ("ClusterIP", "NodePort", "LoadBalancer")
_OWN_PACE: Final = frozenset({"--drain-delay", "--drain-grace"})
"""Arguments that change how a pod ends, and nothing of what it enforces."""


@frozen
class Enforcer:
    """Image, arguments and security context of the proxy's pods, and who reaches them and whom.

    Each text of `ingress` and `egress` is a fact of `covering` as JSON.
    """

    image: str
    args: tuple[str, ...]
    replicas: int
    security: str
    service: str
    ingress: tuple[str, ...]
    egress: tuple[str, ...]

    def to_text(self) -> str:
        """Return it as one line of JSON, as a stack puts it out."""
        return json.dumps(asdict(self), separators=(",", ":"))


def enforcer_of(policy: LoadedPolicy) -> Enforcer:
    """Return what enforces `policy`: names and namespace of its objects do not matter."""
    manifests = router_manifests(Router("router", "", policy))
    pod = manifests["deployment"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    security = {
        "pod": pod["securityContext"],
        "container": container["securityContext"],
        "token": pod["automountServiceAccountToken"],
    }
    return Enforcer(
        image=container["image"],
        args=tuple(container["args"]),
        replicas=policy.spec.proxy.least_replicas,
        security=_line(security),
        service=manifests["service"]["spec"]["type"],
        ingress=_texts(ingress(policy.spec)),
        egress=_texts(egress(policy.spec, "")),
    )


def read_enforcer(text: Any) -> Enforcer | None:
    """Return the facts in `text`, as `to_text` wrote them; None where they are not that."""
    try:
        known: dict[str, Any] = json.loads(text)
        values = {field.name: known[field.name] for field in fields(Enforcer)}
    except (TypeError, ValueError, KeyError):
        return None
    made: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return Enforcer(**made)


def changes(old: Enforcer, new: Enforcer) -> Iterator[Change]:
    """Yield what of the enforcer is another one, or opens more; what narrows is not among it."""
    if old.image != new.image:
        yield "enforcer", "proxy.image", f"the proxy's image was {old.image}, and is {new.image}"
    before, after = _argued(old.args), _argued(new.args)
    if before != after:
        gone, come = before - after, after - before
        said = [f"without {', '.join(sorted(gone))}"] if gone else []
        said += [f"with {', '.join(sorted(come))}"] if come else []
        yield "enforcer", "proxy", f"the proxy is started {' and '.join(said)}"
    if old.replicas and not new.replicas:
        yield "enforcer", "proxy.replicas", f"no proxy runs any more: replicas were {old.replicas}"
    if old.security != new.security:
        stated = f"was {old.security}, and is {new.security}"
        yield "enforcer", "proxy", f"the pods' security context {stated}"
    for way, place, known, opened in (
        ("egress", "backends", old.egress, new.egress),
        ("ingress", "endpoint.from", old.ingress, new.ingress),
    ):
        for text in _opened(known, opened):
            yield "enforcer", place, f"the NetworkPolicy opens {way}: {text}"
    if _REACH.index(new.service) > _REACH.index(old.service):
        yield "who_may_call", "endpoint.type", f"the Service was {old.service}, is {new.service}"


def _argued(args: tuple[str, ...]) -> frozenset[str]:
    """Return a command line as flags with their values, without those that are its own pace."""
    found: list[str] = []
    for arg in args:
        if arg.startswith("-") or not found:
            found.append(arg)
        else:
            found[-1] += f" {arg}"
    return frozenset(arg for arg in found if arg.split(" ")[0] not in _OWN_PACE)


def _texts(openings: tuple[Opening, ...]) -> tuple[str, ...]:
    return tuple(_line(fact.to_dict()) for fact in facts_of(openings))


def _opened(known: Iterable[str], texts: Iterable[str]) -> Iterator[str]:
    """Yield in words what was not open before, nor as a part of something else."""
    before = [fact for fact in map(_fact, known) if fact is not None]
    for text in texts:
        fact = _fact(text)
        if fact is None:
            if text not in known:
                yield text
        elif not was_open(before, fact):
            yield f"{port_in_words(fact.port)}, {peer_in_words(fact.peer)}"


def _fact(text: str) -> Fact | None:
    """Return a fact that was put out; None for what an earlier version said in words."""
    try:
        return Fact(**json.loads(text))
    except (TypeError, ValueError):
        return None


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(", ", ": "))
