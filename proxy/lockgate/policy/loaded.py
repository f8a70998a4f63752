"""A policy that loaded: its spec, the bytes that drive a proxy, and their digest."""

from collections.abc import Mapping

from attrs import field, frozen

from lockgate.policy.spec.model_router import RouterSpec


@frozen
class LoadedPolicy:
    """A policy that loaded, as types and as the bytes that drive a proxy.

    `json` is the canonical policy.json; `digest` is ``sha256:`` and its SHA-256 in hex.
    `lines` has the line in the file (from 1) of each path like ``rules[2].route``; no part of what
    the policy means.
    """

    spec: RouterSpec
    json: bytes
    digest: str
    lines: Mapping[str, int] = field(factory=dict, eq=False, repr=False)

    def line_of(self, path: str) -> int | None:
        """Return the line of `path`, or of the nearest thing around it; None without a file."""
        return nearest_line(self.lines, path)


def nearest_line(lines: Mapping[str, int], path: str) -> int | None:
    """Return the line of `path` in `lines`, or of the nearest thing around it."""
    while path and path not in lines:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return lines.get(path)
