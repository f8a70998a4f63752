"""The distributions' own lists and the pinned files say the same."""

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
REQUIREMENTS = ROOT / "requirements"
BESIDES = {"protobuf<6", "python-dateutil<3", "setuptools"}
"""What the environment holds for the policy pack, for tests and for installing, and no distribution needs."""


def project(folder: str) -> dict[str, Any]:
    held: dict[str, Any] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    return held


def stated(name: str) -> set[str]:
    lines = (
        line.partition("#")[0].strip() for line in (REQUIREMENTS / name).read_text().splitlines()
    )
    return {line for line in lines if line and not line.startswith("-r ")}


def names(requirements: set[str]) -> set[str]:
    return {re.split(r"[\[<>=~!; ]", one)[0] for one in requirements}


def test_the_images_requirements_are_the_distributions() -> None:
    assert stated("proxy.in") == set(project("proxy")["dependencies"])


def test_the_programs_requirements_are_those_of_both_distributions() -> None:
    proxy, program = project("proxy"), project("components")
    both = {*proxy["dependencies"], *program["dependencies"]} - {f"lockgate=={proxy['version']}"}
    assert stated("proxy.in") | stated("program.in") - BESIDES == both


def test_every_requirement_is_pinned() -> None:
    for name in ("proxy", "program"):
        text = (REQUIREMENTS / f"{name}.txt").read_text()
        pinned = set(re.findall(r"^([a-z0-9-]+)(?:\[[a-z]+\])?==", text, re.MULTILINE))
        assert names(stated(f"{name}.in")) <= pinned


def test_the_two_distributions_have_one_version_and_name_each_other_by_it() -> None:
    proxy, program = project("proxy"), project("components")
    assert program["version"] == proxy["version"]
    assert f"lockgate=={proxy['version']}" in program["dependencies"]
    assert proxy["optional-dependencies"]["plan"] == [f"pulumi-lockgate=={proxy['version']}"]
