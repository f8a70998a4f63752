"""The release: a well-formed workflow that asks for little, and a script that refuses a wrong tag."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml
from pulumi_lockgate.manifests.router import DEFAULT_IMAGE

from image.__main__ import REPOSITORY, version
from tests.ci.schemas import faults

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / ".github" / "workflows" / "release.yml"
SCHEMA = "https://json.schemastore.org/github-workflow.json"


def held() -> Any:
    return yaml.load(FILE.read_text(), Loader=yaml.BaseLoader)  # noqa: TID251 - no policy


def runs() -> list[str]:
    return [s["run"] for job in held()["jobs"].values() for s in job["steps"] if "run" in s]


def test_it_is_well_formed_by_its_published_schema() -> None:
    text = FILE.read_text().replace("ubuntu-24.04", "ubuntu-latest")
    # the packaged schema is older than both words; `make lint-ci` knows them
    document = yaml.safe_load(re.sub(r"^ +attestations: write\n", "", text, flags=re.MULTILINE))
    document = {("on" if key is True else key): value for key, value in document.items()}
    assert faults(SCHEMA, document) == []


def test_it_runs_on_versions_alone_and_each_job_may_do_its_own_part() -> None:
    workflow = held()
    assert list(workflow["on"]) == ["push"]
    assert list(workflow["on"]["push"]) == ["tags"]
    assert workflow["permissions"] == {}
    allowed = {name: set(job["permissions"]) for name, job in workflow["jobs"].items()}
    assert allowed == {
        "build": {"contents"},
        "images": {"packages", "id-token", "attestations"},
        "wheels": {"id-token"},
        "page": {"contents", "id-token", "attestations"},
    }
    assert workflow["jobs"]["build"]["permissions"] == {"contents": "read"}
    assert "secrets." not in FILE.read_text()


def test_actions_are_pinned_by_commit_with_their_version_beside() -> None:
    used = re.findall(r"uses: (.*)", FILE.read_text())
    assert len(used) > 8
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_nothing_from_outside_is_put_into_a_shell_and_nothing_is_called_latest() -> None:
    assert not [run for run in runs() if "${{" in run]
    assert "latest" not in FILE.read_text()


def test_it_pushes_what_the_manifests_name() -> None:
    assert held()["env"]["REPOSITORY"] == REPOSITORY
    images = held()["jobs"]["images"]["strategy"]["matrix"]["include"]
    names = {f"{REPOSITORY}/{one['image']}:{version()}" for one in images}
    assert DEFAULT_IMAGE in names


def test_what_is_pushed_is_signed_by_digest_with_provenance_and_contents() -> None:
    steps = held()["jobs"]["images"]["steps"]
    used = " ".join(step.get("uses", step.get("run", "")) for step in steps)
    for needed in ("cosign sign --yes", "@$DIGEST", "attest-build-provenance@", "attest-sbom@"):
        assert needed in used


def test_a_tag_of_another_version_is_refused_before_anything_is_made() -> None:
    around = os.environ | {"GITHUB_REF_NAME": "v9.9.9"}
    done = subprocess.run(
        [ROOT / "ci" / "release.sh"], env=around, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == f"the tag is v9.9.9 and the distributions' version {version()}\n"
