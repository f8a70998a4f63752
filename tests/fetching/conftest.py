"""A shelf, and what fetches from it without waiting."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lockgate.fetching.asking import Asking
from lockgate.fetching.download import Fetcher

from tests.fetching.shelf import Shelf, shelf


@pytest.fixture
def server() -> Iterator[Shelf]:
    with shelf() as made:
        yield made


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def fetcher(said: list[str], waits: list[float]) -> Fetcher:
    return Fetcher(Asking(timeout_s=5), said.append, waits.append)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"
