"""The Dockerfile starts what `make image` starts, as the same user, and asks a verb of ours."""

import json
import re
from pathlib import Path

from click.testing import CliRunner
from lockgate.cli.main import cli

from image import oci
from image.__main__ import SERVING
from image.layers import USER

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "image" / "Dockerfile").read_text().replace("\\\n", " ")
LAST = TEXT[TEXT.rindex("\nFROM ") :]


def said(instruction: str) -> str:
    (found,) = re.findall(rf"^{instruction} (.*)$", LAST, re.MULTILINE)
    return str(found)


def test_it_starts_what_the_other_image_starts() -> None:
    assert json.loads(said("ENTRYPOINT")) == list(SERVING.entrypoint)
    assert json.loads(said("CMD")) == list(SERVING.arguments)
    assert [int(port) for port in said("EXPOSE").split()] == list(SERVING.ports)
    assert said("USER") == f"{USER}:{USER}"
    assert said("FROM") == "scratch"


def test_its_environment_is_the_other_images() -> None:
    settings = json.loads(oci.Image("amd64", [], SERVING, {}, 0).config)["config"]
    assert said("ENV").split() == settings["Env"]


def test_its_health_check_is_a_command_that_is_there() -> None:
    line = json.loads(said("HEALTHCHECK").partition("CMD")[2])
    assert line[0] == SERVING.entrypoint[0]
    assert CliRunner().invoke(cli, [*line[1:], "--help"]).exit_code == 0


def test_every_path_that_it_needs_is_sent_to_the_build() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert ignored[1] == "*"
    assert {"Makefile", "pyproject.toml", "requirements", "proxy", "components", "image"} == sent
    assert all((ROOT / path).exists() for path in sent)
