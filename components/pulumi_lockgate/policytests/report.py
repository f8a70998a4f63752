"""The results of policy tests: as text, as JSON, and as JUnit XML for a CI system."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final
from xml.etree import ElementTree as ET

import click
from attrs import frozen

from pulumi_lockgate.policytests.runner import Outcome

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped: https://www.w3.org/TR/xml/#charsets"""


@frozen
class FileResult:
    """The outcomes of one test file under a policy.

    `source` is the test file, `policy` the policy's file or stack, `digest` its digest; `lines` has
    for each outcome the line where its test begins.
    """

    source: str
    policy: str
    digest: str
    outcomes: tuple[Outcome, ...]
    lines: tuple[int | None, ...]

    @property
    def placed(self) -> tuple[tuple[Outcome, int | None], ...]:
        """Each outcome with its line."""
        return tuple(zip(self.outcomes, self.lines, strict=True))

    @property
    def failed(self) -> int:
        """How many tests failed."""
        return sum(not outcome.passed for outcome in self.outcomes)


@frozen
class Results:
    """The results of every test file of one run."""

    files: tuple[FileResult, ...]

    @property
    def total(self) -> int:
        """How many tests ran."""
        return sum(len(file.outcomes) for file in self.files)

    @property
    def failed(self) -> int:
        """How many tests failed."""
        return sum(file.failed for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        """Return the results as JSON-ready data."""
        return {
            "tests": self.total,
            "failed": self.failed,
            "files": [
                {
                    "file": file.source,
                    "policy": file.policy,
                    "policy_digest": file.digest,
                    "tests": [_document(*placed) for placed in file.placed],
                }
                for file in self.files
            ],
        }

    def render(self, out: Callable[[str], object]) -> None:
        """Give `out` the lines for people, styled for a terminal, one at a time."""
        for file in self.files:
            out(f"{file.source} on {file.policy}")
            for outcome, number in file.placed:
                for line in _outcome(file.source, number, outcome):
                    out(line)
        failed = self.failed
        verdict = click.style(f"{failed} failed", fg="red", bold=True) if failed else "0 failed"
        out(f"{self.total} tests: {self.total - failed} passed, {verdict}")

    def junit(self) -> bytes:
        """Return JUnit XML: a suite for each file, a case for each test, with its failures."""
        root = ET.Element("testsuites", _counts(self), name="lockgate test")
        for file in self.files:
            counts = _counts(Results((file,)))
            suite = ET.SubElement(root, "testsuite", counts, name=_xml(file.source))
            properties = ET.SubElement(suite, "properties")
            for name, value in (("policy", file.policy), ("policy_digest", file.digest)):
                ET.SubElement(properties, "property", name=name, value=_xml(value))
            for outcome, line in file.placed:
                _case(suite, file.source, line, outcome)
        ET.indent(root)
        return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _outcome(source: str, line: int | None, outcome: Outcome) -> Iterator[str]:
    case = outcome.case
    if outcome.passed:
        yield f"  {click.style('ok', fg='green')}    {case.name}"
        return
    place = f"{source}:{line}" if line else source
    yield f"  {click.style('FAIL', fg='red', bold=True)}  {case.name}  ({place})"
    for reason in failure(outcome):
        yield f"        {reason}"


def failure(outcome: Outcome) -> Iterator[str]:
    """Yield the lines that say what was expected, what the policy decides, and why."""
    for mismatch in outcome.mismatches:
        yield f"{mismatch.part}"
        yield f"  expected  {mismatch.expected}"
        yield f"  got       {mismatch.got}"
    for line in outcome.because:
        yield f"because  {line}"


def _document(outcome: Outcome, line: int | None) -> dict[str, Any]:
    return {
        "name": outcome.case.name,
        "line": line,
        "passed": outcome.passed,
        "mismatches": [
            {"part": m.part, "expected": m.expected, "got": m.got} for m in outcome.mismatches
        ],
        "because": list(outcome.because),
    }


def _counts(results: Results) -> dict[str, str]:
    tests, failed = str(results.total), str(results.failed)
    return {"tests": tests, "failures": failed, "errors": "0", "skipped": "0"}


def _case(suite: ET.Element, source: str, line: int | None, outcome: Outcome) -> None:
    name, file = _xml(outcome.case.name), _xml(source)
    place = {"name": name, "classname": file, "file": file, "line": str(line or 0)}
    case = ET.SubElement(suite, "testcase", place, time="0")
    if not outcome.passed:
        message = "; ".join(
            f"{m.part}: expected {m.expected}, got {m.got}" for m in outcome.mismatches
        )
        element = ET.SubElement(case, "failure", type="mismatch", message=_xml(message))
        element.text = _xml("\n".join(failure(outcome)))


def _xml(text: str) -> str:
    return _NOT_XML.sub("�", text)
