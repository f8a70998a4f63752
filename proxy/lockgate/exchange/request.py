"""A request that passed the gates and was routed: what its exchange works on."""

from collections.abc import Mapping
from typing import Final, final
from zlib import crc32

from lockgate.bodies.scan import Scan
from lockgate.bodies.upload import Upload
from lockgate.policy.deciding.decision import Route


@final
class RoutedRequest:
    """An admitted request.

    `client_headers`: lower-case names to values. `response_headers`: rendered lines, each with
    its line end, that every response to this request carries. `chunks` is false for an HTTP/1.0
    client, whose streamed response ends with the connection. `client` tells clients apart: the
    address, until authentication names a principal; `client_request_id` is its own X-Request-Id.

    A large body is an `upload`, and `body` is empty. While it still arrives it is not `whole`:
    until `complete` says the rest, `scan` knows the model alone.
    """

    def __init__(  # noqa: PLR0913 - a request has this many sides
        self,
        *,
        request_id: str,
        body: bytes,
        scan: Scan,
        route: Route,
        client_headers: Mapping[str, tuple[str, ...]],
        response_headers: bytes,
        chunks: bool = True,
        close: bool = False,
        upload: Upload | None = None,
        whole: bool = True,
        client: str = "",
        client_request_id: str | None = None,
    ) -> None:
        self.request_id: Final = request_id
        self.client: Final = client
        self.client_request_id: Final = client_request_id
        self.body: Final = body
        self.scan = scan
        self.route: Final = route
        self.client_headers: Final = client_headers
        self.response_headers: Final = response_headers
        self.chunks: Final = chunks
        self.closes: Final = close
        self.upload: Final = upload
        self.whole = whole

    def complete(self, scan: Scan) -> None:
        """The body is whole."""
        self.scan = scan
        self.whole = True

    @property
    def close(self) -> bool:
        """Whether the connection ends with the response: the rest of a body is not read on."""
        return self.closes or not self.whole

    @property
    def is_chunked(self) -> bool:
        """Whether its client gave no length, and the body still arrives."""
        return not self.whole and self.upload is not None and self.upload.length is None

    def pieces(self) -> list[bytes]:
        """Return what came of the body, in order."""
        return [self.body] if self.upload is None else self.upload.pieces()

    def fingerprint(self) -> int:
        """Return a number that is the same for the same body, however it came."""
        if self.upload is None:
            return hash(self.body)
        found = 0
        for piece in self.upload.pieces():
            found = crc32(piece, found)
        return found

    @property
    def received_bytes(self) -> int:
        """How much of the body has come."""
        return len(self.body) if self.upload is None else self.upload.size

    @property
    def charged_bytes(self) -> int:
        """How much of the memory budget is charged for the body."""
        return len(self.body) if self.upload is None else self.upload.charged
