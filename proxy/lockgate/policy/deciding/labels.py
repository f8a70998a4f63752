"""The labels of a request: what its classification headers say, and what a typo comes to.

Every token of every field counts. A field that is there but empty, an empty token, a malformed one
or an unknown one is *unrecognised*: it stands for every sensitive label at once, so that a typo is
handled as the most sensitive thing there is.
"""

from collections.abc import Iterable

from lockgate.policy.deciding.decision import Labels
from lockgate.policy.spec.model_router import Classification

NONE = Labels(frozenset(), unrecognised=False, sensitive=False)


def read_labels(fields: Iterable[str], classification: Classification) -> Labels:
    """Return the labels in the values of all classification header fields."""
    tokens = [token.strip(" \t").lower() for value in fields for token in value.split(",")]
    if not tokens:
        return NONE
    known, sensitive = classification.known, classification.sensitive
    names = {token for token in tokens if token in known}
    unrecognised = len(names) < len(set(tokens))
    if unrecognised:
        names |= sensitive
    return Labels(
        names=frozenset(names),
        unrecognised=unrecognised,
        sensitive=bool(names & sensitive),
    )
