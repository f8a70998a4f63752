"""One file to fetch: where it is, how long it is, what its bytes must add up to."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, Literal

from attrs import evolve, frozen

from lockgate.fetching.asking import FetchError

Algorithm = Literal["sha256", "git", "md5"]
"""`git`: the SHA-1 of a blob, which is over its length too."""


def _nothing() -> Mapping[str, str]:
    return {}


@frozen
class RemoteFile:
    """A file. `path` is where it comes to lie; `secret` gives the headers of each request.

    `size` in bytes and `digest` as hex are what it is verified by, as far as they are known.
    """

    path: str
    url: str
    size: int | None = None
    algorithm: Algorithm | None = None
    digest: str | None = None
    headers: Mapping[str, str] = {}
    secret: Callable[[], Mapping[str, str]] = _nothing

    def verified_by(self, algorithm: Algorithm, digest: str) -> "RemoteFile":
        """Return it with another sum to be verified by."""
        return evolve(self, algorithm=algorithm, digest=digest)

    def summing(self) -> Any:
        """Return a hash, to be updated with the file's bytes, whose hexdigest is `digest`."""
        if self.algorithm == "git":
            return hashlib.sha1(f"blob {self.size}\0".encode(), usedforsecurity=False)
        if self.algorithm == "md5":
            return hashlib.md5(usedforsecurity=False)
        return hashlib.sha256()


def inside(path: str, where: str) -> str:
    """Return a path that a place named, which must lie below the folder it is written to."""
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts or "\0" in path or "\\" in path:
        raise FetchError(f"{where} names {path!r}, which is no path inside of it")
    if parts.name.startswith(".fetch"):
        raise FetchError(f"{where} names {path!r}, which is a name of our own")
    return str(parts)
