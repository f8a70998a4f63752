"""Says how many of something there are, one or more."""


def amount(count: int, one: str, more: str | None = None) -> str:
    """Return `count` with its noun: ``1 rule``, ``1,200 rules``; `more` is another plural."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"
