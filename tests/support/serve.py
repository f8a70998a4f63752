"""``lockgate serve`` as tests run it: what a look at the admin port shows is as it is now.

Two things are not as people run it. The metrics are made at every look, and a look writes the audit
lines that wait, so that a test need not sleep for the flush. Both are done here and not by a flag or
a signal of the product: a flush that anybody at the admin port could ask for would undo the batching
that keeps a busy proxy's disk quiet, and the tests are the only ones who would use it.
"""

import sys
from pathlib import Path
from typing import Any

from lockgate.audit.sink import Sink
from lockgate.cli.main import main
from lockgate.clock import Clock
from lockgate.server import admin, app

_sinks: list[Sink] = []
_page = admin.Admin.page


def sink(clock: Clock, path: Path | None) -> Sink:
    """Return a sink that a look flushes."""
    made = Sink(clock, path)
    _sinks.append(made)
    return made


def page(self: admin.Admin, path: bytes, query: bytes = b"") -> Any:
    """Write what waits, and answer."""
    for one in _sinks:
        one.flush()
    return _page(self, path, query)


admin.KEPT_S = 0.0  # type: ignore[misc]
admin.Admin.page = page  # type: ignore[method-assign]
app.Sink = sink  # type: ignore[assignment,misc]
if __name__ == "__main__":
    sys.exit(main())
