"""Queries about requests, and the request that answers one."""

from collections.abc import Iterable

from attrs import frozen

from pulumi_lockgate.proof.literals import Atom, Clause, Conditions
from pulumi_lockgate.proof.route_points import EarlierRules, RoutePoint


@frozen
class Query:
    """Asks for a request for which all of `wants` hold and none of `refuses` does."""

    wants: Conditions = ()
    refuses: tuple[EarlierRules | None, ...] = ()

    def __and__(self, more: "Query") -> "Query":
        """Return the query for both at once."""
        return Query(self.wants + more.wants, self.refuses + more.refuses)


@frozen
class Request:
    """An answer: the atoms of one request, without patterns, and the model that it asks for."""

    atoms: frozenset[Atom]
    model: str


def taken_by(point: RoutePoint) -> Query:
    """Return the query for requests that `point` takes."""
    return Query(point.conditions, (point.earlier,))


def having(*clauses: Clause) -> Query:
    """Return the query for requests of which all `clauses` hold."""
    return Query(clauses)


def refusing(conditions: Iterable[Conditions]) -> Query:
    """Return the query for requests of which none of `conditions` holds."""
    earlier: EarlierRules | None = None
    for one in conditions:
        earlier = EarlierRules(one, earlier)
    return Query((), (earlier,))


def lacking(*clauses: Clause) -> Query:
    """Return the query for requests of which none of `clauses` holds."""
    return refusing((clause,) for clause in clauses)
