"""Prints what the tests of this folder measured, once they are over."""

from typing import Any

from tests.cluster.rig import REPORT


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if REPORT:
        terminalreporter.section("seen on the cluster")
        for line in REPORT:
            terminalreporter.write_line(line)
