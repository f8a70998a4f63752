"""``lockgate serve`` whose metrics are made at every look: a test looks many times a second."""

import sys

from lockgate.cli.main import main
from lockgate.server import admin

admin.KEPT_S = 0.0  # type: ignore[misc] # the one thing that is not as people run it
if __name__ == "__main__":
    sys.exit(main())
