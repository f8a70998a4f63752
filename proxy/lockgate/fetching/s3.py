"""Objects of a bucket: Amazon S3, or what speaks its API at an endpoint of its own.

ListObjectsV2 and HeadObject of https://docs.aws.amazon.com/AmazonS3/latest/API/. An object is
verified by the SHA-256 that was stored with it, else by the MD5 that its ETag is when it was
uploaded in one part; another ETag than the listed one is refused while it is read.
"""

import base64
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

from lockgate.fetching.asking import Asking, FetchError
from lockgate.fetching.remote import Algorithm, RemoteFile, inside
from lockgate.fetching.source import Source
from lockgate.providers.sigv4 import Account, signed

_DEFAULT_REGION: Final = "us-east-1"
_MOST_PAGES: Final = 1000
_MD5: Final = re.compile(r'"?([0-9a-f]{32})"?\Z')


def account_of(credentials: Mapping[str, str], region: str | None) -> Account | None:
    """Return the account by the names that AWS's own tools use; None asks as nobody.

    Raises FetchError for half of a key.
    """
    key_id, secret = (credentials.get(f"AWS_{n}") for n in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
    if not key_id and not secret:
        return None
    if not key_id or not secret:
        missing = "AWS_SECRET_ACCESS_KEY" if key_id else "AWS_ACCESS_KEY_ID"
        raise FetchError(f"half of a key: {missing} is missing")
    stated = region or credentials.get("AWS_REGION") or credentials.get("AWS_DEFAULT_REGION")
    token = credentials.get("AWS_SESSION_TOKEN") or None
    return Account(key_id, secret, stated or _DEFAULT_REGION, token)


def files(
    source: Source, asking: Asking, account: Account | None, endpoint: str | None = None
) -> tuple[RemoteFile, ...]:
    """Return the objects of `source`. Raises FetchError, PassingError."""
    region = account.region if account is not None else _DEFAULT_REGION
    base = _base(source.place, endpoint, region)
    keys = [source.path]
    if source.pattern.pattern != re.escape(source.path) + r"\Z":
        keys = [one for one in _listed(source, asking, account, base) if source.pattern.match(one)]
    return tuple(_file(one, source, asking, account, base) for one in keys)


def _base(bucket: str, endpoint: str | None, region: str) -> str:
    """Return the bucket's URL: by its path at an endpoint, which may have no name for each."""
    if endpoint is not None:
        return f"{endpoint.rstrip('/')}/{bucket}"
    if "." in bucket:  # a name that no certificate of Amazon's covers
        return f"https://s3.{region}.amazonaws.com/{bucket}"
    return f"https://{bucket}.s3.{region}.amazonaws.com"


def _secret(
    account: Account | None, method: str, url: str, headers: Mapping[str, str]
) -> dict[str, str]:
    if account is None:
        return {}
    made = signed(account, "s3", method, url, headers)
    return {name: value for name, value in made.items() if name not in headers}


def _listed(source: Source, asking: Asking, account: Account | None, base: str) -> list[str]:
    prefix = source.path if not source.is_one_file else source.path[: -len("00001-of-00001.gguf")]
    query = {"list-type": "2", "prefix": prefix}
    found: list[str] = []
    for _ in range(_MOST_PAGES):
        url = f"{base}/?{urlencode(query, quote_via=quote)}"
        body, _headers = asking.read(url, {}, _secret(account, "GET", url, {}))
        page = _xml(body, base)
        found += [key for key in _texts(page, "Contents/Key") if not key.endswith("/")]
        after = _texts(page, "NextContinuationToken")
        if not after:
            return found
        query["continuation-token"] = after[0]
    raise FetchError(f"{source.text} has no last page")


def _xml(body: bytes, where: str) -> ET.Element:
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:  # S3 writes none; they can be made to cost
        raise FetchError(f"{where} answers with XML that declares entities")
    try:
        page = ET.fromstring(body)  # noqa: S314 - no declarations in it
    except ET.ParseError as problem:
        raise FetchError(f"{where} answers with what is no XML: {problem}") from None
    for element in page.iter():
        element.tag = element.tag.rpartition("}")[2]
    return page


def _texts(page: ET.Element, path: str) -> list[str]:
    return [one.text for one in page.findall(path) if one.text]


def _file(
    key: str, source: Source, asking: Asking, account: Account | None, base: str
) -> RemoteFile:
    url = f"{base}/{quote(key, safe='/-_.~')}"
    wanted = {"x-amz-checksum-mode": "ENABLED"}
    _, said = asking.read(url, wanted, _secret(account, "HEAD", url, wanted), method="HEAD")
    length, etag = said.get("Content-Length"), said.get("ETag")
    if length is None or not length.isdecimal():
        raise FetchError(f"{source.text}: {key} has no length")
    algorithm, digest = _sum(
        said.get("x-amz-checksum-sha256"),
        etag,
        said.get("x-amz-server-side-encryption", "AES256"),
    )
    held = {"If-Match": etag} if etag else {}
    return RemoteFile(
        inside(key.removeprefix(source.above), source.text),
        url,
        int(length),
        algorithm,
        digest,
        held,
        lambda: _secret(account, "GET", url, {}),
    )


def _sum(
    stored: str | None, etag: str | None, encrypted: str
) -> tuple[Algorithm | None, str | None]:
    """Return what an object is verified by. A sum over the sums of its parts is none over it."""
    if stored is not None and "-" not in stored:
        try:
            return "sha256", base64.b64decode(stored, validate=True).hex()
        except ValueError:
            return None, None
    # with a key of KMS or the caller's, an ETag is no MD5
    plain = _MD5.match(etag or "")
    if plain is not None and encrypted == "AES256":
        return "md5", plain[1]
    return None, None
