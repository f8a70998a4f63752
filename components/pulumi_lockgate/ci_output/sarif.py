"""Findings and refusals as SARIF 2.1.0, with the lines of the file that they are about.

SARIF is what code hosts show beside the code (OASIS, Static Analysis Results Interchange Format
2.1.0). One run a file; the place in the spec is the result's logical location, and its fingerprint
is made of what it is about, not of its line, so that a finding is the same one when lines move.
"""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any, Final
from urllib.parse import quote

from attrs import frozen
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.problem import EndsCommandError, PolicyRefusedError

from pulumi_lockgate.foreign.report import ForeignReport
from pulumi_lockgate.planned import Outcome, Refused, Violated
from pulumi_lockgate.proof.report import Finding, Report
from pulumi_lockgate.stack.files import stack_file
from pulumi_lockgate.stack.read import load_named
from pulumi_lockgate.widening import WideningVerdict

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
Run = dict[str, Any]
"""One run of a SARIF log, as plain data."""
RULES: Final = {
    "leak": "A sensitive request has a cloud backend in its chain",
    "invariant": "An invariant of the policy does not hold",
    "no_local_backend": "A sensitive label has no local backend",
    "dead_rule": "A rule that no request can reach",
    "refusing_rule": "A rule that can only refuse",
    "undecided": "A question that the proof could not answer",
    "refused": "The file does not load",
    "widening": "A change lets requests reach more than before, and nobody has accepted it",
}
"""Each kind of result in a sentence."""
_SEVERITY: Final = {"leak": "9.0", "invariant": "8.0", "widening": "7.5", "undecided": "7.0"}


@frozen
class Result:
    """One result: its kind, where it is (`line` from 1), what it is about, what is wrong."""

    kind: str
    path: str
    line: int | None
    subject: str
    message: str
    level: str = "error"


def of_report(report: Report, policy: LoadedPolicy, file: Path) -> Run:
    """Return the run of a proof of the policy in `file`."""
    results = [
        _of_finding(found, policy, "warning" if report.is_warning(found) else "error")
        for found in report.findings
    ]
    return _run(file, results, {"policyDigest": report.digest, "proved": report.proved})


def of_foreign(report: ForeignReport, file: Path) -> Run:
    """Return the run of a proof of another product's configuration."""
    results = []
    for found in report.findings:
        parts = [found.message, f"because {found.because}"]
        parts += [] if found.example is None else [found.example.curl()]
        about = f"{found.subject} {found.via} {found.reaches}"
        results.append(Result(found.kind, found.path, found.line, about, "\n".join(parts)))
    return _run(file, results, {"product": report.product, "proved": report.proved})


def of_refusal(refused: PolicyRefusedError) -> Run:
    """Return the run of a file that does not load."""
    results = [
        Result(
            "refused",
            p.path,
            p.line,
            p.path,
            f"{p.path or '(document)'}: {p.message}; {p.suggestion}",
        )
        for p in refused.problems
    ]
    return _run(Path(refused.source), results, {"proved": False})


def of_widenings(verdict: WideningVerdict, policy: LoadedPolicy, file: Path) -> Run:
    """Return the run of a comparison: a result for each thing that widens and is not accepted."""
    found = () if verdict.passed else verdict.widenings
    results = [
        Result("widening", w.path, policy.line_of(w.path), f"{w.kind} {w.line}", w.line)
        for w in found
    ]
    properties = {"policyDigest": policy.digest, "acceptance": verdict.acceptance}
    return _run(file, results, properties, name="lockgate/widening")


def runs_of(outcome: Outcome) -> list[Run]:
    """Return the run of a plan: what widens, what was proved wrong, or why it does not load."""
    file = _stack_file(outcome.stack)
    if isinstance(outcome, Refused):
        error = outcome.error
        if isinstance(error, PolicyRefusedError):
            return [of_refusal(error)]
        return [of_failure(str(error), file)]
    if isinstance(outcome, Violated):
        return [of_report(outcome.report, outcome.policy, file)]
    change = outcome.change
    policies = [policy for policy, _ in outcome.proofs]
    if change is None or len(policies) != 1:
        return [_run(file, [], {})]
    return [of_widenings(change, _with_lines(policies[0], file), file)]


def _stack_file(stack: str) -> Path:
    try:
        return stack_file(stack)
    except EndsCommandError:
        return Path(stack)


def _with_lines(policy: LoadedPolicy, file: Path) -> LoadedPolicy:
    """Return the policy as it stands in its file: a program has no lines."""
    try:
        return load_named(str(file))
    except EndsCommandError:
        return policy


def of_failure(text: str, file: Path) -> Run:
    """Return the run of a check that could not be made at all."""
    return _run(file, [], {"proved": False}, failure=text)


def log(runs: list[Run]) -> str:
    """Return the text of a SARIF file that holds `runs`."""
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": runs}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _of_finding(found: Finding, policy: LoadedPolicy, level: str) -> Result:
    parts = [found.message]
    if found.because is not None:
        parts.append(f"because {found.because}")
    if found.witness is not None:
        parts.append(found.witness.curl())
    about = f"{found.subject} {found.via or ''} {found.backend or ''}"
    line = policy.line_of(found.path)
    return Result(found.kind, found.path, line, about, "\n".join(parts), level)


def _run(
    file: Path,
    results: list[Result],
    properties: dict[str, Any],
    failure: str | None = None,
    name: str = "lockgate",
) -> Run:
    invocation: dict[str, Any] = {"executionSuccessful": failure is None}
    if failure is not None:
        note = {"level": "error", "message": {"text": failure}}
        invocation["toolExecutionNotifications"] = [note]
    uri = _uri(file)
    return {
        "tool": {"driver": _driver()},
        "automationDetails": {"id": f"{name}/{uri}"},
        "columnKind": "unicodeCodePoints",
        "invocations": [invocation],
        "results": [_result(result, uri) for result in results],
        "properties": properties,
    }


def _driver() -> dict[str, Any]:
    rules = [
        {
            "id": f"lockgate/{kind}",
            "name": kind.title().replace("_", ""),
            "shortDescription": {"text": sentence},
            "defaultConfiguration": {"level": "error"},
            "properties": {
                "tags": ["security"],
                "security-severity": _SEVERITY.get(kind, "5.0"),
                "precision": "very-high",
            },
        }
        for kind, sentence in RULES.items()
    ]
    return {"name": "Lockgate", "semanticVersion": version("lockgate"), "rules": rules}


def _result(result: Result, uri: str) -> dict[str, Any]:
    about = f"{result.kind}\n{uri}\n{result.subject}"
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": result.line or 1},
        }
    }
    if result.path:
        location["logicalLocations"] = [{"fullyQualifiedName": result.path}]
    return {
        "ruleId": f"lockgate/{result.kind}",
        "ruleIndex": list(RULES).index(result.kind),
        "level": result.level,
        "message": {"text": result.message},
        "locations": [location],
        "partialFingerprints": {"lockgate/v1": hashlib.sha256(about.encode()).hexdigest()},
    }


def _uri(file: Path) -> str:
    """Return `file` as code hosts want it: relative to the working directory that holds it."""
    path: PurePath = file
    if file.is_absolute() and file.is_relative_to(Path.cwd()):
        path = file.relative_to(Path.cwd())
    return quote(path.as_posix())
