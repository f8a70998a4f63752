"""The admin port: /metrics, /healthz and /readyz. Nothing secret, nothing that changes anything."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.web.http import Request
from twisted.web.resource import NoResource, Resource
from twisted.web.server import NOT_DONE_YET, Site


class _Page(Resource):
    """A page whose content is asked for at each request: (status, type, body), now or later."""

    isLeaf = True

    def __init__(self, content: Callable[[], Any]) -> None:
        super().__init__()
        self._content = content

    def render_GET(self, request: Request) -> bytes | int:
        """Give the page."""
        if request.postpath:
            request.setResponseCode(404)
            return b"not found\n"
        gone = request.notifyFinish().addErrback(lambda _: True)
        maybeDeferred(self._content).addCallback(self._finish, request, gone)
        return NOT_DONE_YET

    @staticmethod
    def _finish(found: tuple[int, str, bytes], request: Request, gone: "Deferred[Any]") -> None:
        if gone.called:
            return
        status, kind, body = found
        request.setResponseCode(status)
        request.setHeader("content-type", kind)
        request.write(body)
        request.finish()


def admin_site(metrics: Callable[[], Any], unready: Callable[[], Any]) -> Site:
    """Return the site; both callables may return a Deferred.

    `metrics` gives the exposition text in bytes, `unready` names what keeps this proxy from taking
    requests.
    """

    def readiness(reasons: list[str]) -> tuple[int, str, bytes]:
        body = "ready\n" if not reasons else "".join(f"{reason}\n" for reason in reasons)
        return (503 if reasons else 200), "text/plain", body.encode()

    def page(body: bytes) -> tuple[int, str, bytes]:
        return 200, "text/plain; version=0.0.4", body

    root = NoResource()
    root.putChild(b"healthz", _Page(lambda: (200, "text/plain", b"ok\n")))
    root.putChild(b"readyz", _Page(lambda: maybeDeferred(unready).addCallback(readiness)))
    root.putChild(b"metrics", _Page(lambda: maybeDeferred(metrics).addCallback(page)))
    site = Site(root, timeout=10)
    site.noisy = False
    site.displayTracebacks = False
    return site
