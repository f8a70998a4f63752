"""Brings all files of a model into a folder, once: whoever starts meanwhile waits for it.

`.fetched.json` in the folder says what was fetched. It is written when the last file is there, so
that a folder without it is an unfinished one; what it names is not asked for again.
"""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from lockgate.fetching.asking import FetchError, PassingError
from lockgate.fetching.download import MOST_WAIT_S, TRIES, Fetcher, amount, need_room
from lockgate.fetching.listing import Place, list_files
from lockgate.fetching.remote import RemoteFile
from lockgate.fetching.source import Source

MARK: Final = ".fetched.json"
LOCK: Final = ".fetch-lock"
_LOOK_S: Final = 2.0


@frozen
class Wanted:
    """What is to be in a folder. `file` must be among it; `sha256` is of its one file."""

    source: Source
    sha256: str | None = None
    file: str | None = None


def bring(wanted: Wanted, folder: Path, place: Place, fetcher: Fetcher) -> None:
    """Have every file of a source in `folder`, verified.

    Raises FetchError, of which WrongError says that something else came; OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder, fetcher) as alone:
        if not alone:
            own = f".{socket.gethostname()}-{os.getpid()}.fetch"
            fetcher = evolve(fetcher, suffix=own)
        done = _marked(folder)
        if done.get("whole") is True and _holds(wanted, folder, done):
            fetcher.say(f"{wanted.source.text}: is there already, in {folder}")
        else:
            _bring_all(wanted, folder, place, fetcher, done)
    if wanted.file is not None and not (folder / wanted.file).is_file():
        there = ", ".join(sorted(_marked(folder).get("files", {}))[:20])
        raise FetchError(f"{wanted.source.text} has no file {wanted.file!r}; it has: {there}")


def _bring_all(
    wanted: Wanted, folder: Path, place: Place, fetcher: Fetcher, done: dict[str, Any]
) -> None:
    files = _listed(wanted, place, fetcher)
    # a name that is there from another state of the source is none of this one
    kept = done.get("files", {}) if _is_of(wanted, done) else {}
    held = {f.path: kept[f.path] for f in files if _is_kept(f, folder, kept.get(f.path))}
    missing = [file for file in files if file.path not in held]
    begun = sum(file.size or 0 for file in missing) - _begun(folder, fetcher)
    need_room(folder, max(begun, 0))
    whole = sum(file.size or 0 for file in files)
    size = f", {amount(whole)}" if whole else ""
    fetcher.say(f"{wanted.source.text}: {len(files)} files{size}, {len(missing)} to fetch")
    for file in missing:
        size_now = fetcher.fetch(file, folder)
        held[file.path] = {"size": size_now, "sum": file.digest}
        by = f"verified by its {file.algorithm} sum" if file.digest else "verified by its length"
        fetcher.say(f"{file.path}: {amount(size_now)}, {by}")
        _mark(folder, wanted, held, whole=False)
    _mark(folder, wanted, held, whole=True)


def _listed(wanted: Wanted, place: Place, fetcher: Fetcher) -> tuple[RemoteFile, ...]:
    for tried in range(TRIES):
        try:
            return list_files(wanted.source, place, wanted.sha256)
        except PassingError as problem:
            if tried == TRIES - 1:
                raise FetchError(f"{problem}; given up after {TRIES} tries") from problem
            pause = min(max(problem.wait_s, 2.0**tried), MOST_WAIT_S)
            fetcher.say(f"{wanted.source.text}: {problem}; again in {pause:.0f} s")
            fetcher.wait(pause)
    raise AssertionError("unreachable")


def _marked(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / MARK).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _mark(folder: Path, wanted: Wanted, held: dict[str, Any], *, whole: bool) -> None:
    said = {"source": wanted.source.text, "sha256": wanted.sha256, "whole": whole, "files": held}
    new = folder / f".fetch-mark-{os.getpid()}"
    with new.open("w") as out:
        json.dump(said, out, indent=1, sort_keys=True)
        out.flush()
        os.fsync(out.fileno())
    new.replace(folder / MARK)


def _is_of(wanted: Wanted, done: dict[str, Any]) -> bool:
    return (done.get("source"), done.get("sha256")) == (wanted.source.text, wanted.sha256)


def _holds(wanted: Wanted, folder: Path, done: dict[str, Any]) -> bool:
    """Whether a folder that was whole is that of this source, and nothing is gone since."""
    files = done.get("files")
    if not _is_of(wanted, done) or not isinstance(files, dict):
        return False
    return all(_has(folder / path, one.get("size")) for path, one in files.items())


def _is_kept(file: RemoteFile, folder: Path, held: Any) -> bool:
    """Whether a file of an unfinished folder is there, verified, and still the one to come."""
    if not isinstance(held, dict) or file.digest is None or held.get("sum") != file.digest:
        return False
    return _has(folder / file.path, held.get("size"))


def _has(path: Path, size: Any) -> bool:
    try:
        return bool(path.stat().st_size == size)
    except OSError:
        return False


def _begun(folder: Path, fetcher: Fetcher) -> int:
    parts = folder.rglob(f".fetch-*{fetcher.suffix}")
    return sum(part.stat().st_size for part in parts)


@contextmanager
def _alone(folder: Path, fetcher: Fetcher) -> Iterator[bool]:
    """Keep everybody else out of a folder meanwhile; False where its disk knows no locks."""
    with (folder / LOCK).open("a") as lock:
        said = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not said:
                    fetcher.say(f"{folder}: somebody else fetches into it; waiting")
                said = True
                fetcher.wait(_LOOK_S)
                continue
            except OSError as problem:
                fetcher.say(f"{folder}: its disk has no locks ({problem.strerror}); not waiting")
                yield False
                return
            break
        yield True
