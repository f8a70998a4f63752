"""A bucket: signed as AWS's own signer signs, listed over its pages, verified by what is stored.

Where `go` and its module proxy are at hand the same runs against versitygw, an S3 server that
checks signatures (`tests/packages/test_real_s3.py`).
"""

import base64
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from lockgate.fetching import s3
from lockgate.fetching.asking import Asking, FetchError
from lockgate.fetching.download import Fetcher
from lockgate.fetching.remote import RemoteFile
from lockgate.fetching.source import read_source
from lockgate.providers.sigv4 import Account

from tests.fetching.shelf import Shelf

ACCOUNT = Account("AKIA", "SECRET-CANARY", "eu-central-1", "TOKEN")
OBJECTS = {
    "llm/config.json": b"{}",
    "llm/m-00001-of-00002.gguf": b"one" * 1000,
    "llm/m-00002-of-00002.gguf": b"two" * 1000,
    "llm/with space+plus.bin": b"three",
    "llm/folder/": b"",
    "other/x": b"x",
}
PAGE = """<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
{keys}{more}</ListBucketResult>"""


def expected(method: str, url: str, headers: dict[str, str]) -> str:
    """The signature that botocore puts onto such a request."""
    names = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    kept = {n: headers[n] for n in names if n not in {"host", "x-amz-security-token"}}
    request = AWSRequest(method, url, headers={k: v for k, v in kept.items() if k != "x-amz-date"})
    request.context["timestamp"] = headers["x-amz-date"]
    request.context["payload_signing_enabled"] = True
    signer = S3SigV4Auth(Credentials("AKIA", "SECRET-CANARY", "TOKEN"), "s3", "eu-central-1")
    request.headers["X-Amz-Date"] = headers["x-amz-date"]
    request.headers["X-Amz-Security-Token"] = "TOKEN"
    signature = signer.signature(
        signer.string_to_sign(request, signer.canonical_request(request)), request
    )
    return str(signature)


@pytest.fixture
def bucket(server: Shelf) -> Shelf:
    """A bucket in two pages that refuses a request which AWS's own signer would not have signed."""

    def answer(handler: Any) -> bool:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        given = headers.get("authorization", "").rpartition("Signature=")[2]
        if not given or given != expected(
            handler.command, f"http://{headers['host']}{handler.path}", headers
        ):
            handler.give(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
            return True
        parts = urlsplit(handler.path)
        query = parse_qs(parts.query)
        if "list-type" in query:
            keys = [key for key in OBJECTS if key.startswith(query["prefix"][0])]
            first = "continuation-token" not in query
            page = keys[:2] if first else keys[2:]
            more = "<NextContinuationToken>a+b/c=</NextContinuationToken>" if first else ""
            assert first or query["continuation-token"] == ["a+b/c="]
            text = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in page)
            handler.give(200, PAGE.format(keys=text, more=more).encode())
            return True
        return False

    server.answers.append(answer)
    for key, data in OBJECTS.items():
        path = key.replace(" ", "%20").replace("+", "%2B")
        server.files[f"/bucket/{path}"] = data
    return server


def listed(bucket: Shelf, text: str, account: Account | None = ACCOUNT) -> tuple[RemoteFile, ...]:
    return s3.files(read_source(text), Asking(timeout_s=5), account, bucket.url)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("s3://bucket/llm/config.json", ["config.json"]),
        ("s3://bucket/llm/m-00001-of-00002.gguf", ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]),
        ("s3://bucket/llm/", ["config.json", "m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "with space+plus.bin"]),
    ],
)  # fmt: skip
def test_objects_come_and_are_verified(
    bucket: Shelf, fetcher: Fetcher, folder: Path, text: str, paths: list[str]
) -> None:
    files = listed(bucket, text)
    assert [file.path for file in files] == paths
    for file in files:
        assert file.algorithm == "md5"
        fetcher.fetch(file, folder)
        assert (folder / file.path).read_bytes() == OBJECTS[f"llm/{file.path}"]


def test_nobody_is_refused(bucket: Shelf) -> None:
    with pytest.raises(FetchError, match="403"):
        listed(bucket, "s3://bucket/llm/config.json", account=None)
    assert not any("CANARY" in str(asked) for asked in bucket.asked)


def head(server: Shelf, **said: str) -> RemoteFile:
    """The object `k` whose HEAD says this."""

    def answer(handler: Any) -> bool:
        if handler.command != "HEAD":
            return False
        handler.give(200, b"data", **said)
        return True

    server.answers.append(answer)
    server.files["/bucket/k.bin"] = b"data"
    [file] = listed(server, "s3://bucket/k.bin")
    return file


DIGEST = base64.b64encode(hashlib.sha256(b"data").digest()).decode()


@pytest.mark.parametrize(
    ("said", "algorithm"),
    [
        ({"x-amz-checksum-sha256": DIGEST, "ETag": '"x"'}, "sha256"),
        ({"x-amz-checksum-sha256": f"{DIGEST}-3", "ETag": '"0123-3"'}, None),
        ({"ETag": f'"{hashlib.md5(b"data").hexdigest()}"'}, "md5"),
        ({"ETag": f'"{"0" * 32}"', "x-amz-server-side-encryption": "aws:kms"}, None),
        ({"ETag": '"00000000000000000000000000000000-2"'}, None),
        ({}, None),
    ],
)
def test_what_an_object_is_verified_by(
    server: Shelf, said: dict[str, str], algorithm: str | None
) -> None:
    file = head(server, **said)
    assert file.algorithm == algorithm
    assert file.size == 4
    assert file.headers.get("If-Match") == said.get("ETag")
    if algorithm:
        sum_ = file.summing()
        sum_.update(b"data")
        assert sum_.hexdigest() == file.digest


def test_half_a_key_is_said() -> None:
    with pytest.raises(FetchError, match="AWS_SECRET_ACCESS_KEY is missing"):
        s3.account_of({"AWS_ACCESS_KEY_ID": "a"}, None)
    assert s3.account_of({}, None) is None
    whole = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "r"}
    assert s3.account_of(whole, None) == Account("a", "b", "r")
    assert s3.account_of(whole, "q") == Account("a", "b", "q")


@pytest.mark.parametrize(
    "page", [b"no", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"<ListBucketResult>"]
)
def test_what_is_no_listing_is_refused(server: Shelf, page: bytes) -> None:
    server.answers.append(lambda handler: bool(handler.give(200, page) or True))
    with pytest.raises(FetchError, match="XML"):
        listed(server, "s3://bucket/llm/")
