"""Signatures are those of AWS's own signer, botocore, for whatever is signed."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from lockgate.providers.sigv4 import EMPTY, Account, signed

WHEN = datetime(2026, 11, 27, 12, 30, 59, tzinfo=UTC)
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=0x24F), min_size=1, max_size=12)
SEGMENT = TEXT.filter(lambda text: text not in {".", ".."} and "/" not in text)
TOKEN = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=8).map(lambda t: f"x-a{t}z")


@given(
    st.sampled_from(["s3", "bedrock"]),
    st.sampled_from(["GET", "POST", "HEAD"]),
    st.lists(SEGMENT, min_size=1, max_size=4),
    st.lists(st.tuples(TEXT, TEXT), max_size=4, unique_by=lambda pair: pair[0]),
    st.dictionaries(TOKEN, st.text("abc  1", min_size=1, max_size=9).map(str.strip).filter(bool), max_size=3),
    st.none() | st.just("TOKEN"),
)  # fmt: skip
def test_a_signature_is_that_of_awss_own_signer(
    service: str,
    method: str,
    path: list[str],
    query: list[tuple[str, str]],
    headers: dict[str, str],
    token: str | None,
) -> None:
    url = f"https://host.example/{'/'.join(quote(one, safe='-_.~') for one in path)}"
    if query:
        url += "?" + urlencode(query, quote_via=quote)
    ours = signed(
        Account("AKIA", "s/e+c", "eu-west-1", token), service, method, url, headers, EMPTY, WHEN
    )

    kind: Any = S3SigV4Auth if service == "s3" else SigV4Auth
    signer = kind(Credentials("AKIA", "s/e+c", token), service, "eu-west-1")
    request = AWSRequest(method, url, headers={**headers, "x-amz-content-sha256": EMPTY})
    request.context["timestamp"] = "20261127T123059Z"
    request.context["payload_signing_enabled"] = True
    request.headers["X-Amz-Date"] = "20261127T123059Z"
    if token:
        request.headers["X-Amz-Security-Token"] = token
    canonical = signer.canonical_request(request)
    theirs = signer.signature(signer.string_to_sign(request, canonical), request)
    assert ours["authorization"].rpartition("Signature=")[2] == theirs, canonical
