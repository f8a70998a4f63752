"""Files of a repository on the Hugging Face Hub, or on a mirror that speaks its API.

https://huggingface.co/docs/hub/api: `/api/models/REPO/revision/REVISION` says the commit, `tree`
below it the files: `lfs.oid` is a large file's SHA-256, `oid` a small one's blob id in git. What is
downloaded is one commit's, whatever moves meanwhile.
"""

import re
from typing import Any, Final
from urllib.parse import quote, urljoin

from lockgate.fetching.asking import Asking, FetchError
from lockgate.fetching.remote import RemoteFile, inside
from lockgate.fetching.source import HUB, Source

SAFE: Final = ".safetensors"
_OTHER_WEIGHTS: Final = (
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".h5",
    ".msgpack",
    ".onnx",
    ".ot",
    ".tflite",
)
_NEXT: Final = re.compile(r'<(?P<url>[^>]+)>\s*;\s*rel="?next"?')
_MOST_PAGES: Final = 1000


def files(
    source: Source, asking: Asking, token: str | None = None, endpoint: str | None = None
) -> tuple[RemoteFile, ...]:
    """Return the files of `source` at the commit that its revision is now.

    Of a repository that has its weights in several formats, those in safetensors alone. Raises
    FetchError, PassingError.
    """
    base = (endpoint or HUB).rstrip("/")
    secret = {"Authorization": f"Bearer {token}"} if token else {}
    api = f"{base}/api/models/{source.place}"
    revision, _ = asking.read_json(f"{api}/revision/{quote(source.version, safe='')}", {}, secret)
    commit = revision.get("sha") if isinstance(revision, dict) else None
    if not isinstance(commit, str):
        raise FetchError(f"{base} says no commit of {source.place} at {source.version}")
    listed = _tree(asking, f"{api}/tree/{commit}?recursive=true", secret)
    wanted = [one for one in listed if source.pattern.match(one["path"])]
    if not source.is_one_file:
        wanted = _without_other_weights(wanted)
    return tuple(
        _file(one, source, f"{base}/{source.place}/resolve/{commit}/", secret) for one in wanted
    )


def _tree(asking: Asking, url: str, secret: dict[str, str]) -> list[dict[str, Any]]:
    """Return every file, over all pages."""
    found: list[dict[str, Any]] = []
    for _ in range(_MOST_PAGES):
        page, headers = asking.read_json(url, {}, secret)
        if not isinstance(page, list) or not all(isinstance(one, dict) for one in page):
            raise FetchError(f"{url} is no list of files")
        found += [one for one in page if one.get("type") == "file" and _is_file(one)]
        following = _NEXT.search(headers.get("Link", ""))
        if following is None:
            return found
        after = urljoin(url, following["url"])
        if after.split("/")[:3] != url.split("/")[:3]:  # the token goes along
            raise FetchError(f"{url} goes on at another place: {after}")
        url = after
    raise FetchError(f"{url} has no last page")


def _is_file(one: dict[str, Any]) -> bool:
    return isinstance(one.get("path"), str) and isinstance(one.get("size"), int)


def _without_other_weights(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not any(one["path"].endswith(SAFE) for one in listed):
        return listed
    return [
        one
        for one in listed
        if not one["path"].endswith(_OTHER_WEIGHTS) and not one["path"].startswith("original/")
    ]


def _file(one: dict[str, Any], source: Source, base: str, secret: dict[str, str]) -> RemoteFile:
    path = inside(one["path"], source.text)
    lfs = one.get("lfs")
    large = isinstance(lfs, dict)
    digest = lfs.get("oid") if isinstance(lfs, dict) else one.get("oid")
    if not isinstance(digest, str):
        raise FetchError(f"{source.text}: {path} has no sum to be verified by")
    return RemoteFile(
        inside(path.removeprefix(source.above), source.text),
        base + quote(path),
        one["size"],
        "sha256" if large else "git",
        digest.removeprefix("sha256:").lower(),
        secret=lambda: secret,
    )
