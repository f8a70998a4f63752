"""How a mend is worded: the name that was meant, and the line to write instead.

A person reads a refusal with the file open beside it. So each ends with a line that can stand in
that file as it is, in backticks; words in capitals are for the reader to fill in.
"""

import difflib
import re
import types
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, Union, get_args, get_origin

import attrs

from lockgate.policy.reading.document import Node
from lockgate.policy.spec.fields import Bytes, Rate, Seconds, wire_name

_LONGEST: Final = 72
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*\Z|[0-9]+(ms|s|m|h|Ki|Mi|Gi)\Z")
_WORDS: Final = frozenset({"true", "false", "null"})
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
_KNOWN_AS: Final = {
    "apikey": "credentialsSecretRef",
    "key": "credentialsSecretRef",
    "secret": "credentialsSecretRef",
    "token": "credentialsSecretRef",
    "secretref": "credentialsSecretRef",
    "apibase": "url",
    "baseurl": "url",
    "address": "url",
    "priority": "rules",
    "routes": "rules",
    "default": "defaultRoute",
    "fallback": "defaultRoute",
    "labels": "dataClassification",
    "classification": "dataClassification",
}
"""What other routers call it, spelled as `_bare` does."""


def _bare(name: str) -> str:
    return name.rpartition(":")[2].lower().replace("_", "").replace("-", "")


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that `name` was meant to be; case and separators count little."""
    known = {_bare(one): one for one in sorted(names)}
    stated = _KNOWN_AS.get(_bare(name), "")
    if _bare(name) not in known and stated in known.values():
        return stated
    close = difflib.get_close_matches(_bare(name), list(known), n=1)
    return known[close[0]] if close else None


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


def renamed(key: str) -> str:
    """Return the line to write where a key alone is wrong, and its value stands below it."""
    return f"write `{key}:`"


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
    if isinstance(value, str) and (value in _WORDS or not _PLAIN.match(value)):
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


def bare_kind(kind: Any) -> Any:
    """Return `kind` without its None."""
    if get_origin(kind) in {Union, types.UnionType}:
        return next(arg for arg in get_args(kind) if arg is not type(None))
    return kind


def wrapped(kind: Any, node: Node) -> str | None:
    """Return what an object with one required field looks like when `node` was meant as that."""
    fields = attrs.fields(attrs.resolve_types(kind))
    needed = [f for f in fields if f.default is attrs.NOTHING]
    if len(needed) != 1 or node.is_mapping or node.value is None:
        return None
    many = get_origin(bare_kind(needed[0].type)) is tuple
    if many != isinstance(node.value, tuple):
        return None
    return "{ " + f"{wire_name(needed[0])}: {flow(node)}" + " }"


def missing(kind: Any, name: str, doc: str) -> str:
    """Return the mend for a required field that is not there."""
    return f"add `{name}: {example(kind, name)}` ({doc})"


def duration(value: object) -> str:
    """Return the Go duration that `value` was meant to be, 30s when nobody can tell."""
    found = _DURATION.match(str(value))
    unit = _UNITS.get(found[2].lower()) if found else None
    return f"{found[1]}{unit}" if found and unit and float(found[1]) > 0 else "30s"


def size(value: object) -> str:
    """Return the Kubernetes quantity that `value` was meant to be, 96Mi when nobody can tell."""
    found = _SIZE.match(str(value))
    return f"{found[1]}{found[2].upper()}i" if found else "96Mi"


def rate(value: object) -> str:
    """Return the rate that `value` was meant to be, 1KiB/s when nobody can tell."""
    found = _RATE.match(str(value))
    if found is None:
        return "1KiB/s"
    return f"{found[1]}{(found[2].upper() + 'iB') if found[2] else 'B'}/s"


def place_of(name: str, kind: Any, path: str = "") -> str | None:
    """Return where in `kind` a field called `name` stands, None when there is no such field."""
    for field in attrs.fields(attrs.resolve_types(kind)):
        inner = bare_kind(field.type)
        many = get_origin(inner) is tuple
        inner = bare_kind(get_args(inner)[0]) if many else inner
        place = f"{path}{wire_name(field)}" + ("[]" if many and attrs.has(inner) else "")
        if wire_name(field) == name:
            return place
        found = place_of(name, inner, f"{place}.") if attrs.has(inner) else None
        if found is not None:
            return found
    return None
