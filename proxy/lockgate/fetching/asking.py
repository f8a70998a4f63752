"""HTTP for fetching: one CA bundle, credentials that stay with their host, errors in words."""

import http.client
import json
import ssl
import urllib.request
from collections.abc import Mapping
from email.message import Message
from pathlib import Path
from typing import IO, Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from attrs import frozen

TIMEOUT_S: Final = 60
"""For a connection, and for the next bytes."""
MOST_LISTING: Final = 64 << 20
"""Bytes of a listing: a thousand files take half a megabyte."""
_WHY: Final = {
    401: "asks who you are: the credentials are missing or not taken",
    403: "forbids it: these credentials may not read it",
    404: "has no such thing, or hides it from these credentials",
}
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class FetchError(Exception):
    """What was asked for did not come; the text says what, and what to do."""


class PassingError(FetchError):
    """Something that may be over at the next try. `wait_s` is how long the other side wants."""

    def __init__(self, text: str, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.wait_s = wait_s


@frozen
class Answer:
    """A response whose body is not read yet; `close` it."""

    url: str
    status: int
    headers: "Message[str, str]"
    body: IO[bytes]

    def close(self) -> None:
        """Leave the connection."""
        self.body.close()


class Asking:
    """Asks servers, trusting `ca` instead of the system's own authorities where there is one.

    Proxies are taken from the environment (HTTPS_PROXY, NO_PROXY). Raises OSError for a bundle that
    cannot be read.
    """

    def __init__(self, ca: Path | None = None, timeout_s: float = TIMEOUT_S) -> None:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
        self._timeout_s = timeout_s
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), _Redirects()
        )

    def ask(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        secret: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
    ) -> Answer:
        """Return the answer, whatever its status is.

        `secret` headers go to this origin alone. Raises FetchError where there is none.
        """
        # a URL of ours: no scheme but http comes so far
        request = urllib.request.Request(  # noqa: S310
            url, headers=dict(headers or {}), method=method
        )
        for name, value in (secret or {}).items():
            request.add_unredirected_header(name, value)
        try:
            found = self._opener.open(request, timeout=self._timeout_s)
        except HTTPError as refused:
            return Answer(refused.url, refused.code, refused.headers, refused)
        except (URLError, OSError, http.client.HTTPException) as problem:
            raise _unreached(url, problem) from problem
        return Answer(found.url, found.status, found.headers, found)

    def read(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        secret: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
    ) -> tuple[bytes, "Message[str, str]"]:
        """Return body and headers of a 2xx answer. Raises FetchError, PassingError."""
        answer = self.ask(url, headers, secret, method=method)
        try:
            if not 200 <= answer.status < 300:
                raise refusal(answer)
            body = answer.body.read(MOST_LISTING + 1)
        except (OSError, http.client.HTTPException) as problem:
            raise _unreached(url, problem) from problem
        finally:
            answer.close()
        if len(body) > MOST_LISTING:
            raise FetchError(f"{host_of(url)} lists more than {MOST_LISTING >> 20} MiB")
        return body, answer.headers

    def read_json(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        secret: Mapping[str, str] | None = None,
    ) -> tuple[Any, "Message[str, str]"]:
        """Return the JSON of a 2xx answer, and its headers. Raises FetchError, PassingError."""
        body, given = self.read(url, headers, secret)
        try:
            return json.loads(body), given
        except ValueError as problem:
            raise FetchError(f"{host_of(url)} answers with what is no JSON: {problem}") from None


def refusal(answer: Answer) -> FetchError:
    """Return the error for a status that is no success."""
    said = f"{host_of(answer.url)} answers {answer.status}"
    why = _WHY.get(answer.status)
    if answer.status in _AGAIN:
        return PassingError(said, _seconds(answer.headers.get("Retry-After")))
    text = f"{said} to {urlsplit(answer.url).path}"
    return FetchError(f"{text}: it {why}" if why else text)


def host_of(url: str) -> str:
    """Return the host of a URL, without what may be secret in it."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _seconds(said: str | None) -> float:
    return float(said) if said is not None and said.isdecimal() else 0.0


def _unreached(url: str, problem: BaseException) -> FetchError:
    reason = problem.reason if isinstance(problem, URLError) else problem
    if isinstance(reason, ssl.SSLCertVerificationError):
        why = f"its certificate is not trusted ({reason.verify_message}): name its CA by --ca"
        return FetchError(f"{host_of(url)}: {why}")
    return PassingError(f"{host_of(url)}: {reason!s:.200}" if str(reason) else host_of(url))


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects; credentials go on within one origin, and nothing goes from TLS to none."""

    def redirect_request(  # noqa: PLR0913, PLR0917 - urllib's signature
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the request to the place that a redirect names."""
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if before.scheme == "https" and after.scheme != "https":
            raise URLError(f"it redirects to {after.scheme}://{after.netloc}, which has no TLS")
        made = super().redirect_request(req, fp, code, msg, headers, newurl)
        if made is None:
            return None
        made.method = req.get_method()
        if (before.scheme, before.netloc) == (after.scheme, after.netloc):
            for name, value in req.unredirected_hdrs.items():
                made.add_unredirected_header(name, value)
        return made
