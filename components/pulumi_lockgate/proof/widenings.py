"""What a change of policy lets out, or lets in: a list of sentences that is accepted as a whole.

Some widenings show in a class of requests that is routed differently (`diff`). The others stand in
settings that every request passes: what counts as local, which labels are sensitive, what of a
request goes along, which web pages may call, and where the evidence goes.
"""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any, Final, Literal

from attrs import asdict, frozen
from lockgate.policy.address import local_by
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.spec.backends import Backend
from lockgate.policy.spec.model_router import AuditLog

from pulumi_lockgate.proof.change import Change
from pulumi_lockgate.proof.servers import address_of, is_outside

WideningKind = Literal[
    "enforcer", "counts_as_local", "fewer_labels", "who_may_call", "more_of_the_request", "egress"
]
WORDS: Final[dict[WideningKind, str]] = {
    "enforcer": "the enforcer itself",
    "counts_as_local": "counts as local",
    "fewer_labels": "fewer labels",
    "who_may_call": "who may call",
    "more_of_the_request": "more of the request",
    "egress": "egress",
}
"""Each kind in words, in the order in which they are listed."""


@frozen
class Widening:
    """One thing that widens: `path` is its place in the new spec, `text` a sentence about it.

    Where a server is concerned: its `url`, and the `reason` that makes it local. `rules` are those
    that lead there, `labels` the labels of their requests.
    """

    kind: WideningKind
    path: str
    text: str
    url: str | None = None
    reason: str | None = None
    rules: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The line that is shown, and accepted."""
        by = f"; by {', '.join(self.rules)}" if self.rules else ""
        labels = f"; labels {', '.join(self.labels)}" if self.labels else ""
        return f"{WORDS[self.kind]}: {self.path}: {self.text}{by}{labels}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {**asdict(self), "line": self.line}


def listed(found: Iterator[Widening]) -> tuple[Widening, ...]:
    """Return widenings in the order in which they are shown, each once."""
    kinds = list(WORDS)
    return tuple(sorted(dict.fromkeys(found), key=lambda w: (kinds.index(w.kind), w.line)))


def of_changes(changes: tuple[Change, ...], new: LoadedPolicy) -> Iterator[Widening]:
    """Yield a widening for each class of requests that leads further out."""
    for change in changes:
        if change.kind != "WIDENS":
            continue
        met = [new.spec.backend(name) for name in change.met]
        words = [b for b in met if b.tier == "local"]
        yield Widening(
            kind="counts_as_local" if len(words) == len(met) else "egress",
            path=change.path,
            text=f"{change.reason} (before: {change.old_via})",
            url=", ".join(address_of(b) for b in met),
            reason=", ".join(_reason(b) for b in words) or None,
            rules=(change.new_via,),
            labels=change.labels,
        )


def of_settings(old: LoadedPolicy, new: LoadedPolicy) -> Iterator[Widening]:
    """Yield what widens whatever a request's way is."""
    yield from _local(old, new)
    yield from _private_ranges(old, new)
    yield from _labels(old, new)
    yield from _request(old, new)
    yield from _callers(old, new)
    before, after = (_records(one.spec.policy.audit_log) for one in (old, new))
    if before != after:
        text = f"audit records went to {before}, and go to {after}"
        yield Widening("enforcer", "policy.auditLog", text)


def _local(old: LoadedPolicy, new: LoadedPolicy) -> Iterator[Widening]:
    """Yield each server that counts as local now, and did not, or not for this reason."""
    for number, backend in enumerate(new.spec.backends):
        if backend.tier != "local":
            continue
        was = _was(backend, old)
        if was is None:
            continue
        rules, labels = _routes(new, backend.name)
        reason = _reason(backend)
        yield Widening(
            kind="counts_as_local",
            path=f"backends[{number}]",
            text=f"{backend.name} ({address_of(backend)}) {was}, and is local by {reason}",
            url=address_of(backend),
            reason=reason,
            rules=rules,
            labels=labels,
        )


def _was(backend: Backend, old: LoadedPolicy) -> str | None:
    """Return what a local backend's server was; None where nothing about it is new."""
    same = [b for b in old.spec.backends if address_of(b) == address_of(backend)]
    by = local_by(backend)
    if any(local_by(b) == by and (by != "attestation" or _same_reason(b, backend)) for b in same):
        return None
    if any(b.tier == "cloud" for b in same):
        return "was a cloud backend"
    if by == "itself":
        return None
    attested = [b for b in same if local_by(b) == "attestation"]
    if attested and by == "attestation":
        return f"was attested: {attested[0].attested_local}"
    if same:
        return f"was local by {_reason(same[0])}"
    named = [b for b in old.spec.backends if b.name == backend.name]
    return f"was at {address_of(named[0])}" if named else "was not there"


def _same_reason(old: Backend, new: Backend) -> bool:
    return old.attested_local == new.attested_local


def _reason(backend: Backend) -> str:
    by = local_by(backend)
    if by == "attestation":
        return f"attestation: {backend.attested_local}"
    return "proxy.privateRanges" if by == "privateRanges" else "its address"


def _private_ranges(old: LoadedPolicy, new: LoadedPolicy) -> Iterator[Widening]:
    known: Any = [ip_network(cidr) for cidr in old.spec.proxy.private_cidrs]
    for number, block in enumerate(new.spec.proxy.private_ranges):
        network: Any = ip_network(block.cidr)
        if not any(network.version == b.version and network.subnet_of(b) for b in known):
            yield Widening(
                "counts_as_local",
                f"proxy.privateRanges[{number}]",
                f"addresses in {block.cidr} count as local now: {block.why}",
                reason=block.why,
            )


def _labels(old: LoadedPolicy, new: LoadedPolicy) -> Iterator[Widening]:
    """Yield each label whose requests were sensitive, and are not."""
    before, after = (one.spec.policy.classification for one in (old, new))
    path = "policy.classification"
    if before.header_key.lower() != after.header_key.lower():
        text = f"labels were read from {before.header_key}, and are read from {after.header_key}"
        yield Widening("fewer_labels", f"{path}.headerKey", text)
    for label in sorted(after.known - after.sensitive):
        if label in before.sensitive:
            text = f"requests labelled {label} were sensitive, and are not"
        elif label not in before.known:
            text = f"requests labelled {label} counted as every sensitive label, and do not"
        else:
            continue
        yield Widening("fewer_labels", f"{path}.knownClassifications", text, labels=(label,))


def _request(old: LoadedPolicy, new: LoadedPolicy) -> Iterator[Widening]:
    """Yield what of a request goes further than before."""
    for number, backend in enumerate(new.spec.backends):
        if not is_outside(backend):
            continue
        same = [b for b in old.spec.backends if address_of(b) == address_of(backend)]
        known = {name.lower() for b in same for name in b.upward_headers}
        more = [name for name in backend.upward_headers if name.lower() not in known]
        if more:
            rules, labels = _routes(new, backend.name)
            yield Widening(
                "more_of_the_request",
                f"backends[{number}].upwardHeaders",
                f"{backend.name} ({address_of(backend)}) receives the client's {', '.join(more)}",
                url=address_of(backend),
                rules=rules,
                labels=labels,
            )
    before, after = (one.spec.policy.audit_log.include_request_body for one in (old, new))
    if after and not before:
        path = "policy.auditLog.includeRequestBody"
        yield Widening("more_of_the_request", path, "audit records hold the requests' bodies")


def _callers(old: LoadedPolicy, new: LoadedPolicy) -> Iterator[Widening]:
    known = old.spec.endpoint.cors.origins
    for number, origin in enumerate(new.spec.endpoint.cors.origins):
        if origin not in known:
            path = f"endpoint.cors.origins[{number}]"
            yield Widening("who_may_call", path, f"web pages of {origin} may call")


def _records(audit: AuditLog) -> str:
    return audit.sink if audit.file_path is None else f"{audit.sink} {audit.file_path}"


def _routes(policy: LoadedPolicy, backend: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the rules that name a backend, and the labels that these rules are for."""
    rules = [rule for rule in policy.spec.rules if backend in rule.route.backends]
    names = [f"rule {rule.name}" for rule in rules]
    if policy.spec.default_route == backend:
        names.append("default route")
    labels = {label for r in rules if r.match for label in r.match.data_classification}
    return tuple(names), tuple(sorted(labels))
