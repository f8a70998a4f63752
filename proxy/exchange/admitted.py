"""A request that passed the gates and was routed: what its exchange works on."""

from collections.abc import Mapping
from typing import ClassVar, Final, final

from proxy.exchange.body import Scan
from proxy.exchange.value import Value
from proxy.policy.decision import Route


@final
class Admitted(Value):
    """An admitted request.

    `caller_headers`: lower-case names to values. `answer_headers`: rendered lines, each with
    its line end, that every answer to this request carries. `chunks` is false for an HTTP/1.0
    caller, whose streamed answer ends with the connection.
    """

    __match_args__: ClassVar = (
        "request_id",
        "body",
        "scan",
        "route",
        "caller_headers",
        "answer_headers",
        "chunks",
        "close",
    )

    def __init__(  # noqa: PLR0913 - a request has this many sides
        self,
        *,
        request_id: str,
        body: bytes,
        scan: Scan,
        route: Route,
        caller_headers: Mapping[str, tuple[str, ...]],
        answer_headers: bytes,
        chunks: bool = True,
        close: bool = False,
    ) -> None:
        self.request_id: Final = request_id
        self.body: Final = body
        self.scan: Final = scan
        self.route: Final = route
        self.caller_headers: Final = caller_headers
        self.answer_headers: Final = answer_headers
        self.chunks: Final = chunks
        self.close: Final = close
