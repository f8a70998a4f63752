"""What a process may use is a share of what the kernel gives it, and never too little."""

from pathlib import Path

import pytest
from lockgate.server.process_limits import (
    LEAST_BYTES,
    UNLIMITED_BUDGET_BYTES,
    cgroup_limit,
    connection_limit,
    memory_budget,
)

MIB = 1 << 20


@pytest.mark.parametrize(
    ("stated", "limit", "workers", "budget"),
    [
        (64 * MIB, 256 * MIB, 1, 64 * MIB),
        (256 * MIB, None, 4, 64 * MIB),
        (1, None, 1, LEAST_BYTES),
        (None, None, 1, UNLIMITED_BUDGET_BYTES),
        (None, None, 4, UNLIMITED_BUDGET_BYTES // 4),
        (None, 1024 * MIB, 1, 696 * MIB),
        (None, 1024 * MIB, 2, 312 * MIB),
        (None, 100 * MIB, 1, LEAST_BYTES),
    ],
)
def test_a_budget_is_what_is_stated_or_a_share_of_the_limit(
    stated: int | None, limit: int | None, workers: int, budget: int
) -> None:
    assert memory_budget(stated, limit, workers) == budget


@pytest.mark.parametrize(
    ("second", "first", "limit"),
    [
        ("1048576", None, 1 << 20),
        ("max", "2097152", 2 << 20),
        ("max", None, None),
        (None, str((1 << 63) - 4096), None),  # version 1's word for none
        (None, None, None),
    ],
)
def test_a_cgroups_limit_is_read_in_either_version(
    tmp_path: Path, second: str | None, first: str | None, limit: int | None
) -> None:
    files = []
    for name, text in (("memory.max", second), ("memory.limit_in_bytes", first)):
        if text is not None:
            (tmp_path / name).write_text(text + "\n")
        files.append(str(tmp_path / name))
    assert cgroup_limit((files[0], files[1])) == limit


@pytest.mark.parametrize(("descriptors", "clients"), [(1024, 500), (400, 188), (64, 20), (8, 4)])
def test_each_client_may_need_a_descriptor_upward_too(descriptors: int, clients: int) -> None:
    assert connection_limit(descriptors) == clients
