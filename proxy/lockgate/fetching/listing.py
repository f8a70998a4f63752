"""Which files a source is: asks its place, and gives each file with what it is verified by."""

from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen

from lockgate.fetching import huggingface, oci, s3
from lockgate.fetching.asking import Asking, FetchError
from lockgate.fetching.remote import RemoteFile
from lockgate.fetching.source import Source

Credentials = Mapping[str, str]


@frozen
class Place:
    """What is asked, and as whom. `endpoint` is a mirror's or another maker's base URL."""

    asking: Asking
    credentials: Credentials
    endpoint: str | None = None
    region: str | None = None


def list_files(source: Source, place: Place, sha256: str | None = None) -> tuple[RemoteFile, ...]:
    """Return the files of a source. `sha256` is that of the one file that it is.

    Raises FetchError where there are none, or where several have one stated sum; PassingError.
    """
    found = _LISTS[source.scheme](source, place)
    if not found:
        raise FetchError(f"{source.text} has no such file")
    if sha256 is None:
        return found
    if len(found) != 1:
        raise FetchError(f"{source.text} is {len(found)} files, and one sha256 was stated")
    return (found[0].verified_by("sha256", sha256),)


def _hf(source: Source, place: Place) -> tuple[RemoteFile, ...]:
    token = place.credentials.get("HF_TOKEN") or place.credentials.get("token")
    return huggingface.files(source, place.asking, token, place.endpoint)


def _https(source: Source, place: Place) -> tuple[RemoteFile, ...]:
    return (RemoteFile(source.file, source.text, secret=lambda: bearer(place.credentials)),)


def _s3(source: Source, place: Place) -> tuple[RemoteFile, ...]:
    account = s3.account_of(place.credentials, place.region)
    return s3.files(source, place.asking, account, place.endpoint)


def _oci(source: Source, place: Place) -> tuple[RemoteFile, ...]:
    return oci.files(source, place.asking, place.credentials, place.endpoint)


def bearer(credentials: Credentials) -> dict[str, str]:
    """Return the Authorization of a `token`, if there is one."""
    token = credentials.get("token")
    return {"Authorization": f"Bearer {token}"} if token else {}


_LISTS: Final[Mapping[str, Callable[[Source, Place], tuple[RemoteFile, ...]]]] = {
    "hf": _hf,
    "https": _https,
    "s3": _s3,
    "oci": _oci,
}
