"""The labels of a request: what its classification headers say, and what a typo comes to.

Every token of every field counts. A field that is there but empty, an empty token, a malformed one
or an unknown one is *unrecognised*: it stands for every sensitive label at once, so that a typo is
handled as the most sensitive thing there is.
"""

from collections.abc import Iterable

from lockgate.policy.deciding.decision import Labels
from lockgate.policy.deciding.field_values import tokens
from lockgate.policy.spec.model_router import Classification

NONE = Labels(frozenset(), unrecognised=False, sensitive=False)


def read_labels(fields: Iterable[str], classification: Classification) -> Labels:
    """Return the labels in the values of all classification header fields."""
    found = tokens(fields)
    if not found:
        return NONE
    known, sensitive = classification.known, classification.sensitive
    names = {token for token in found if token in known}
    unrecognised = len(names) < len(set(found))
    if unrecognised:
        names |= sensitive
    return Labels(
        names=frozenset(names),
        unrecognised=unrecognised,
        sensitive=bool(names & sensitive),
    )
