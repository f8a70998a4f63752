"""JSON as Python's own module reads and writes it: what many model servers send.

Facts: RFC 8259 knows no NaN and no Infinity (section 6) and warns of lone surrogates (8.2);
Python's `json` writes and reads both (https://docs.python.org/3/library/json.html), and so do model
servers written in Python and the openai SDK for Python. orjson refuses both; it is tried first,
since it reads almost everything and is several times faster.
"""

import json
from typing import Any

import orjson


def read_json(data: bytes) -> Any:
    """Return what `data` says; ValueError where Python's `json` cannot read it."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data.decode("utf-8-sig"))  # which some servers on Windows begin with
    except RecursionError:
        raise ValueError("nested too deeply") from None


def write_json(document: object) -> bytes:
    """Return `document` as JSON, lone surrogates as escapes."""
    try:
        return orjson.dumps(document)
    except TypeError:  # orjson.JSONEncodeError is one
        return json.dumps(document, separators=(",", ":")).encode("ascii")
