"""The structure's rules: which package may import which, and how large a module may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOPS = {
    "lockgate": ROOT / "proxy",
    "pulumi_lockgate": ROOT / "components",
    "infra": ROOT,
    "image": ROOT,
    "lockgate_pack": ROOT / "policy-pack",
}
SOURCES = {
    ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"): path
    for top, folder in TOPS.items()
    for path in sorted((folder / top).rglob("*.py"))
}
LAYERS = (
    ("lockgate.value", "lockgate.clock", "lockgate.memo", "lockgate.amount"),
    ("lockgate.policy",),
    ("lockgate.errors",),
    ("lockgate.http1", "lockgate.bodies"),
    ("lockgate.exchange", "lockgate.providers", "lockgate.doors"),
    ("lockgate.audit",),
    ("lockgate.eventloop",),
    ("lockgate.connections",),
    ("lockgate.server", "lockgate.quickstart", "lockgate.fetching"),
    ("lockgate.cli",),
)
"""From the ground up: a room may know itself and those below it, and no other on its own floor."""
PURE = LAYERS[:5]
IMPURE = {"twisted", "socket", "os", "time", "random", "subprocess", "asyncio", "threading", "secrets"}  # fmt: skip
PLAN_TIME = {"pulumi", "pulumi_kubernetes", "z3", "openai", "pulumi_lockgate", "infra"}
KNOWN_FROM_ABOVE = {
    "pulumi_lockgate": {
        "lockgate.policy",
        "lockgate.amount",
        "lockgate.value",
        "lockgate.fetching.source",
        "lockgate.audit.rehearsal",
        "lockgate.cli.errors",
        "lockgate.cli.policies",
        "lockgate.cli.shown",
        "lockgate.cli.results",
        "pulumi_lockgate",
    },
    "infra": {"pulumi_lockgate", "infra"},
    "image": {"image"},
    "lockgate_pack": {"lockgate_pack"},
}


def imports(path: Path) -> Iterator[str]:
    """Yield every module that `path` imports, type-checking and late imports too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in inner if name in SOURCES]
            yield from modules
            if len(modules) < len(inner):
                yield node.module


def within(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}.")


def room(module: str) -> str | None:
    return next((r for floor in LAYERS for r in floor if within(module, r)), None)


def floor(module: str) -> int:
    return next(n for n, floor in enumerate(LAYERS) if any(within(module, r) for r in floor))


def faults(module: str, imported: str) -> Iterator[str]:
    """Yield what is wrong with `module` importing `imported`."""
    top, ours = module.partition(".")[0], imported.partition(".")[0] in TOPS
    if top in KNOWN_FROM_ABOVE:
        if ours and not any(within(imported, place) for place in KNOWN_FROM_ABOVE[top]):
            yield f"{module} may not know {imported}"
        return
    if imported.partition(".")[0] in PLAN_TIME:
        yield f"{module} brings {imported} into the proxy's image"
    if room(module) is None or imported == "lockgate":
        return
    if within(imported, "lockgate"):
        mine, its = floor(module), floor(imported)
        if its > mine or (its == mine and room(imported) != room(module)):
            yield f"{module} may not know {imported}: it stands higher, or beside it"
    if any(room(module) in rooms for rooms in PURE) and imported.partition(".")[0] in IMPURE:
        yield f"{module} is pure and may not know {imported}"


@pytest.mark.parametrize("module", SOURCES)
def test_imports_point_one_way(module: str) -> None:
    found = [fault for name in imports(SOURCES[module]) for fault in faults(module, name)]
    assert found == []


def test_the_import_test_can_fail() -> None:
    assert list(faults("lockgate.policy.deciding.decide", "lockgate.server.router"))
    assert list(faults("lockgate.http1.framing", "lockgate.bodies.scan"))
    assert list(faults("lockgate.exchange.machine", "time"))
    assert list(faults("pulumi_lockgate.model_router", "lockgate.server.router"))
    assert list(faults("lockgate.server.router", "pulumi"))
    assert list(faults("lockgate_pack.proof", "lockgate.policy.reading.load"))
    assert not list(faults("lockgate.server.router", "lockgate.policy.reading.load"))


def test_every_room_of_the_proxy_has_its_floor() -> None:
    assert [m for m in SOURCES if within(m, "lockgate") and m != "lockgate" and not room(m)] == []


def circles() -> list[list[str]]:
    """Return every set of modules that import each other, straight or through others."""
    known = {m: {i for i in imports(p) if i in SOURCES} for m, p in SOURCES.items()}
    reach: dict[str, set[str]] = {}
    for module, straight in known.items():
        seen, todo = set[str](), list(straight)
        while todo:
            one = todo.pop()
            if one not in seen:
                seen.add(one)
                todo += known[one]
        reach[module] = seen
    found = {
        tuple(sorted({module} | {other for other in seen if module in reach[other]}))
        for module, seen in reach.items()
        if module in seen
    }
    return [list(circle) for circle in sorted(found)]


def test_no_two_rooms_know_each_other() -> None:
    assert circles() == []


@pytest.mark.parametrize("module", SOURCES)
def test_no_room_is_too_large(module: str) -> None:
    text = SOURCES[module].read_text()
    assert len(text.splitlines()) <= 400, "two nouns in one file"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name


def is_boolean(annotation: ast.expr | None, value: ast.expr | None, known: set[str]) -> bool:
    if isinstance(annotation, ast.Name) and annotation.id == "bool":
        return True
    if isinstance(value, ast.Name):
        return value.id in known
    return isinstance(value, ast.Constant) and isinstance(value.value, bool)


def booleans(node: ast.ClassDef) -> set[str]:
    """Return the attributes of a class that are declared or begin as booleans."""
    found = set()
    for one in node.body:
        if isinstance(one, ast.AnnAssign) and is_boolean(one.annotation, None, set()):
            found.add(ast.unparse(one.target))
    for method in (one for one in node.body if isinstance(one, ast.FunctionDef)):
        given = [*method.args.args, *method.args.kwonlyargs]
        known = {one.arg for one in given if is_boolean(one.annotation, None, set())}
        for one in ast.walk(method):
            if isinstance(one, ast.AnnAssign):
                targets, annotation = [one.target], one.annotation
            elif isinstance(one, ast.Assign):
                targets, annotation = one.targets, None
            else:
                continue
            names = {name for target in targets if (name := ast.unparse(target))[:5] == "self."}
            if is_boolean(annotation, one.value, known):
                found |= {name[5:] for name in names if name.count(".") == 1}
    return found


MOST_BOOLEANS = 4
STILL_TOO_MANY_BOOLEANS = {
    "lockgate.exchange.relay.StreamRelay",
}
"""Classes whose states are still spelt as booleans; empty when the structure is as it should be."""


def test_a_class_has_states_and_no_more_than_four_booleans() -> None:
    found = {
        f"{module}.{node.name}"
        for module in SOURCES
        if within(module, "lockgate")
        for node in ast.walk(ast.parse(SOURCES[module].read_text()))
        if isinstance(node, ast.ClassDef) and len(booleans(node)) > MOST_BOOLEANS
    }
    assert found == STILL_TOO_MANY_BOOLEANS


def test_the_count_of_booleans_can_fail() -> None:
    source = """
class Five:
    is_a: bool = False
    def __init__(self, d: bool):
        is_nothing: bool = True
        self.b = self.c = False
        self.d: Final = d
    def later(self):
        self.e = True
        self.name = "f"
"""
    (five,) = ast.parse(source).body
    assert isinstance(five, ast.ClassDef)
    assert booleans(five) == {"is_a", "b", "c", "d", "e"}


def test_the_reference_page_is_what_the_types_say() -> None:
    from lockgate.policy.reading.reference import page

    assert (ROOT / "docs" / "spec.md").read_text() == page()


def test_the_page_of_errors_is_what_the_tables_say() -> None:
    from lockgate.errors.reference import page

    assert (ROOT / "docs" / "errors.md").read_text() == page()


def test_the_page_of_an_exchange_is_what_its_table_says() -> None:
    from lockgate.exchange.reference import page

    assert (ROOT / "docs" / "exchange.md").read_text() == page()
