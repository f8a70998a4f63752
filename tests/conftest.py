"""What every test shares: profiles, and a loud word on what was not run."""

import os
import shutil
import sys
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.upstream import Upstream

PROFILES = {"quick": 50, "deep": 2000}
"""Examples of each property: `make test` runs the same few each time, `make properties` many new ones."""
for name, count in PROFILES.items():
    settings.register_profile(
        name,
        max_examples=count,
        deadline=None,
        derandomize=name == "quick",
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def upstreams() -> dict[str, Upstream]:
    """Two scripted upstreams for the whole session."""
    return {"local": Upstream(), "cloud": Upstream()}


@pytest.fixture
def local(upstreams: dict[str, Upstream]) -> Upstream:
    """The local upstream."""
    return upstreams["local"]


@pytest.fixture
def cloud(upstreams: dict[str, Upstream]) -> Upstream:
    """The cloud's upstream."""
    return upstreams["cloud"]


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


@pytest.hookimpl(trylast=True)  # Hypothesis marks its own first
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the real Pulumi CLI where there is none; put no clock on a property."""
    engine = shutil.which("pulumi") is not None
    for item in items:
        if item.get_closest_marker("engine") and not engine:
            item.add_marker(pytest.mark.skip(reason="NOT RUN: no `pulumi` on PATH"))
        if item.get_closest_marker("hypothesis"):  # struck in the middle, it looks flaky
            if item.get_closest_marker("timeout"):
                raise pytest.UsageError(f"{item.nodeid}: a clock on a property")
            item.add_marker(pytest.mark.timeout(0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that were skipped."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section("NOT RUN")
        for report in skipped:
            terminalreporter.write_line(f"{report.nodeid}: {report.longrepr[2]}")
