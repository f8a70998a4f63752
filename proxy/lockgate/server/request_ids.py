"""The ids of requests: unique across replicas and restarts, and cheap."""

from typing import Final, final

_ENDS: Final = [f"{number:03x}" for number in range(0x1000)]


@final
class RequestIds:
    """`of_process` tells this process from every other one."""

    def __init__(self, of_process: str) -> None:
        self._prefix: Final = f"req-{of_process}-"
        self._number = 0
        self._begin = self._prefix + "0"

    def next(self) -> str:
        """Return the next request's id."""
        self._number += 1
        end = self._number & 0xFFF
        if not end:
            self._begin = f"{self._prefix}{self._number >> 12:x}"
        return self._begin + _ENDS[end]
