"""A repository on a hub: one commit's files, each verified by what the hub says of it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from lockgate.fetching import huggingface
from lockgate.fetching.asking import Asking, FetchError
from lockgate.fetching.download import Fetcher
from lockgate.fetching.remote import RemoteFile
from lockgate.fetching.source import read_source

from tests.fetching.shelf import Shelf, sha256

COMMIT = "c" * 40
FILES = {
    "config.json": b'{"a": 1}',
    "model-00001-of-00002.safetensors": b"one" * 1000,
    "model-00002-of-00002.safetensors": b"two" * 1000,
    "pytorch_model.bin": b"three" * 1000,
    "original/consolidated.00.pth": b"four" * 1000,
    "q4/m-00001-of-00002.gguf": b"five" * 1000,
    "q4/m-00002-of-00002.gguf": b"six" * 1000,
    "q8/m.gguf": b"seven" * 1000,
    "with space.txt": b"eight",
}


def blob(data: bytes) -> str:
    """What `git hash-object` says: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects."""
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


def entry(path: str, data: bytes) -> dict[str, Any]:
    """A file of the tree, in the shape that huggingface_hub reads (`RepoFile`)."""
    if len(data) < 100:
        return {"type": "file", "oid": blob(data), "size": len(data), "path": path}
    lfs = {"oid": sha256(data), "size": len(data), "pointerSize": 135}
    made = {"type": "file", "oid": "b" * 40, "size": len(data), "lfs": lfs, "path": path}
    return {**made, "xetHash": "a" * 64}


@pytest.fixture
def hub(server: Shelf) -> Shelf:
    """A hub with one repository, whose tree has two pages and which asks for a token."""
    api = "/api/models/org/repo"
    entries: list[dict[str, Any]] = [
        {"type": "directory", "oid": "0" * 40, "size": 0, "path": "q4"}
    ]
    entries += [entry(path, data) for path, data in FILES.items()]

    def answer(handler: Any) -> bool:
        if handler.path.startswith("/api/") and handler.headers["authorization"] != "Bearer t":
            handler.give(401, b"{}")
        elif handler.path in {f"{api}/revision/refs%2Fpr%2F1", f"{api}/revision/main"}:
            handler.give(200, json.dumps({"sha": COMMIT}).encode())
        elif handler.path == f"{api}/tree/{COMMIT}?recursive=true":
            link = f'<{server.url}{api}/tree/{COMMIT}?recursive=true&cursor=x>; rel="next"'
            handler.give(200, json.dumps(entries[:4]).encode(), link=link)
        elif handler.path.endswith("&cursor=x"):
            handler.give(200, json.dumps(entries[4:]).encode())
        else:
            return False
        return True

    server.answers.append(answer)
    for path, data in FILES.items():
        server.files[f"/org/repo/resolve/{COMMIT}/{path.replace(' ', '%20')}"] = data
    return server


def listed(hub: Shelf, text: str, token: str | None = "t") -> tuple[RemoteFile, ...]:
    return huggingface.files(read_source(text), Asking(timeout_s=5), token, hub.url)


def test_every_file_is_verified_by_what_the_hub_says(
    hub: Shelf, fetcher: Fetcher, folder: Path
) -> None:
    for file in listed(hub, "hf://org/repo"):
        fetcher.fetch(file, folder)
        assert (folder / file.path).read_bytes() == FILES[file.path]
    assert (folder / "config.json").is_file()
    assert (folder / "with space.txt").is_file()
    asked = {path: headers for method, path, headers in hub.asked if "/resolve/" in path}
    assert {headers["authorization"] for headers in asked.values()} == {"Bearer t"}


def test_a_small_file_that_is_another_one_is_refused(
    hub: Shelf, fetcher: Fetcher, folder: Path
) -> None:
    hub.files[f"/org/repo/resolve/{COMMIT}/config.json"] = b'{"a": 2}'
    [file] = listed(hub, "hf://org/repo/config.json")
    with pytest.raises(FetchError, match="git sum"):
        fetcher.fetch(file, folder)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("hf://org/repo/q8/m.gguf", ["m.gguf"]),
        ("hf://org/repo@refs%2Fpr%2F1/q8/m.gguf", ["m.gguf"]),
        ("hf://org/repo@v9/q8/m.gguf", None),
        ("hf://org/repo/q4/m-00001-of-00002.gguf", ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]),
        ("hf://org/repo/q4", ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]),
        ("hf://org/repo/nothing.gguf", []),
    ],
)  # fmt: skip
def test_what_is_named_is_what_comes(hub: Shelf, text: str, paths: list[str] | None) -> None:
    if paths is None:
        with pytest.raises(FetchError, match="404"):
            listed(hub, text)
        return
    assert [file.path for file in listed(hub, text)] == paths


def test_weights_in_a_second_format_are_left_where_they_are(hub: Shelf) -> None:
    paths = {file.path for file in listed(hub, "hf://org/repo")}
    assert "pytorch_model.bin" not in paths
    assert "original/consolidated.00.pth" not in paths
    assert {"model-00001-of-00002.safetensors", "config.json"} <= paths


def test_a_gated_repository_says_so(hub: Shelf) -> None:
    with pytest.raises(FetchError, match="credentials are missing"):
        listed(hub, "hf://org/repo", token=None)


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", ".fetched.json"])
def test_a_listing_cannot_lead_elsewhere(server: Shelf, path: str) -> None:
    def answer(handler: Any) -> bool:
        tree = json.dumps([entry(path, b"x")]).encode()
        handler.give(200, tree if "/tree/" in handler.path else b'{"sha": "c"}')
        return True

    server.answers.append(answer)
    with pytest.raises(FetchError, match="names"):
        huggingface.files(read_source("hf://org/repo"), Asking(), None, server.url)


@pytest.mark.parametrize(
    "tree", [b"{}", b"[1]", b"nothing", b'[{"type": "file", "path": "a", "size": 1}]']
)
def test_what_is_no_listing_is_refused(server: Shelf, tree: bytes) -> None:
    server.answers.append(
        lambda h: bool(h.give(200, tree if "/tree/" in h.path else b'{"sha": "c"}') or True)
    )
    with pytest.raises(FetchError):
        huggingface.files(read_source("hf://org/repo"), Asking(), None, server.url)


def test_a_second_page_at_another_place_does_not_get_the_token(server: Shelf) -> None:
    server.answers.append(
        lambda h: bool(
            h.give(200, b'{"sha": "c"}' if "/revision/" in h.path else b"[]", link='<http://other.example/x>; rel="next"')
            or True
        )
    )  # fmt: skip
    with pytest.raises(FetchError, match="another place"):
        huggingface.files(read_source("hf://org/repo"), Asking(), "t", server.url)
