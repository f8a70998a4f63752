"""Logs go to stderr, one line an event; stdout belongs to the audit records."""

import sys
from typing import Any, TextIO, cast

from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)


def start_logging(out: TextIO = sys.stderr) -> None:
    """Send this process's log events to `out`; Twisted's own chatter below warnings stays out."""
    levels = LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)
    levels.setLogLevelForNamespace("lockgate", LogLevel.info)
    observer: Any = FilteringLogObserver(
        cast("Any", textFileLogObserver(out)), [cast("Any", levels)]
    )
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
