"""Whether what a network policy opens was open before: what narrows is no widening."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from typing import Any

from attrs import frozen

from pulumi_lockgate.manifests.openings import EVERYWHERE, Opening, Peer, Port, open_block


@frozen
class Fact:
    """One port to one peer. `port` None: every port; `peer` None: anybody."""

    port: Port | None
    peer: Peer | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {"port": self.port, "peer": self.peer}


def facts_of(openings: Iterable[Opening]) -> list[Fact]:
    """Return openings as facts, each once."""
    found: list[Fact] = []
    for opening in openings:
        for port in opening.ports or (None,):
            for peer in (None,) if opening.peers is None else opening.peers:
                fact = Fact(port, peer)
                if fact not in found:
                    found.append(fact)
    return found


def was_open(before: Iterable[Fact], now: Fact) -> bool:
    """Whether all that `now` opens was open by one of `before`; a name, wherever it leads."""
    same = [fact.peer for fact in before if fact.port in (None, now.port)]
    if any(_covers(peer, now.peer) for peer in same):
        return True
    return now.peer is not None and "fqdn" in now.peer and _all_public(same)


def _covers(old: Peer | None, new: Peer | None) -> bool:
    if old is None:
        return True
    if new is None:
        return False
    if "ipBlock" in old and "ipBlock" in new:
        return _holds(old["ipBlock"], new["ipBlock"])
    if "fqdn" in old or "ipBlock" in old or old.keys() - {"namespaceSelector", "podSelector"}:
        return dict(old) == dict(new)
    known = ("namespaceSelector", "podSelector")
    return not new.keys() - set(known) and all(_selects(old, new, key) for key in known)


def _selects(old: Peer, new: Peer, key: str) -> bool:
    """Whether a selector takes all that another one does; one that is absent takes its own."""
    if key not in old or key not in new:
        return key not in old and (key == "podSelector" or key not in new)
    mine, its = old[key], new[key]
    if mine.keys() | its.keys() > {"matchLabels"}:
        return bool(mine == its)
    wanted: Mapping[str, str] = mine.get("matchLabels", {})
    return bool(wanted.items() <= its.get("matchLabels", {}).items())


def _holds(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether every address of a block was in another one, and not among what that left out."""
    outer, inner = _network(old["cidr"]), _network(new["cidr"])
    if outer.version != inner.version or not inner.subnet_of(outer):
        return False
    still = [_network(one) for one in new.get("except", ())]
    closed = [_network(one) for one in old.get("except", ())]
    return all(
        not one.overlaps(inner) or any(one.subnet_of(other) for other in still) for one in closed
    )


def _all_public(peers: list[Peer | None]) -> bool:
    """Whether every public address was open: then so was any that a name can lead to.

    One that leads to a private address is refused by the proxy when it connects.
    """
    blocks = [peer["ipBlock"] for peer in peers if peer is not None and "ipBlock" in peer]
    public = [open_block(one, goes_out=True)["ipBlock"] for one in EVERYWHERE]
    return all(any(_holds(block, one) for block in blocks) for one in public)


def _network(block: str) -> Any:
    return ip_network(block)
