"""What every test shares: profiles, and a loud word on what was not run."""

import shutil
import sys
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.upstream import Upstream

settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("house")


@pytest.fixture(scope="session")
def upstreams() -> dict[str, Upstream]:
    """Two scripted upstreams for the whole session."""
    return {"local": Upstream(), "cloud": Upstream()}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Fail a test that passed but left a transcript without its end."""
    playbook = sys.modules.get("tests.exchange.playbook")
    try:
        result = yield
        if playbook is not None:
            playbook.Playbook.end_all()
        return result
    finally:
        if playbook is not None:
            playbook.Playbook.begun.clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the real Pulumi CLI where there is none."""
    if shutil.which("pulumi"):
        return
    for item in items:
        if item.get_closest_marker("engine"):
            item.add_marker(pytest.mark.skip(reason="NOT RUN: no `pulumi` on PATH"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that were skipped."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section("NOT RUN")
        for report in skipped:
            terminalreporter.write_line(f"{report.nodeid}: {report.longrepr[2]}")
