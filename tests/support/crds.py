"""Custom resources against the schemas that their makers publish, out of their Go modules."""

import json
import shutil
import subprocess
import zipfile
from functools import lru_cache
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

Schema = dict[str, Any]


@lru_cache
def published(module: str, version: str, path: str) -> Schema:
    """Return the CustomResourceDefinition at `path` in a Go module; skip the test without one."""
    if shutil.which("go") is None:
        pytest.skip("NOT RUN: no `go` on PATH to fetch the schema with")
    done = subprocess.run(
        ["go", "mod", "download", "-json", f"{module}@{version}"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    try:  # a module for a newer Go is fetched all the same, and `go` complains beside it
        file = json.loads(done.stdout)["Zip"]
    except (ValueError, KeyError):
        pytest.skip(f"NOT RUN: {module} cannot be fetched: {(done.stderr or done.stdout).strip()}")
    with zipfile.ZipFile(file) as archive:
        found: Schema = yaml.safe_load(archive.read(f"{module}@{version}/{path}"))
    return found


def faults(definition: Schema, thing: dict[str, Any]) -> list[str]:
    """Return what a definition finds wrong with an object; a field that it does not know, too."""
    group, _, version = thing["apiVersion"].partition("/")
    named = definition["spec"]
    assert (group, thing["kind"]) == (named["group"], named["names"]["kind"])
    served = [
        one["schema"]["openAPIV3Schema"] for one in named["versions"] if one["name"] == version
    ]
    if not served:
        return [f"{version} is not served"]
    found = Draft202012Validator(_closed(served[0])).iter_errors(thing)
    return [f"{'/'.join(map(str, fault.path))}: {fault.message}" for fault in found]


def _closed(schema: Any) -> Any:
    """Return a structural schema as strict decoding reads it: nothing is there that it does not name."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    # OpenShift's Route has `anyOf: null`, which an API server reads as nothing
    closed = {key: _closed(value) for key, value in schema.items() if value is not None}
    open_ = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and not open_:
        closed["additionalProperties"] = False
        if "apiVersion" in schema["properties"]:
            closed["properties"]["metadata"] = {"type": "object"}
    return closed
