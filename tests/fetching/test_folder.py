"""A model's folder: filled once, whole or not at all, by one of those that want it."""

import json
import os
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from attrs import evolve
from lockgate.fetching import folder as folders
from lockgate.fetching.asking import Asking, FetchError
from lockgate.fetching.download import Fetcher
from lockgate.fetching.folder import LOCK, MARK, Wanted, bring
from lockgate.fetching.listing import Place
from lockgate.fetching.source import read_source

from tests.fetching.shelf import Shelf, sha256
from tests.fetching.test_huggingface import COMMIT, entry

DATA = {"config.json": b"{}", "a.gguf": b"one" * 10_000, "b/c.gguf": b"two" * 10_000}


@pytest.fixture
def hub(server: Shelf) -> Shelf:
    """A hub whose repository has `DATA`, as it is at the time of asking."""
    data = dict(DATA)

    def answer(handler: Any) -> bool:
        if "/revision/" in handler.path:
            handler.give(200, json.dumps({"sha": COMMIT}).encode())
        elif "/tree/" in handler.path:
            tree = [entry(name, one) for name, one in data.items()]
            handler.give(200, json.dumps(tree).encode())
        else:
            server.files = {f"/o/r/resolve/{COMMIT}/{name}": one for name, one in data.items()}
            return False
        return True

    server.answers.append(answer)
    server.data = data  # type: ignore[attr-defined]
    return server


def place(hub: Shelf) -> Place:
    return Place(Asking(timeout_s=5), {}, hub.url)


WANTED = Wanted(read_source("hf://o/r"))


def got(hub: Shelf) -> list[str]:
    return [path.rpartition(f"{COMMIT}/")[2] for _, path, _ in hub.asked if "/resolve/" in path]


def test_every_file_comes_once(hub: Shelf, fetcher: Fetcher, folder: Path, said: list[str]) -> None:
    bring(WANTED, folder, place(hub), fetcher)
    for name, data in DATA.items():
        assert (folder / name).read_bytes() == data
    assert got(hub) == list(DATA)
    assert said[0] == "hf://o/r: 3 files, 0.1 MB, 3 to fetch"
    assert said[1] == "config.json: 0.0 MB, verified by its git sum"

    hub.asked.clear()
    bring(WANTED, folder, place(hub), fetcher)
    assert hub.asked == []  # the hub may be away
    assert "is there already" in said[-1]


def test_an_unfinished_one_is_finished(hub: Shelf, fetcher: Fetcher, folder: Path) -> None:
    hub.cut_at = [10**9, 10**9, 10**9, 10**9, 500, 0, 0, 0, 0, 0, 0, 0, 0]
    with pytest.raises(FetchError, match="given up"):
        bring(WANTED, folder, place(hub), fetcher)
    assert not json.loads((folder / MARK).read_text())["whole"]
    hub.asked.clear()
    hub.cut_at.clear()
    bring(WANTED, folder, place(hub), fetcher)
    assert got(hub) == ["b/c.gguf"]
    assert [h.get("range") for _, p, h in hub.asked if "c.gguf" in p] == ["bytes=500-"]
    assert json.loads((folder / MARK).read_text())["whole"]


def test_what_moved_meanwhile_is_fetched_again(hub: Any, fetcher: Fetcher, folder: Path) -> None:
    hub.cut_at = [10**9, 10**9, 10**9, 10**9] + [0] * 20
    with pytest.raises(FetchError):
        bring(WANTED, folder, place(hub), fetcher)
    hub.data["a.gguf"] = b"new" * 10_000
    hub.asked.clear()
    hub.cut_at.clear()
    bring(WANTED, folder, place(hub), fetcher)
    assert got(hub) == ["a.gguf", "b/c.gguf"]
    assert (folder / "a.gguf").read_bytes() == b"new" * 10_000


@pytest.mark.parametrize("spoilt", ["gone", "short", "mark"])
def test_what_was_spoilt_is_mended(hub: Shelf, fetcher: Fetcher, folder: Path, spoilt: str) -> None:
    bring(WANTED, folder, place(hub), fetcher)
    if spoilt == "gone":
        (folder / "a.gguf").unlink()
    elif spoilt == "short":
        os.truncate(folder / "a.gguf", 7)
    else:
        (folder / MARK).write_text("{")
    bring(WANTED, folder, place(hub), fetcher)
    assert {name: (folder / name).read_bytes() for name in DATA} == DATA


def test_of_several_one_fetches_and_the_others_wait(
    hub: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_LOOK_S", 0.01)
    lines: list[str] = []
    together = Barrier(4)

    def one() -> None:
        fetcher = Fetcher(Asking(timeout_s=5), lines.append)
        together.wait()
        bring(WANTED, folder, place(hub), fetcher)

    threads = [Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got(hub) == list(DATA)
    assert sum("is there already" in line for line in lines) == 3


def test_a_disk_without_locks_gets_its_files_all_the_same(
    hub: Shelf, fetcher: Fetcher, folder: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(folders.fcntl, "flock", unsupported)
    bring(WANTED, folder, place(hub), fetcher)
    assert (folder / "a.gguf").read_bytes() == DATA["a.gguf"]
    assert "its disk has no locks" in said[0]
    left = {path.name for path in folder.iterdir()}
    assert left == {"config.json", "a.gguf", "b", MARK, LOCK}


def test_a_file_that_must_be_among_them(hub: Shelf, fetcher: Fetcher, folder: Path) -> None:
    with pytest.raises(FetchError, match=r"no file 'q\.gguf'; it has: a\.gguf, b/c\.gguf, config"):
        bring(evolve(WANTED, file="q.gguf"), folder, place(hub), fetcher)
    bring(evolve(WANTED, file="b/c.gguf"), folder, place(hub), fetcher)


def test_a_sum_is_of_one_file(hub: Shelf, fetcher: Fetcher, folder: Path) -> None:
    with pytest.raises(FetchError, match="is 3 files, and one sha256"):
        bring(evolve(WANTED, sha256="0" * 64), folder, place(hub), fetcher)
    one = Wanted(read_source("hf://o/r/a.gguf"), sha256(b"what the stack says"))
    with pytest.raises(FetchError, match="was to come"):
        bring(one, folder, place(hub), fetcher)
    assert not (folder / "a.gguf").exists()
    bring(evolve(one, sha256=sha256(DATA["a.gguf"])), folder, place(hub), fetcher)
