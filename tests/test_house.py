"""The house's own rules: which room may know which, and how large a room may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    p
    for top in ("proxy", "components", "infra", "policy-pack/lockgate_pack")
    for p in (ROOT / top).rglob("*.py")
)
PURE = {"proxy.policy", "proxy.exchange", "proxy.providers", "components.manifests"}
IMPURE = {"twisted", "treq", "socket", "os", "time", "random", "subprocess", "asyncio", "threading", "secrets"}  # fmt: skip
MAY = {
    "proxy.policy": {"proxy.policy"},
    "proxy.exchange": {"proxy.policy", "proxy.exchange"},
    "proxy.providers": {"proxy.policy", "proxy.exchange", "proxy.providers"},
    "proxy.govern": {"proxy.policy", "proxy.exchange", "proxy.providers", "proxy.govern"},
    "proxy.observe": {"proxy"},
    "proxy.net": {"proxy"},
    "proxy.cli": {"proxy"},
    "components": {"proxy.policy", "components"},
    "infra": {"components"},
    "policy-pack": set(),
}
PLAN_TIME = {"pulumi", "pulumi_kubernetes", "z3", "openai", "components", "infra"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def within(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}.")


def faults(module: str, imported: str) -> Iterator[str]:
    """Yield what is wrong with `module` importing `imported`."""
    place = max((p for p in MAY if within(module, p)), key=len, default=None)
    ours = any(within(imported, top) for top in ("proxy", "components", "infra"))
    if ours and place and not any(within(imported, p) for p in MAY[place]):
        yield f"{module} may not know {imported}"
    if within(module, "proxy") and any(within(imported, p) for p in PLAN_TIME):
        yield f"{module} brings {imported} into the proxy's image"
    if any(within(module, p) for p in PURE) and imported.partition(".")[0] in IMPURE:
        yield f"{module} is pure and may not know {imported}"


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_point_one_way(path: Path) -> None:
    found = [fault for name in imports(path) for fault in faults(module_of(path), name)]
    assert found == []


def test_the_import_test_can_fail() -> None:
    assert list(faults("proxy.policy.decide", "proxy.net.desk"))
    assert list(faults("proxy.exchange.machine", "time"))
    assert list(faults("components.model_router", "proxy.net.desk"))
    assert list(faults("proxy.net.desk", "pulumi"))
    assert list(faults("policy-pack.lockgate_pack.proof", "proxy.policy.load"))
    assert not list(faults("proxy.net.desk", "proxy.policy.load"))


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_no_room_is_too_large(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400, "two nouns in one file"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name


def test_the_reference_page_is_what_the_types_say() -> None:
    from proxy.policy.reference import page

    assert (ROOT / "docs" / "spec.md").read_text() == page()


def test_the_page_of_errors_is_what_the_tables_say() -> None:
    from proxy.exchange.reference import page

    assert (ROOT / "docs" / "errors.md").read_text() == page()
