"""Builds the wheel. With LOCKGATE_COMPILED=1 the data path in it is compiled by mypyc.

The sources run as they are, which is how they are developed and tested; the compiled wheel is what
is deployed and measured. `make compiled` builds it (docs/adr/0006).
"""

import os
from pathlib import Path

from setuptools import Extension, setup

INTERPRETED = {
    "lockgate/errors/reference.py",  # writes a page
    "lockgate/exchange/reference.py",  # the same
    "lockgate/server/admin.py",  # twisted.web's resources
    "lockgate/eventloop/broken.py",  # after a fault of ours
    "lockgate/eventloop/client_tls.py",  # inherits from Twisted's
    "lockgate/connections/failures.py",  # at a failed dial
    "lockgate/server/breaker_log.py",  # at a breaker's change
    "lockgate/server/certificate.py",  # at the start and at a change
    "lockgate/server/background_request.py",  # at a health check or a shadow copy
    "lockgate/server/health.py",  # the same
    "lockgate/server/parent_watch.py",  # at the end
    "lockgate/server/process_limits.py",  # at the start
    "lockgate/server/app.py",  # at the start
    "lockgate/server/availability.py",  # once a second
    "lockgate/connections/resolver.py",  # at a dial
    "lockgate/server/backend_log.py",  # at a change
    "lockgate/server/supervisor.py",  # passes lines on
    "lockgate/server/options.py",  # at the start and at a reload
    "lockgate/server/log.py",  # at the start
    "lockgate/server/policy_file.py",  # at the start and at a reload
    "lockgate/eventloop/reactor.py",  # inherits from Twisted's reactor
    "lockgate/connections/endpoint.py",  # at a dial
    "lockgate/server/shadow.py",  # for a sample
    "lockgate/server/lifecycle.py",  # at a reload and at the end
    "lockgate/connections/tls.py",  # at a dial
    "lockgate/eventloop/sockets.py",  # inherits from Twisted's port and connector
}
"""What of the data path's folders stays Python, and why."""
BESIDES = [
    "lockgate/audit/line.py",
    "lockgate/audit/record.py",
    "lockgate/audit/sink.py",
    "lockgate/doors.py",
    "lockgate/memo.py",
    "lockgate/policy/deciding/decide.py",
    "lockgate/policy/deciding/decision.py",
    "lockgate/providers/dialect.py",
    "lockgate/value.py",
]
FOLDERS = ("errors", "http1", "bodies", "exchange", "eventloop", "connections", "server")
CONFIG = Path(__file__).resolve().parent.parent / "pyproject.toml"
"""Holds mypy's settings; mypyc reads them too."""


def data_path() -> list[str]:
    """Return the sources that every request runs through."""
    folders = (Path("lockgate") / folder for folder in FOLDERS)
    found = [str(path) for folder in folders for path in sorted(folder.glob("[!_]*.py"))]
    return [path for path in found if path not in INTERPRETED] + BESIDES


DIRECT = ["-fno-semantic-interposition", "-fvisibility=hidden", "-fno-plt"]
"""Nobody puts functions of their own before these: a call goes straight there, or is inlined."""


def compiled() -> list[Extension]:
    """Return the extension modules; mypyc is needed only where they are built."""
    from mypyc.build import mypycify

    settings = [f"--config-file={CONFIG}"]
    modules: list[Extension] = mypycify([*settings, *data_path()], opt_level="3")
    if os.name == "posix":
        for module in modules:
            module.extra_compile_args += DIRECT
    return modules


setup(ext_modules=compiled() if os.environ.get("LOCKGATE_COMPILED") == "1" else [])
