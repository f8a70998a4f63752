"""Paths of a policy file, such as ``rules[2].route``, and how they lie to each other."""


def joined(prefix: str, path: str) -> str:
    """Return the path of `path` in the object at `prefix`; either may be empty."""
    return f"{prefix}.{path}" if prefix and path else prefix or path


def is_within(path: str, other: str) -> bool:
    """Whether `path` is, or lies in, `other`."""
    return path == other or path.startswith((f"{other}.", f"{other}["))
