"""One file: it goes on where it stopped, and what has a wrong sum never gets its name."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.fetching import download
from lockgate.fetching.asking import Asking, FetchError
from lockgate.fetching.download import TRIES, Fetcher, WrongError, amount, need_room
from lockgate.fetching.remote import RemoteFile, inside

from tests.fetching.shelf import Shelf, sha256, shelf

DATA = bytes(range(256)) * 4096


def remote(server: Shelf, data: bytes = DATA, **more: Any) -> RemoteFile:
    server.files.setdefault("/m.gguf", data)
    stated = {"size": len(data), "algorithm": "sha256", "digest": sha256(data), **more}
    return RemoteFile("m.gguf", f"{server.url}/m.gguf", **stated)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_file_comes_whole(server: Shelf, fetcher: Fetcher, folder: Path) -> None:
    assert fetcher.fetch(remote(server), folder) == len(DATA)
    assert (folder / "m.gguf").read_bytes() == DATA
    assert names(folder) == ["m.gguf"]


def test_what_is_cut_goes_on_where_it_stopped(
    server: Shelf, fetcher: Fetcher, folder: Path, said: list[str]
) -> None:
    server.cut_at = [100_000, 1, 200_000]
    fetcher.fetch(remote(server), folder)
    assert (folder / "m.gguf").read_bytes() == DATA
    assert server.ranges_asked("/m.gguf") == [
        None,
        "bytes=100000-",
        "bytes=100001-",
        "bytes=300001-",
    ]
    assert any("ended" in line and "again in" in line for line in said)


@given(st.lists(st.integers(0, len(DATA)), max_size=6), st.booleans(), st.booleans())
def test_however_it_is_cut_it_is_the_same(cuts: list[int], ranges: bool, known: bool) -> None:
    """With ranges and without, with a length known beforehand and without."""
    import tempfile

    with shelf() as server, tempfile.TemporaryDirectory() as made:
        server.cut_at, server.ranges = list(cuts), ranges
        fetcher = Fetcher(Asking(timeout_s=5), str, lambda _: None)
        fetcher.fetch(remote(server, size=len(DATA) if known else None), Path(made))
        assert (Path(made) / "m.gguf").read_bytes() == DATA
        assert names(Path(made)) == ["m.gguf"]


def test_what_another_run_began_is_gone_on_with(
    server: Shelf, fetcher: Fetcher, folder: Path
) -> None:
    folder.mkdir()
    (folder / ".fetch-m.gguf.fetch").write_bytes(DATA[:5000])
    fetcher.fetch(remote(server), folder)
    assert server.ranges_asked("/m.gguf") == ["bytes=5000-"]
    assert (folder / "m.gguf").read_bytes() == DATA


def test_what_is_whole_already_is_not_asked_for(
    server: Shelf, fetcher: Fetcher, folder: Path
) -> None:
    folder.mkdir()
    (folder / ".fetch-m.gguf.fetch").write_bytes(DATA)
    fetcher.fetch(remote(server), folder)
    assert server.asked == []


@pytest.mark.parametrize("begun", [b"x" * 5000, b"y" * len(DATA), b"z" * len(DATA) * 2])
def test_what_an_earlier_run_left_of_another_file_is_thrown_away(
    server: Shelf, fetcher: Fetcher, folder: Path, begun: bytes
) -> None:
    folder.mkdir()
    (folder / ".fetch-m.gguf.fetch").write_bytes(begun)
    fetcher.fetch(remote(server), folder)
    assert (folder / "m.gguf").read_bytes() == DATA


def test_a_wrong_sum_is_never_served(server: Shelf, fetcher: Fetcher, folder: Path) -> None:
    with pytest.raises(WrongError, match="was to come; it is removed"):
        fetcher.fetch(remote(server, digest=sha256(b"another")), folder)
    assert names(folder) == []
    server.cut_at = [70_000]  # and in two tries as well
    with pytest.raises(WrongError, match="was to come; it is removed"):
        fetcher.fetch(remote(server, digest=sha256(b"another")), folder)
    assert names(folder) == []


def test_more_than_was_said_is_refused(server: Shelf, fetcher: Fetcher, folder: Path) -> None:
    file = remote(server, DATA, size=len(DATA) - 1)
    with pytest.raises(WrongError, match="were to come"):
        fetcher.fetch(file, folder)
    assert names(folder) == []


def test_a_server_that_brings_nothing_is_given_up(
    server: Shelf, fetcher: Fetcher, folder: Path, waits: list[float]
) -> None:
    server.cut_at = [0] * 20
    with pytest.raises(FetchError, match=f"given up after {TRIES} tries"):
        fetcher.fetch(remote(server), folder)
    assert len(server.asked) == TRIES
    assert waits == [2, 4, 8, 16, 32, 60, 60]


def test_a_server_that_never_gets_further_is_given_up(
    server: Shelf, fetcher: Fetcher, folder: Path
) -> None:
    server.cut_at, server.ranges = [100_000] * 40, False
    with pytest.raises(FetchError, match="given up"):
        fetcher.fetch(remote(server), folder)
    assert len(server.asked) < 25


def test_a_server_that_is_busy_is_waited_for(
    server: Shelf, fetcher: Fetcher, folder: Path, waits: list[float]
) -> None:
    def busy(handler: Any) -> bool:
        if len(server.asked) < 3:
            handler.give(503, b"", **{"retry-after": "17"})
            return True
        return False

    server.answers.append(busy)
    fetcher.fetch(remote(server), folder)
    assert waits == [17, 17]


def test_a_file_that_is_another_one_meanwhile_begins_again(
    server: Shelf, fetcher: Fetcher, folder: Path
) -> None:
    """With nothing to verify the whole by, the two are never mixed."""
    etag = f'"{hashlib.md5(DATA).hexdigest()}"'
    file = remote(server, algorithm=None, digest=None, headers={"If-Match": etag})
    server.cut_at = [1000]
    server.answers.append(lambda _: server.files.update({"/m.gguf": DATA[::-1]}) or False)  # type: ignore[func-returns-value]
    with pytest.raises(FetchError, match="412"):
        fetcher.fetch(file, folder)
    assert names(folder) in ([], [".fetch-m.gguf.fetch"])


@pytest.mark.parametrize(
    ("status", "why"),
    [(401, "credentials"), (403, "forbids"), (404, "no such"), (418, "answers 418 to /m.gguf")],
)
def test_a_refusal_says_why_and_is_not_tried_again(
    server: Shelf, fetcher: Fetcher, folder: Path, status: int, why: str
) -> None:
    server.answers.append(lambda handler: bool(handler.give(status, b"") or True))
    with pytest.raises(FetchError, match=why):
        fetcher.fetch(remote(server), folder)
    assert len(server.asked) == 1


def test_how_far_it_is_is_said(
    server: Shelf, said: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "CHUNK", 100_000)
    now = iter(range(0, 1000, 4))
    fetcher = Fetcher(Asking(timeout_s=5), said.append, clock=lambda: next(now))
    fetcher.fetch(remote(server), folder)
    assert said[0] == "m.gguf: 0.3 MB of 1.0 MB, 0.0 MB/s, 30 s left"
    assert len(said) == 3


def test_credentials_stay_with_their_host(server: Shelf, fetcher: Fetcher, folder: Path) -> None:
    """A hub sends to a store whose own address is signed: a second signature would be refused."""
    with shelf() as store:
        store.files["/m.gguf"] = DATA

        def away(handler: Any) -> bool:
            if handler.path == "/renamed":
                return False
            place = "/renamed" if handler.path == "/m.gguf" else f"{store.url}/m.gguf"
            handler.give(302, b"", location=place)
            return True

        def on(handler: Any) -> bool:
            if handler.path == "/renamed":
                handler.give(307, b"", location=f"{store.url}/m.gguf")
                return True
            return False

        server.answers += [away, on]
        file = remote(server, secret=lambda: {"Authorization": "Bearer CANARY"})
        fetcher.fetch(file, folder)
        assert (folder / "m.gguf").read_bytes() == DATA
        assert [h.get("authorization") for _, _, h in server.asked] == ["Bearer CANARY"] * 2
        assert [h.get("authorization") for _, _, h in store.asked] == [None]


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../x", "a/../../x", "a\\b", "a\0", ".fetched.json"]
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(FetchError):
        inside(path, "hub")
    assert inside("a/./b.json", "hub") == "a/b.json"


def test_a_disk_without_room_is_said(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"free, and 1000000000\.0 GB are to come"):
        need_room(tmp_path, 10**18)
    assert amount(20_000_000_000) == "20.0 GB"
