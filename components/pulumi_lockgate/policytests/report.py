"""What came of the tests: as text, as JSON, and as JUnit XML for a CI's own view."""

import re
from collections.abc import Iterator
from typing import Any, Final
from xml.etree import ElementTree as ET

import click
from attrs import frozen

from pulumi_lockgate.policytests.runner import Outcome

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped: https://www.w3.org/TR/xml/#charsets"""


@frozen
class Ran:
    """One file of tests that ran: its name, the policy's, the digest, what came.

    `places` has for each outcome the line where its test begins.
    """

    source: str
    policy: str
    digest: str
    outcomes: tuple[Outcome, ...]
    places: tuple[int | None, ...]

    @property
    def failed(self) -> int:
        """How many failed."""
        return sum(not outcome.passed for outcome in self.outcomes)


def lines(ran: tuple[Ran, ...]) -> Iterator[str]:
    """Yield the report for people."""
    for one in ran:
        yield f"{one.source} on {one.policy}"
        for outcome, line in zip(one.outcomes, one.places, strict=True):
            yield from _outcome(one.source, line, outcome)
    total, failed = sum(len(one.outcomes) for one in ran), sum(one.failed for one in ran)
    verdict = click.style(f"{failed} failed", fg="red", bold=True) if failed else "0 failed"
    yield f"{total} tests: {total - failed} passed, {verdict}"


def _outcome(source: str, line: int | None, outcome: Outcome) -> Iterator[str]:
    case = outcome.case
    if outcome.passed:
        yield f"  {click.style('ok', fg='green')}    {case.name}"
        return
    place = f"{source}:{line}" if line else source
    yield f"  {click.style('FAIL', fg='red', bold=True)}  {case.name}  ({place})"
    for told in failure(outcome):
        yield f"        {told}"


def failure(outcome: Outcome) -> Iterator[str]:
    """Yield the lines that say what was expected, what came, and why."""
    for mismatch in outcome.mismatches:
        yield f"{mismatch.part}"
        yield f"  expected  {mismatch.expected}"
        yield f"  got       {mismatch.got}"
    for line in outcome.because:
        yield f"because  {line}"


def as_document(ran: tuple[Ran, ...]) -> dict[str, Any]:
    """Return the report as JSON-ready data."""
    return {
        "tests": sum(len(one.outcomes) for one in ran),
        "failed": sum(one.failed for one in ran),
        "files": [
            {
                "file": one.source,
                "policy": one.policy,
                "policy_digest": one.digest,
                "tests": [_document(*pair) for pair in zip(one.outcomes, one.places, strict=True)],
            }
            for one in ran
        ],
    }


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


def junit(ran: tuple[Ran, ...]) -> bytes:
    """Return JUnit XML: a suite a file, a case a test, with the lines of each failure."""
    root = ET.Element("testsuites", _counts(ran), name="lockgate test")
    for one in ran:
        suite = ET.SubElement(root, "testsuite", _counts((one,)), name=_xml(one.source))
        properties = ET.SubElement(suite, "properties")
        for name, value in (("policy", one.policy), ("policy_digest", one.digest)):
            ET.SubElement(properties, "property", name=name, value=_xml(value))
        for outcome, line in zip(one.outcomes, one.places, strict=True):
            _case(suite, one.source, line, outcome)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _counts(ran: tuple[Ran, ...]) -> dict[str, str]:
    tests, failed = sum(len(one.outcomes) for one in ran), sum(one.failed for one in ran)
    return {"tests": str(tests), "failures": str(failed), "errors": "0", "skipped": "0"}


def _case(suite: ET.Element, source: str, line: int | None, outcome: Outcome) -> None:
    name, file = _xml(outcome.case.name), _xml(source)
    place = {"name": name, "classname": file, "file": file, "line": str(line or 0)}
    case = ET.SubElement(suite, "testcase", place, time="0")
    if not outcome.passed:
        message = "; ".join(
            f"{m.part}: expected {m.expected}, got {m.got}" for m in outcome.mismatches
        )
        told = ET.SubElement(case, "failure", type="mismatch", message=_xml(message))
        told.text = _xml("\n".join(failure(outcome)))


def _xml(text: str) -> str:
    return _NOT_XML.sub("�", text)
