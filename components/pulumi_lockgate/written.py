"""What `lockgate plan` writes to folders: manifests with their proof, and what admission compares.

A folder of manifests is what Argo CD, Flux or `kubectl apply -f` take as it is. They read what ends
in .yaml, .yml or .json there, so the proof beside the manifests is a text.
"""

import re
from pathlib import Path
from typing import Any, Final

import click
import yaml
from lockgate.cli.errors import write_output
from lockgate.policy.reading.problem import UnusableInputError

from pulumi_lockgate.manifests.admission import KEY, admission_manifests, proved_texts
from pulumi_lockgate.manifests.metal import METAL
from pulumi_lockgate.notices import COMPONENT
from pulumi_lockgate.planned import Planned
from pulumi_lockgate.stack.evaluate import UNKNOWN

MARK: Final = "# written by lockgate plan: a later one writes it again, or takes it away"
INSTANCE: Final = "app.kubernetes.io/instance"
PROOF: Final = "proof.txt"
INSTALL: Final = "admission.yaml"
PARAMETER: Final = "proved.yaml"


def write_plan(planned: Planned, out: Path) -> None:
    """Write one YAML file an object, numbered so that `kubectl apply -f` keeps the order.

    Beside them stands what the plan found, as `proof.txt`, and below `metal`, by its name, what is
    installed on a machine outside the cluster. Files of an earlier plan whose objects are gone are
    taken away; nothing else in the folder is touched.
    """
    _make(out)
    # a Secret's values are known to the engine alone: `up` makes it, and no file
    manifests = [one for one in planned.plan.manifests if one["kind"] != "Secret"]
    digits = max(2, len(str(len(manifests) - 1)))
    files = {
        f"{number:0{digits}}-{_called(manifest)}.yaml": _yaml(manifest)
        for number, manifest in enumerate(manifests)
    }
    for file in sorted(out.glob("*.yaml")):
        if file.name not in files and _is_ours(file):
            _remove(file)
    for name, text in files.items():
        write_output(out / name, text)
    for manifest in manifests:
        if (manifest["metadata"].get("labels") or {}).get(COMPONENT) == METAL:
            _write_machine(out / "metal" / manifest["metadata"]["labels"][INSTANCE], manifest)
    lines: list[str] = []
    planned.render(lines.append)
    write_output(out / PROOF, click.unstyle("\n".join(lines)) + "\n")


def _write_machine(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the files of a machine, as they stand in its ConfigMap; its other objects have none."""
    if manifest["kind"] != "ConfigMap":
        return
    _make(folder)
    for name, text in manifest["data"].items():
        write_output(folder / name, text)


def write_admission(planned: Planned, out: Path) -> None:
    """Write what refuses a policy.json that was not proved, and the texts that were.

    Raises UnusableInputError where something widens that is not accepted, or a value of a policy is
    known to the engine alone: then nothing is written, and nothing newly passes.
    """
    if planned.exit_status != 0:
        raise UnusableInputError(f"{out}: not written: what widens is not accepted")
    texts = _texts(planned)
    if not texts:
        raise UnusableInputError(f"{out}: not written: no policy is wholly known before `up`")
    _make(out)
    install = [one for namespace in texts for one in admission_manifests(namespace)]
    unique = {str(one): one for one in install}  # the policies are the same for each namespace
    write_output(out / INSTALL, _all(list(unique.values())))
    write_output(
        out / PARAMETER, _all([proved_texts(space, held) for space, held in texts.items()])
    )


def _texts(planned: Planned) -> dict[str, dict[str, str]]:
    """Return, by namespace, the proved policy.json of each ConfigMap by its name."""
    proved = {policy.json.decode() for policy, _ in planned.proofs}
    found: dict[str, dict[str, str]] = {}
    for manifest in planned.plan.manifests:
        metadata = manifest["metadata"]
        text = manifest.get("data", {}).get(KEY) if manifest["kind"] == "ConfigMap" else None
        namespace = metadata.get("namespace")
        if text in proved and isinstance(namespace, str) and UNKNOWN not in namespace:
            found.setdefault(namespace, {})[metadata["name"]] = text
    return found


def _called(manifest: dict[str, Any]) -> str:
    called = f"{manifest['kind']}-{manifest['metadata']['name']}".lower()
    return re.sub("[^a-z0-9.-]+", "-", called)


def _yaml(manifest: dict[str, Any]) -> str:
    ordered = {key: manifest[key] for key in ("apiVersion", "kind", "metadata")} | manifest
    return f"{MARK}\n{yaml.safe_dump(ordered, sort_keys=False, width=100)}"


def _all(manifests: list[dict[str, Any]]) -> str:
    return "---\n".join(map(_yaml, manifests))


def _is_ours(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8") as text:
            return text.readline().rstrip("\n") == MARK
    except (OSError, UnicodeDecodeError):
        return False


def _remove(file: Path) -> None:
    try:
        file.unlink()
    except OSError as problem:
        raise UnusableInputError(f"{file}: cannot be removed: {problem.strerror}") from problem


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise UnusableInputError(f"{folder}: cannot be written: {problem.strerror}") from problem
