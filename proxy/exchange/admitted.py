"""A request that passed the gates and was routed: what its exchange works on."""

from collections.abc import Mapping

from attrs import frozen

from proxy.exchange.body import Scan
from proxy.policy.decision import Route


@frozen
class Admitted:
    """An admitted request.

    `caller_headers`: lower-case names to values. `answer_headers`: rendered lines, each with
    its line end, that every answer to this request carries. `chunks` is false for an HTTP/1.0
    caller, whose streamed answer ends with the connection.
    """

    request_id: str
    body: bytes
    scan: Scan
    route: Route
    caller_headers: Mapping[str, tuple[str, ...]]
    answer_headers: bytes
    chunks: bool = True
    close: bool = False
