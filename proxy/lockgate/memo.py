"""What was worked out before is kept for the next time, within bounds."""

from typing import Generic, TypeVar, final

K = TypeVar("K")
V = TypeVar("V")


@final
class BoundedMemo(Generic[K, V]):
    """Keeps at most `bound` values, of `bound_bytes` in all where sizes are given.

    It forgets all of them when it is full: that is cheaper than to know which was used last, and
    what is asked for often is soon back.
    """

    def __init__(self, bound: int, bound_bytes: int = 0) -> None:
        self.bound = bound
        self.bound_bytes = bound_bytes
        self.size_bytes = 0
        self._kept: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K) -> V | None:
        """Return the value kept for `key`; None where there is none."""
        return self._kept.get(key)

    def keep(self, key: K, value: V, size_bytes: int = 0) -> None:
        """Keep `value` for `key`, whatever was kept for it before."""
        if len(self._kept) >= self.bound or self.size_bytes + size_bytes > self.bound_bytes:
            self._kept.clear()
            self.size_bytes = 0
        self._kept[key] = value
        self.size_bytes += size_bytes
