"""Rows of the fault matrix: each test says which, what was injected and what was seen.

    @fault("C5", "the client closes while the model thinks", "upstream cancelled, terminal Cw")

At the end of a run a line is printed for each row.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.rig import POLICY, Rig
from tests.faults.rows import NOT_HERE, ROWS
from tests.support.proxy import Proxy, secrets
from tests.support.upstream import Upstream
from tests.support.wait import eventually

Start = Callable[..., Rig]
"""Starts a proxy of a row's own."""


@pytest.fixture(scope="session")
def session_proxy(
    tmp_path_factory: pytest.TempPathFactory, upstreams: dict[str, Upstream]
) -> Iterator[Proxy]:
    """One proxy for every row that leaves it as it was."""
    folder = tmp_path_factory.mktemp("faults")
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    proxy = Proxy(folder, POLICY, addresses, "--secrets", str(secrets(folder)))
    yield proxy
    assert proxy.stop() == 0


@pytest.fixture
def rig(session_proxy: Proxy, upstreams: dict[str, Upstream]) -> Iterator[Rig]:
    """A proxy with closed breakers between upstreams that serve well; the invariants hold after."""
    for upstream in upstreams.values():
        upstream.reset()
    session_proxy.rest()
    eventually(lambda: session_proxy.metrics()["lockgate_connections"] == 0)
    held = Rig(session_proxy, upstreams["local"], upstreams["cloud"])
    for upstream in upstreams.values():
        upstream.reset()
    yield held
    held.hold_the_invariants()


@pytest.fixture
def start(tmp_path: Path, upstreams: dict[str, Upstream]) -> Iterator[Start]:
    """Run proxies of the row's own; the invariants hold of those that still run."""
    for upstream in upstreams.values():
        upstream.reset()
    rigs: list[Rig] = []
    held = secrets(tmp_path)

    def run(
        *more: str,
        policy: Any = POLICY,
        spare_fds: int = 0,
        addresses: dict[str, str] | None = None,
        **options: Any,
    ) -> Rig:
        folder = tmp_path / str(len(rigs))
        folder.mkdir()
        if addresses is None:
            addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
        proxy = Proxy(folder, policy, addresses, "--secrets", str(held), *more, **options)
        rig = Rig(proxy, upstreams["local"], upstreams["cloud"], spare_fds=spare_fds)
        rigs.append(rig)
        return rig

    yield run
    for rig in rigs:
        if rig.proxy.process.poll() is None:
            rig.hold_the_invariants()
            assert rig.proxy.stop() == 0


# -- a line for each row


def rows_of(item: pytest.Item) -> list[tuple[str, str, str]]:
    """Return the rows that a test is about."""
    return [(m.args[0], m.args[1], m.args[2]) for m in item.iter_markers("fault")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each test's report say which rows it is about, from whichever process it comes."""
    for item in items:
        if "tests/faults/" in item.nodeid:
            item.user_properties += [("row", row) for row in rows_of(item)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each row: id, what was injected, what was seen, how it ended."""
    if not terminalreporter.config.getoption("--rows", default=False):
        return
    rows: dict[str, dict[tuple[str, str], set[str]]] = {}
    for how in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(how, []):
            if how == "passed" and report.when != "call":
                continue
            for name, (row, injected, seen) in report.user_properties:
                if name == "row":
                    rows.setdefault(row, {}).setdefault((injected, seen), set()).add(how)
    terminalreporter.section("fault matrix")
    for row in ROWS:
        if row in NOT_HERE:
            terminalreporter.write_line(f"{row:<4} NOT HERE: {NOT_HERE[row]}")
            continue
        tests = rows.get(row, {})
        verdicts = set().union(*tests.values()) or {"no test"}
        verdict = "ok" if verdicts == {"passed"} else ", ".join(sorted(verdicts))
        said = "; ".join(f"{injected} -> {seen}" for injected, seen in tests)
        terminalreporter.write_line(f"{row:<4} {said or ROWS[row]}: {verdict}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that prints the rows."""
    parser.addoption("--rows", action="store_true", help="print a line for each row")
