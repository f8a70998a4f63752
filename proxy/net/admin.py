"""The admin port: /metrics, /healthz and /readyz. Nothing secret, nothing that changes anything."""

from collections.abc import Callable

from twisted.web.http import Request
from twisted.web.resource import NoResource, Resource
from twisted.web.server import Site


class _Page(Resource):
    """A page whose content is asked for at each request: (status, type, body)."""

    isLeaf = True

    def __init__(self, content: Callable[[], tuple[int, str, bytes]]) -> None:
        super().__init__()
        self._content = content

    def render_GET(self, request: Request) -> bytes:
        """Give the page."""
        if request.postpath:
            request.setResponseCode(404)
            return b"not found\n"
        status, kind, body = self._content()
        request.setResponseCode(status)
        request.setHeader("content-type", kind)
        return body


def admin_site(metrics: Callable[[], bytes], unready: Callable[[], list[str]]) -> Site:
    """Return the site. `unready` names what keeps this proxy from taking requests."""

    def readiness() -> tuple[int, str, bytes]:
        reasons = unready()
        body = "ready\n" if not reasons else "".join(f"{reason}\n" for reason in reasons)
        return (503 if reasons else 200), "text/plain", body.encode()

    root = NoResource()
    root.putChild(b"healthz", _Page(lambda: (200, "text/plain", b"ok\n")))
    root.putChild(b"readyz", _Page(readiness))
    root.putChild(b"metrics", _Page(lambda: (200, "text/plain; version=0.0.4", metrics())))
    site = Site(root, timeout=10)
    site.noisy = False
    site.displayTracebacks = False
    return site
