"""References to models: what each scheme means, and which are none.

- `hf://ORG/REPO[@REVISION][/PATH]`: a file or a folder of a repository on the Hugging Face Hub
- `https://HOST/PATH`: one file, whose SHA-256 must be stated
- `s3://BUCKET/KEY`: one object; with a slash at the end, all below it
- `oci://REGISTRY/REPOSITORY:TAG` or `@sha256:HEX`: an artifact whose layers are files
"""

import hashlib
import re
from collections.abc import Callable
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from attrs import frozen

Scheme = Literal["hf", "https", "s3", "oci"]
SCHEMES: Final[tuple[Scheme, ...]] = ("hf", "https", "s3", "oci")
SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
HUB: Final = "https://huggingface.co"
GGUF: Final = "model.gguf"
"""What the one GGUF file of an artifact is called that has no name for it."""
_PART: Final = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_HF: Final = re.compile(
    rf"(?P<repo>{_PART}/{_PART})(?:@(?P<revision>[^/@\s]+))?(?:/(?P<path>.*))?\Z"
)
_S3: Final = re.compile(r"(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>.+)\Z")
_OCI: Final = re.compile(
    r"(?P<registry>[A-Za-z0-9.-]+(?::[0-9]+)?)/(?P<repo>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?\Z"
)
_FORMS: Final = {
    "hf": "hf://ORG/REPO[@REVISION][/PATH]",
    "https": "https://HOST/PATH",
    "s3": "s3://BUCKET/KEY",
    "oci": "oci://REGISTRY/REPOSITORY:TAG",
}
_SHARD: Final = re.compile(r"(?P<stem>.*)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})\.gguf\Z")


class SourceError(ValueError):
    """A reference names no model; the text says what it should look like."""


@frozen
class Source:
    """Where a model's files are. `place` is the repository, the bucket or the host.

    `path` is the file, or the folder with a slash at its end, or all of it where it is empty;
    `version` the revision, the tag or the digest.
    """

    scheme: Scheme
    text: str
    place: str
    path: str = ""
    version: str = ""
    registry: str = ""

    @property
    def is_one_file(self) -> bool:
        """Whether it is one file, in itself or by its parts."""
        if self.scheme == "oci":
            return False
        return self.scheme == "https" or "." in self.path.rpartition("/")[2]

    @property
    def file(self) -> str:
        """The file's name where it is one; an artifact's usual one; else nothing."""
        if self.scheme == "oci":
            return GGUF
        return self.path.rpartition("/")[2] if self.is_one_file else ""

    @property
    def pattern(self) -> "re.Pattern[str]":
        """What the path of a file that belongs to it looks like: a model's shards are one model."""
        shard = _SHARD.match(self.path)
        if shard is not None:
            stem, count = re.escape(shard["stem"]), shard["count"]
            return re.compile(rf"{stem}-[0-9]{{5}}-of-{count}\.gguf\Z")
        if self.is_one_file:
            return re.compile(re.escape(self.path) + r"\Z")
        folder = self.path and self.path.rstrip("/") + "/"
        return re.compile(re.escape(folder) + r".+\Z", re.DOTALL)

    @property
    def above(self) -> str:
        """What a file's path is without when it lies on the disk: the folder that was named."""
        if self.is_one_file:
            return self.path[: -len(self.file)]
        return self.path and self.path.rstrip("/") + "/"


def key(text: str, sha256: str | None) -> str:
    """Return a folder's name for what a reference means: another reference has another folder."""
    said = hashlib.sha256(f"{text}\n{sha256 or ''}".encode()).hexdigest()
    words = re.sub(r"[^a-z0-9.]+", "-", text.rpartition("://")[2].rpartition("/")[2].lower())
    return f"{words.strip('-.')[:40] or 'model'}-{said[:10]}"


def read_source(text: str) -> Source:
    """Return what `text` names; SourceError says what it should look like."""
    scheme, slashes, rest = text.partition("://")
    if not slashes or scheme not in _READ:
        raise SourceError(f"{text!r} is none of {', '.join(_FORMS.values())}")
    if any(part in {".", ".."} for part in rest.split("/")) or re.search(r"[\s\\]", rest):
        raise SourceError(f"{text!r} has a path that leads elsewhere")
    found = _READ[scheme](text, rest)
    if found is None:
        raise SourceError(f"{text!r} is not {_FORMS[scheme]}")
    return found


def _hf(text: str, rest: str) -> Source | None:
    match = _HF.match(rest)
    if match is None:
        return None
    return Source(
        "hf", text, match["repo"], match["path"] or "", unquote(match["revision"] or "main")
    )


def _https(text: str, _: str) -> Source | None:
    if not _is_host(text):
        return None
    parts = urlsplit(text)
    name = parts.path.rpartition("/")[2]
    if not name or parts.username is not None or parts.fragment:
        return None
    return Source("https", text, parts.netloc, parts.path)


def _is_host(text: str) -> bool:
    """Whether a URL names a host, and a port that there is."""
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _s3(text: str, rest: str) -> Source | None:
    match = _S3.match(rest)
    return None if match is None else Source("s3", text, match["bucket"], match["key"])


def _oci(text: str, rest: str) -> Source | None:
    match = _OCI.match(rest)
    if match is None or not (match["tag"] or match["digest"]) or not _is_host(text):
        return None
    version = match["digest"] or match["tag"]
    return Source("oci", text, match["repo"], "", version, match["registry"])


_READ: Final[dict[str, Callable[[str, str], Source | None]]] = {
    "hf": _hf,
    "https": _https,
    "s3": _s3,
    "oci": _oci,
}
