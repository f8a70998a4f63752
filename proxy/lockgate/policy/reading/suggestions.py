"""Words every refusal: what is wrong, and the line to write instead.

A person reads a refusal with the file open beside it. So each ends with a line that can stand in
that file as it is, in backticks; words in capitals are for the reader to fill in. `structure` and
the checks say what is wrong as data, and know no words for a whole refusal.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal, get_args, get_origin

import attrs

from lockgate.policy.reading.document import Node
from lockgate.policy.reading.habits import field_habit, provider_habit
from lockgate.policy.reading.nearest import nearest
from lockgate.policy.reading.problem import Kind, Problem, Refusal
from lockgate.policy.spec.fields import Bytes, Rate, Seconds, bare_kind, doc_of, wire_name

ROUTER: Final = "lockgate:router"
_INDEX: Final = re.compile(r"\[[0-9]+\]")
_LONGEST: Final = 72
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*\Z|[0-9]+(ms|s|m|h|Ki|Mi|Gi)\Z")
_KEYWORDS: Final = frozenset({"true", "false", "null"})
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([A-Za-z]*)\Z")
_UNITS: Final = {
    "": "s",
    "ms": "ms",
    "millis": "ms",
    "milliseconds": "ms",
    "s": "s",
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "m": "m",
    "min": "m",
    "mins": "m",
    "minute": "m",
    "minutes": "m",
    "h": "h",
    "hour": "h",
    "hours": "h",
}
_RATE: Final = re.compile(r"([0-9]+) *([KM]?)i?B?(?:/s|ps)?\Z", re.IGNORECASE)
_SIZE: Final = re.compile(r"([0-9]+) *([KMG])i?B?\Z", re.IGNORECASE)


def worded(refusals: Iterable[Refusal]) -> list[Problem]:
    """Return each refusal as the problem that its reader sees."""
    return [
        Problem(refusal.path, refusal.line, *_WORDS[refusal.kind](refusal), refusal=refusal)
        for refusal in refusals
    ]


def _unknown(refusal: Refusal) -> tuple[str, str]:
    member, above = refusal.got, _above(refusal.path)
    habit = field_habit(member.key, above)
    if habit is not None:
        return "is not a field", habit
    places = [] if refusal.wanted is None else list(places_of(member.key, refusal.wanted))
    below = next((p for p in places if above and p.startswith(f"{above}.")), None)
    if below is not None:
        between = below.removeprefix(f"{above}.").removesuffix("[]").rpartition(".")[0]
        line = f"{between}: {{ {member.key}: {flow(member.node)} }}"
        return "is not a field", f"it stands under {between}: write `{line}`"
    if places:
        return "is not a field", f"{member.key} stands at {places[0]}: move it there"
    others = ", or write one of " + ", ".join(refusal.choices) if refusal.choices else ""
    return "is not a field", f"leave it out{others}"


def _above(path: str) -> str:
    """Return the path of the object that a field stands in, with ``[]`` for any index."""
    whole = _INDEX.sub("[]", path).rpartition(".")[0]
    return whole.rpartition(f"{ROUTER}.")[2] if f"{ROUTER}." in f"{whole}." else whole


def _misspelt(refusal: Refusal) -> tuple[str, str]:
    member, close = refusal.got, refusal.wanted
    habit = field_habit(member.key, _above(refusal.path))
    if habit is not None:
        return "is not a field", habit
    line = write(close, flow(member.node))
    if close == "credentialsSecretRef":  # never repeat what may be the secret itself
        line = write(close, "{ name: NAME }")
    elif member.node.line != member.line:
        line = f"write `{close}:`"  # its value stands below it
    return "is not a field", f"did you mean {close}? {line}"


def _empty(refusal: Refusal) -> tuple[str, str]:
    key = refusal.got.key
    return "is empty", f"{write(key, example(refusal.wanted, key))}, or leave it out"


def _unimplemented(refusal: Refusal) -> tuple[str, str]:
    member, row = refusal.got, refusal.wanted
    shown = "" if row.note == "any value" else f" ({member.node.value})"
    return f"{member.key}{shown} is not implemented in this version", row.suggestion


def _missing(refusal: Refusal) -> tuple[str, str]:
    field = refusal.wanted
    name = wire_name(field)
    return "is missing", f"add `{name}: {example(field.type, name)}` ({doc_of(field)})"


def _no_object(refusal: Refusal) -> tuple[str, str]:
    node, kind = refusal.got, refusal.wanted
    line = "write `backends:` and what a policy is made of"
    if refusal.path:
        line = write(refusal.path, _wrapped(kind, node) or example(kind, ""))
    return f"is {_shown(node)}, not an object", line


def _no_list(refusal: Refusal) -> tuple[str, str]:
    node = refusal.got
    items = "[]" if node.value is None else f"[{flow(node)}]"
    return f"is {_shown(node)}, not a list", write(refusal.path, items)


def _no_mapping(refusal: Refusal) -> tuple[str, str]:
    line = write(refusal.path, "{ KEY: VALUE }")
    return f"is {_shown(refusal.got)}, not a mapping", line


def _wrong_type(refusal: Refusal) -> tuple[str, str]:
    node = refusal.got
    noun, fitting = _NOUNS[refusal.wanted]
    return f"is {_shown(node)}, not {noun}", write(refusal.path, fitting(node))


def _no_value(refusal: Refusal) -> tuple[str, str]:
    value, (reason,) = refusal.got.value, refusal.choices
    line = write(refusal.path, _VALUES[refusal.wanted](value))
    return reason, f"{line}, or 0 for none" if refusal.wanted is Rate else line


def _no_choice(refusal: Refusal) -> tuple[str, str]:
    names = refusal.choices
    habit = provider_habit(str(refusal.got.value)) if refusal.path.endswith(".provider") else None
    if habit is not None:
        return f"{_shown(refusal.got)} is not one of {', '.join(names)}", habit
    close = nearest(str(refusal.got.value), names)
    asked = f"did you mean {close}? " if close else ""
    line = asked + write(refusal.path, *([close] if close else names))
    return f"{_shown(refusal.got)} is not one of {', '.join(names)}", line


_WORDS: Final[Mapping[Kind, Callable[[Refusal], tuple[str, str]]]] = {
    "unknown field": _unknown,
    "misspelt field": _misspelt,
    "empty": _empty,
    "not implemented": _unimplemented,
    "missing": _missing,
    "not an object": _no_object,
    "not a list": _no_list,
    "not a mapping": _no_mapping,
    "wrong type": _wrong_type,
    "wrong value": _no_value,
    "not a choice": _no_choice,
}
"""(message, suggestion) of each kind of refusal."""


def _shown(node: Node) -> str:
    """Say what a node is, for a message."""
    if node.is_mapping:
        return "an object"
    if isinstance(node.value, tuple):
        return "a list"
    if node.value is None:
        return "empty"
    if isinstance(node.value, bool):
        return str(node.value).lower()
    text = repr(node.value)
    return text if len(text) <= 60 else text[:57] + "..."


def _as_text(node: Node) -> str:
    members = node.value if node.is_mapping else ()
    name = next((m.node.value for m in members if m.key == "name"), None)
    if isinstance(name, str):
        return name
    return f'"{flow(node)}"' if isinstance(node.value, bool | int | float) else "TEXT"


def _as_truth(node: Node) -> str:
    return "false" if str(node.value).lower() in {"false", "no", "off", "0"} else "true"


def _as_count(node: Node) -> str:
    is_count = isinstance(node.value, str) and node.value.isdecimal()
    return node.value if is_count else "1"


def meant(name: str, names: Iterable[str]) -> str | None:
    """Return the question for a name that is close to one of `names`, None when none is."""
    close = nearest(name, names)
    return f"did you mean {close}?" if close else None


def ask(name: str, names: Iterable[str], path: str) -> str | None:
    """Ask for the name that was meant, with the line to write; None when none is close."""
    close = nearest(name, names)
    return f"{meant(name, names)} {write(path, close)}" if close else None


def write(path: str, text: str, *others: str) -> str:
    """Return the line to write at `path`: its key and `text`, or the item alone in a list.

    `others` are values that would do as well.
    """
    key = path.rpartition(".")[2]
    item = not key or key.endswith("]")
    shown = [text if item else f"{key}: {text}", *others]
    last = f" or `{shown.pop()}`" if others else ""
    return "write " + ", ".join(f"`{one}`" for one in shown) + last


def flow(value: Any) -> str:
    """Return a node, or plain data, as YAML on one line; ``...`` when that would be long."""
    text = _flow(value)
    return text if len(text) <= _LONGEST else "..."


def _flow(value: Any) -> str:
    if isinstance(value, Node):
        if value.is_mapping:
            inner = ", ".join(f"{m.key}: {_flow(m.node)}" for m in value.value)
            return "{ " + inner + " }" if inner else "{}"
        return _flow(value.value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and (value in _KEYWORDS or not _PLAIN.match(value)):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def example(kind: Any, name: str) -> str:
    """Return a value of `kind` for the field `name`, as YAML on one line."""
    kind = bare_kind(kind)
    origin = get_origin(kind)
    if attrs.has(kind):
        fields = attrs.fields(attrs.resolve_types(kind))
        shown = [f for f in fields if f.default is attrs.NOTHING] or [fields[0]]
        inner = ", ".join(f"{wire_name(f)}: {example(f.type, wire_name(f))}" for f in shown)
        return "{ " + inner + " }"
    if origin is tuple:
        return f"[{example(get_args(kind)[0], name.removesuffix('s'))}]"
    if origin is Literal:
        return str(get_args(kind)[0])
    if origin is not None and issubclass(origin, Mapping):
        return "{ KEY: VALUE }"
    simple = {bool: "true", int: "1", float: "0.5", Seconds: "30s", Bytes: "96Mi", Rate: "1KiB/s"}
    return simple.get(kind, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper())


def _wrapped(kind: Any, node: Node) -> str | None:
    """Return what the object looks like when `node` was meant as its first required field.

    Where none is required, as its first one if both are text.
    """
    fields = attrs.fields(attrs.resolve_types(kind))
    needed = [f for f in fields if f.default is attrs.NOTHING]
    if not needed and isinstance(node.value, tuple):
        needed = [f for f in fields if get_origin(bare_kind(f.type)) is tuple][:1]
    if not needed and isinstance(node.value, str) and bare_kind(fields[0].type) is str:
        needed = [fields[0]]
    if not needed or node.is_mapping or node.value is None:
        return None
    many = get_origin(bare_kind(needed[0].type)) is tuple
    if many != isinstance(node.value, tuple):
        return None
    rest = [f"{wire_name(f)}: {example(f.type, wire_name(f))}" for f in needed[1:]]
    return "{ " + ", ".join([f"{wire_name(needed[0])}: {flow(node)}", *rest]) + " }"


def _duration(value: object) -> str:
    """Return the Go duration that `value` was meant to be, 30s where it is unclear."""
    found = _DURATION.match(str(value))
    unit = _UNITS.get(found[2].lower()) if found else None
    return f"{found[1]}{unit}" if found and unit and float(found[1]) > 0 else "30s"


def _size(value: object) -> str:
    """Return the Kubernetes quantity that `value` was meant to be, 96Mi where it is unclear."""
    found = _SIZE.match(str(value))
    return f"{found[1]}{found[2].upper()}i" if found else "96Mi"


def _rate(value: object) -> str:
    """Return the rate that `value` was meant to be, 1KiB/s where it is unclear."""
    found = _RATE.match(str(value))
    if found is None:
        return "1KiB/s"
    return f"{found[1]}{(found[2].upper() + 'iB') if found[2] else 'B'}/s"


def places_of(name: str, kind: Any, path: str = "") -> Iterator[str]:
    """Yield where in `kind` a field called `name` stands."""
    for field in attrs.fields(attrs.resolve_types(kind)):
        inner = bare_kind(field.type)
        many = get_origin(inner) is tuple
        inner = bare_kind(get_args(inner)[0]) if many else inner
        place = f"{path}{wire_name(field)}" + ("[]" if many and attrs.has(inner) else "")
        if wire_name(field) == name:
            yield place
        if attrs.has(inner):
            yield from places_of(name, inner, f"{place}.")


_NOUNS: Final[Mapping[Any, tuple[str, Callable[[Node], str]]]] = {
    str: ("a text", _as_text),
    bool: ("true or false", _as_truth),
    float: ("a number", lambda _: "0.5"),
    int: ("a whole number", _as_count),
    Seconds: ("a duration", lambda node: _duration(node.value)),
}
"""What a type is called, and what a value of another type was meant to be."""
_VALUES: Final[Mapping[Any, Callable[[object], str]]] = {
    Seconds: _duration,
    Bytes: _size,
    Rate: _rate,
}
