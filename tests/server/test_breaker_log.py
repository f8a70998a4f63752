"""A breaker's changes in the log: a line each, and no flood of a backend that flaps."""

from collections.abc import Iterator

import pytest
from lockgate.exchange.breaker import Opened
from lockgate.exchange.tally import Suspect
from lockgate.server.breaker_log import BURST, BreakerLog
from twisted.logger import formatEvent, globalLogPublisher

REFUSED = Opened(3.75, {"upstream_connect": 5})


@pytest.fixture
def lines() -> Iterator[list[str]]:
    said: list[str] = []

    def observer(event: object) -> None:
        said.append(f"{event['log_level'].name}: {formatEvent(event)}")  # type: ignore[index,arg-type]

    globalLogPublisher.addObserver(observer)  # type: ignore[arg-type]
    yield said
    globalLogPublisher.removeObserver(observer)  # type: ignore[arg-type]


def test_a_change_is_a_line_with_backend_reason_and_duration(lines: list[str]) -> None:
    now = [100.0]
    log = BreakerLog(lambda: now[0])
    log.opened("a", REFUSED)
    now[0] += 4
    log.opened("a", Opened(7.5, {"first_token_timeout": 1}, Suspect("c", None)))
    now[0] += 8
    log.closed("a")
    look = "shut to everybody; see whether it runs and can be reached"
    own = "shut to one caller; see its own log"
    assert lines == [
        f"warn: backend a: breaker open for 3.75 s after 5 x upstream_connect, {look}",
        f"warn: backend a: breaker open for 7.50 s after 1 x first_token_timeout, {own}",
        "info: backend a: breaker closed after 12.00 s, a request was answered well",
    ]


def test_a_backend_that_flaps_is_said_now_and_then_and_the_others_always(lines: list[str]) -> None:
    now = [100.0]
    log = BreakerLog(lambda: now[0])
    for _ in range(100):
        log.opened("a", REFUSED)
        log.closed("a")
        now[0] += 0.1
    assert len(lines) == BURST
    log.opened("b", REFUSED)
    assert "backend b" in lines.pop()
    now[0] += 10
    log.opened("a", REFUSED)
    assert "(190 changes before were not logged)" in lines[-1]
