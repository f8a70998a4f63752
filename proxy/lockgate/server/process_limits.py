"""What this process may use: read once, at the start, from the kernel."""

import resource
from pathlib import Path
from typing import Final

UNLIMITED_BUDGET_BYTES: Final = 512 << 20
"""The memory budget where neither the policy nor a cgroup says anything."""
BASE_BYTES: Final = 96 << 20
"""What a proxy needs besides: itself (about 55 MiB) and a thousand connections."""
SHARE: Final = 0.75
"""Of the rest: Python's allocator does not give everything back at once."""
LEAST_BYTES: Final = 33 << 20
"""One body of the largest size must fit."""
MOST_DESCRIPTORS: Final = 1 << 20
"""Linux's own bound (nr_open) where no other is set."""
RESERVED_DESCRIPTORS: Final = 24
"""Listeners, audit, policy, logs, epoll, and room for accepting one to close it."""

_V2: Final = "/sys/fs/cgroup/memory.max"
_V1: Final = "/sys/fs/cgroup/memory/memory.limit_in_bytes"


def cgroup_limit(files: tuple[str, ...] = (_V2, _V1)) -> int | None:
    """Return the memory limit of the process's cgroup in bytes, None where there is none."""
    for file in files:
        try:
            text = Path(file).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < 1 << 60:
            return int(text)
    return None


def memory_budget(stated: int | None, limit: int | None, workers: int = 1) -> int:
    """Return one process's budget in bytes: what the policy states, else a share of the limit."""
    if stated is not None:
        return max(stated // workers, LEAST_BYTES)
    if limit is None:
        return UNLIMITED_BUDGET_BYTES // workers
    return max(int((limit / workers - BASE_BYTES) * SHARE), LEAST_BYTES)


def raise_descriptors() -> tuple[int, int]:
    """Raise the soft limit of descriptors to the hard one; return it before and after.

    The soft one is 1,024 in a shell, for the sake of select(2), which is not used here: a process
    that knows better may raise it itself (http://0pointer.net/blog/file-descriptor-limits.html).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        hard = soft  # not allowed here: the soft one holds
    return soft, MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard


def connection_limit(descriptors: int | None = None) -> int:
    """Return how many clients may be connected: each may need a descriptor upward too."""
    if descriptors is None:
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max((descriptors - RESERVED_DESCRIPTORS) // 2, 4)
