"""Compares the ways that one class of requests takes under two policies."""

from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen
from lockgate.policy.address import local_by
from lockgate.policy.spec.backends import Backend

from pulumi_lockgate.proof.change import Kind
from pulumi_lockgate.proof.route_points import RoutePoint
from pulumi_lockgate.proof.servers import (
    Identity,
    address_of,
    details,
    identity,
    is_outside,
    key_of,
    route_words,
    share,
    shown,
)


@frozen(eq=False)
class Way:
    """A route point whose backends are read as servers. Two with one `key` are the same way."""

    point: RoutePoint
    stages: tuple[tuple[Backend, ...], ...]
    key: Any

    @property
    def outside(self) -> Mapping[Identity, Backend]:
        """The servers outside that requests can meet, by identity."""
        met = (b for b in self.point.chain if is_outside(b))
        return {identity(backend): backend for backend in met}

    @property
    def shares(self) -> Mapping[Identity, float]:
        """Which part of the requests each cloud backend is sent while nothing fails."""
        found: dict[Identity, float] = {}
        for backend in self.point.chain:
            if backend.tier == "cloud":
                one = identity(backend)
                found[one] = found.get(one, 0.0) + share(self.point, backend)
        return found

    @property
    def before(self) -> Mapping[Identity, frozenset[Identity]]:
        """Each cloud server with the local ones that must have failed before it is met."""
        found: dict[Identity, frozenset[Identity]] = {}
        failed: frozenset[Identity] = frozenset()
        for stage in self.stages:
            for backend in stage:
                if backend.tier == "cloud":
                    found.setdefault(identity(backend), failed)
            failed |= {identity(b) for b in stage if b.tier == "local"}
        return found


def way_of(point: RoutePoint) -> Way:
    """Return the way of the requests that `point` takes."""
    stages = stages_of(point)
    keys = tuple(frozenset(key_of(b) for b in stage) for stage in stages)
    way = Way(point, stages, None)
    return evolve(way, key=(keys, _sent(way)))


def stages_of(point: RoutePoint) -> tuple[tuple[Backend, ...], ...]:
    """Return a chain as groups: who is in one group may each be met first of it."""
    rule = point.rule
    own = [b for b in point.chain if rule is None or b.name in rule.route.backends]
    rest = [b for b in point.chain if b not in own]
    groups = [[b] for b in own]
    if rule is not None and rule.route.strategy == "weighted":
        groups = [[b for b in own if b.weight], *([b] for b in own if not b.weight)]
    elif rule is not None and rule.route.strategy == "shadow":
        groups = [own]  # a copy goes out without any failure
    groups += [[b] for b in rest]
    return tuple(tuple(group) for group in groups if group)


def kind_of(was: Way, now: Way) -> tuple[Kind, str, tuple[Backend, ...]]:
    """Return whether `now` is wider or narrower than `was`, why, and the backends newly met."""
    wider = _wider(was, now)
    if wider is not None:
        return ("WIDENS", *wider)
    gone = _gone(was, now)
    if gone is not None:
        return "NARROWS", gone, ()
    old, new = was.before, now.before
    if any(new[one] - old.get(one, frozenset()) for one in new):
        return "NARROWS", "local backends stand before the cloud that did not", ()
    if _sent(now) < _sent(was):
        return "NARROWS", "a smaller share is sent to a cloud", ()
    return "CHANGED", "the same servers outside, another chain", ()


def _gone(was: Way, now: Way) -> str | None:
    """Say which backends outside are met no more; of their servers only what is true of them."""
    met = {identity(backend) for backend in now.point.chain}
    servers = {address_of(backend) for backend in now.point.chain}
    gone = [b for one, b in was.outside.items() if one not in met]
    out = [b for b in gone if address_of(b) not in servers]
    left = [b for b in gone if address_of(b) in servers]
    said = [f"{_named(out)} cannot be reached any more"] if out else []
    said += [f"{_named(left)} is not asked any more, another backend of its server is"] * bool(left)
    return "; ".join(said) or None


def _wider(was: Way, now: Way) -> tuple[str, tuple[Backend, ...]] | None:
    old, new = was.outside, now.outside
    added = [backend for one, backend in new.items() if one not in old]
    if added:
        return _added(added, was), tuple(added)
    sooner = [
        new[one] for one, failed in now.before.items() if was.before.get(one, frozenset()) - failed
    ]
    if sooner:
        return f"{_named(sooner)} is met before local backends that stood before it", tuple(sooner)
    if _sent(now) > _sent(was):
        larger = [new[one] for one, part in now.shares.items() if part > was.shares.get(one, 0.0)]
        parts = [
            f"{100 * now.shares[identity(b)]:.4g} % of these requests, and was sent "
            f"{100 * was.shares.get(identity(b), 0.0):.4g} %"
            for b in larger
        ]
        return f"{_named(larger)} is sent {' and '.join(parts)}", tuple(larger)
    return None


def _sent(way: Way) -> float:
    """Return which part of the requests is sent to a cloud while nothing fails."""
    return round(sum(way.shares.values()), 9)


def _added(added: list[Backend], was: Way) -> str:
    """Say which servers are new, which have kept only their name, and what makes them local."""
    before = {backend.name for backend in was.point.chain}
    same = {identity(backend) for backend in was.point.chain}
    new = [b for b in added if b.name not in before]
    moved = [b for b in added if b.name in before and identity(b) not in same]
    known = [b for b in added if identity(b) in same and b not in new]
    said = [f"{_named(new)} can be reached and could not"] if new else []
    said += [f"{_named(moved)} is not the backend that it was"] if moved else []
    said += [f"{_named(known)} was local by itself and is not any more"] if known else []
    for backend in added:
        by = local_by(backend)
        if by == "attestation":
            said.append(f"{backend.name} counts as local by attestation: {backend.attested_local}")
        elif by == "privateRanges":
            said.append(f"{backend.name} counts as local by proxy.privateRanges")
    return "; ".join(said)


def _named(backends: list[Backend]) -> str:
    return ", ".join(f"{b.name} ({address_of(b)})" for b in backends)


def told_apart(was: Way, now: Way) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return both chains in words that differ: what tells them apart is said, and no more."""
    old, new = list(was.point.chain), list(now.point.chain)
    texts = [shown(b) for b in old], [shown(b) for b in new]
    if texts[0] == texts[1]:
        for place, (before, after) in enumerate(zip(old, new, strict=True)):
            differing = _differing(details(before), details(after))
            for side, words in zip(texts, differing, strict=True):
                side[place] += words
    ways = route_words(was.point), route_words(now.point)
    if ways[0] != ways[1]:
        for side, words in zip(texts, ways, strict=True):
            if side:
                side[-1] += f", {words or 'in this order'}"
    return tuple(texts[0]), tuple(texts[1])


def _differing(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, str]:
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return tuple(  # type: ignore[return-value]
        "".join(f", {side.get(key) or 'none'}" for key in keys) for side in (old, new)
    )
