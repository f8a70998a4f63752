"""AWS Signature Version 4 over a request's head.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from attrs import field, frozen

EMPTY: Final = hashlib.sha256(b"").hexdigest()
_ALGORITHM: Final = "AWS4-HMAC-SHA256"


@frozen
class Account:
    """Keys of AWS. `token` is that of temporary ones."""

    key_id: str
    secret: str = field(repr=False)
    region: str
    token: str | None = field(default=None, repr=False)


def signed(  # noqa: PLR0913, PLR0917 - what a signature is over
    account: Account,
    service: str,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body_sha256: str = EMPTY,
    when: datetime | None = None,
) -> dict[str, str]:
    """Return the headers that sign a request: those given, and the signature's own.

    S3 takes a path as it is encoded once, every other service encodes it again. `when` is now.
    """
    time = (when or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    parts = urlsplit(url)
    own = {"x-amz-date": time, "x-amz-content-sha256": body_sha256}
    if account.token is not None:
        own["x-amz-security-token"] = account.token
    every = {**{name.lower(): value for name, value in headers.items()}, **own}
    stated = {**every, "host": parts.netloc.rpartition("@")[2]}
    names = ";".join(sorted(stated))
    canonical = "\n".join(
        (
            method,
            _path(parts.path, twice=service != "s3"),
            _query(parts.query),
            *(f"{name}:{' '.join(stated[name].split())}" for name in sorted(stated)),
            "",
            names,
            body_sha256,
        )
    )
    scope = f"{time[:8]}/{account.region}/{service}/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{_ALGORITHM}\n{time}\n{scope}\n{hashed}"
    key = f"AWS4{account.secret}".encode()
    for word in (time[:8], account.region, service, "aws4_request"):
        key = _hmac(key, word)
    signature = _hmac(key, to_sign).hex()
    credential = f"Credential={account.key_id}/{scope}"
    every["authorization"] = (
        f"{_ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"
    )
    return every


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _path(path: str, *, twice: bool) -> str:
    once = quote(unquote(path or "/"), safe="/-_.~")
    return quote(once, safe="/-_.~") if twice else once


def _query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    return "&".join(
        f"{name}={value}"
        for name, value in sorted((quote(n, safe="-_.~"), quote(v, safe="-_.~")) for n, v in pairs)
    )
