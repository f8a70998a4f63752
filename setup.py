"""Builds the wheel. With LOCKGATE_COMPILED=1 the data path in it is compiled by mypyc.

The sources run as they are, which is how they are developed and tested; the compiled wheel is what
is deployed and measured. `make compiled` builds it (docs/adr/0006).
"""

import os
from pathlib import Path

from setuptools import Extension, setup

INTERPRETED = {
    "proxy/exchange/reference.py",  # writes a page
    "proxy/net/admin.py",  # twisted.web's resources
    "proxy/net/broken.py",  # after a fault of ours
    "proxy/net/caller_tls.py",  # inherits from Twisted's
    "proxy/net/failures.py",  # at a failed dial
    "proxy/net/breaker_log.py",  # at a breaker's change
    "proxy/net/certificate.py",  # at the start and at a change
    "proxy/net/errand.py",  # at a health check or a shadow copy
    "proxy/net/health.py",  # the same
    "proxy/net/lifeline.py",  # at the end
    "proxy/net/limits.py",  # at the start
    "proxy/net/house.py",  # at the start
    "proxy/net/lookout.py",  # once a second
    "proxy/net/names.py",  # at a dial
    "proxy/net/notices.py",  # at a change
    "proxy/net/parent.py",  # passes lines on
    "proxy/net/policy_file.py",  # at the start and at a reload
    "proxy/net/ports.py",  # at the start
    "proxy/net/reactor.py",  # inherits from Twisted's reactor
    "proxy/net/resolve.py",  # at a dial
    "proxy/net/shadow.py",  # for a sample
    "proxy/net/service.py",  # at a reload and at the end
    "proxy/net/tls.py",  # at a dial
    "proxy/net/transport.py",  # inherits from Twisted's port and connector
}
"""What of the data path's folders stays Python, and why."""
BESIDES = [
    "proxy/govern/credentials.py",
    "proxy/govern/line.py",
    "proxy/govern/record.py",
    "proxy/govern/sink.py",
    "proxy/observe/metrics.py",
    "proxy/policy/decide.py",
    "proxy/policy/decision.py",
    "proxy/policy/value.py",
    "proxy/providers/dialect.py",
]


def data_path() -> list[str]:
    """Return the sources that every request runs through."""
    folders = (Path("proxy/exchange"), Path("proxy/net"))
    found = [str(path) for folder in folders for path in sorted(folder.glob("[!_]*.py"))]
    return [path for path in found if path not in INTERPRETED] + BESIDES


DIRECT = ["-fno-semantic-interposition", "-fvisibility=hidden", "-fno-plt"]
"""Nobody puts functions of their own before these: a call goes straight there, or is inlined."""


def compiled() -> list[Extension]:
    """Return the extension modules; mypyc is needed only where they are built."""
    from mypyc.build import mypycify

    modules: list[Extension] = mypycify(data_path(), opt_level="3")
    if os.name == "posix":
        for module in modules:
            module.extra_compile_args += DIRECT
    return modules


setup(ext_modules=compiled() if os.environ.get("LOCKGATE_COMPILED") == "1" else [])
