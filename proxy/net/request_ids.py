"""The ids of requests: unique across replicas and restarts, and cheap."""

from typing import Final, final


@final
class RequestIds:
    """`of_process` tells this process from every other one."""

    def __init__(self, of_process: str) -> None:
        self._prefix: Final = f"req-{of_process}-"
        self._number = 0

    def next(self) -> str:
        """Return the next request's id."""
        self._number += 1
        return self._prefix + hex(self._number)[2:]  # noqa: FURB116 - compiled, formats are slow
