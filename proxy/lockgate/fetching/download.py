"""Brings one file: goes on where it stopped, and gives it its name only when its sum is right."""

import http.client
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from attrs import define, field, frozen

from lockgate.fetching.asking import Answer, Asking, FetchError, PassingError, host_of, refusal
from lockgate.fetching.remote import RemoteFile

CHUNK: Final = 1 << 20
TRIES: Final = 8
"""In a row that bring no byte; a connection that breaks again and again still gets there."""
MOST_WAIT_S: Final = 60.0
EVERY_S: Final = 10.0
"""Between two lines on how far it is."""
_RANGE: Final = re.compile(r"bytes (?P<first>[0-9]+)-[0-9]+/(?P<size>[0-9]+|\*)\Z")
_PARTIAL, _CHANGED, _BEYOND = 206, 412, 416


class WrongError(FetchError):
    """What came is not what was to come. It is removed."""


@frozen
class Fetcher:
    """Fetches files into a folder. `say` gets a line now and then; `wait` sleeps."""

    asking: Asking
    say: Callable[[str], object]
    wait: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic
    suffix: str = ".fetch"
    """Of the name that a file has until it is whole."""

    def fetch(self, file: RemoteFile, folder: Path) -> int:
        """Bring `file` into `folder`, and return its size in bytes.

        Raises FetchError when it does not come, WrongError when it is another one; OSError.
        """
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".fetch-{target.name}{self.suffix}")
        size = self._bring(file, part)
        part.chmod(0o644)
        part.replace(target)
        sync(target.parent)
        return size

    def _bring(self, file: RemoteFile, part: Path) -> int:
        """Have `part` hold the whole file, verified; a try goes on where the last one stopped."""
        fruitless, furthest = 0, _length(part)
        left = furthest > 0  # by an earlier run, maybe of another file
        while True:
            try:
                return self._try(file, part)
            except WrongError as problem:
                if not left:
                    raise
                left, furthest = False, 0
                self.say(f"{problem}; once more, from the beginning")
            except PassingError as problem:
                fruitless = 0 if _length(part) > furthest else fruitless + 1
                furthest = max(furthest, _length(part))
                if fruitless >= TRIES:
                    raise FetchError(f"{problem}; given up after {TRIES} tries") from problem
                pause = min(max(problem.wait_s, 2.0**fruitless), MOST_WAIT_S)
                self.say(f"{file.path}: {problem}; again in {pause:.0f} s")
                self.wait(pause)

    def _try(self, file: RemoteFile, part: Path) -> int:
        with part.open("ab") as out:
            sum_ = file.summing()
            have = _summed(part, sum_)
            if file.size is None or have != file.size:
                have = self._receive(file, out, sum_, have)
            if file.size is not None and have > file.size:
                part.unlink()
                raise WrongError(f"{file.path} has {have} bytes, and {file.size} were to come")
            if file.digest is not None and sum_.hexdigest() != file.digest:
                part.unlink()
                raise WrongError(
                    f"{file.path} has the {file.algorithm} sum {sum_.hexdigest()}, "
                    f"and {file.digest} was to come; it is removed"
                )
            out.flush()
            os.fsync(out.fileno())
        return have

    def _receive(self, file: RemoteFile, out: IO[bytes], sum_: Any, have: int) -> int:
        """Append what is missing; returns how many bytes there are."""
        headers = {**file.headers, **({"Range": f"bytes={have}-"} if have else {})}
        answer = self.asking.ask(file.url, headers, file.secret())
        try:
            _take(answer, out, have)
            size = file.size if file.size is not None else _size(answer)
            progress = _Progress(file.path, size, have, self.clock, self.say)
            for chunk in _chunks(answer, file.url):
                out.write(chunk)
                sum_.update(chunk)
                have += len(chunk)
                progress.at(have)
                if size is not None and have > size:
                    break
        finally:
            answer.close()
        if size is not None and have < size:
            out.flush()
            raise PassingError(f"{host_of(file.url)} ended at {have} of {size} bytes")
        return have


def _take(answer: Answer, out: IO[bytes], have: int) -> None:
    """See that an answer goes on at `have`; whatever is there is worth nothing when it does not."""
    if answer.status == _PARTIAL and have:
        found = _RANGE.match(answer.headers.get("Content-Range", ""))
        if found is not None and int(found["first"]) == have:
            return
    elif answer.status not in {_BEYOND, _CHANGED, 200} or (answer.status != 200 and not have):
        raise refusal(answer)
    elif answer.status == 200 and not have:
        return
    out.truncate(0)
    raise PassingError(f"{host_of(answer.url)} does not go on at byte {have}: from the beginning")


def _size(answer: Answer) -> int | None:
    """Return the whole file's size as an answer says it."""
    if answer.status == _PARTIAL:
        found = _RANGE.match(answer.headers.get("Content-Range", ""))
        return int(found["size"]) if found is not None and found["size"] != "*" else None
    length = answer.headers.get("Content-Length")
    return int(length) if length is not None and length.isdecimal() else None


def _chunks(answer: Answer, url: str) -> Iterator[bytes]:
    while True:
        try:
            chunk = answer.body.read(CHUNK)
        except http.client.IncompleteRead as cut:
            yield cut.partial
            raise PassingError(f"{host_of(url)} ended in the middle") from cut
        except (OSError, http.client.HTTPException) as problem:
            raise PassingError(f"{host_of(url)}: {problem or type(problem).__name__}") from problem
        if not chunk:
            return
        yield chunk


def _length(part: Path) -> int:
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0


def _summed(part: Path, sum_: Any) -> int:
    """Add what is there already to a sum; returns how many bytes that are."""
    have = 0
    with part.open("rb") as held:
        while chunk := held.read(CHUNK):
            sum_.update(chunk)
            have += len(chunk)
    return have


def sync(folder: Path) -> None:
    """Have the names in a folder outlast a power failure, where its disk can do that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def need_room(folder: Path, size: int) -> None:
    """Raise FetchError where a disk has no room for so many bytes more."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise FetchError(f"{folder} has {amount(free)} free, and {amount(size)} are to come")


def amount(size: int) -> str:
    """Return bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


@define
class _Progress:
    """Says how far a file is, at most every `EVERY_S` seconds."""

    path: str
    size: int | None
    first: int
    clock: Callable[[], float]
    say: Callable[[str], object]
    began: float = field(init=False)
    last: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.began = self.last = self.clock()

    def at(self, have: int) -> None:
        """There are `have` bytes."""
        now = self.clock()
        if now - self.last < EVERY_S:
            return
        self.last = now
        speed = (have - self.first) / max(now - self.began, 1e-6)
        of = "" if self.size is None else f" of {amount(self.size)}"
        left = "" if self.size is None else f", {(self.size - have) / max(speed, 1):.0f} s left"
        self.say(f"{self.path}: {amount(have)}{of}, {amount(int(speed))}/s{left}")
