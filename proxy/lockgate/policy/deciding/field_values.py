"""How the value of a header field is read: one way, for the proxy, for `explain` and for the proof.

Only SP and HTAB stand outside a value (RFC 9110, section 5.5). What else Python or a terminal calls
a space, U+00A0 and U+0085 above all, belongs to it.
"""

from collections.abc import Iterable

OUTER = " \t"
"""What is no part of a value where it stands outside."""


def stripped(value: str) -> str:
    """Return a field's value without what stands outside of it."""
    return value.strip(OUTER)


def tokens(values: Iterable[str]) -> list[str]:
    """Return the members of a field that is a list, from all its values, in lower case."""
    return [token.strip(OUTER).lower() for value in values for token in value.split(",")]
