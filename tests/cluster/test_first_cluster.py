"""docs/guides/first-cluster.md, word for word: from `pulumi login` to `pulumi stack rm`."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.rig import KUBECTL, ROOT, Cluster
from tests.support.engine import project_in

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif("KUBECONFIG" not in os.environ, reason="NOT RUN: no KUBECONFIG"),
]
GUIDE = ROOT / "docs" / "guides" / "first-cluster.md"
SKIPPED = "<!-- not in the test"


def blocks(text: str) -> Iterator[str]:
    """The commands of the guide, without those of another kind of cluster."""
    for before, block in re.findall(r"([^\n]*)\n```bash\n(.*?)```", text, re.DOTALL):
        if not before.startswith(SKIPPED):
            yield block


def test_every_command_of_the_guide_works(tmp_path: Path) -> None:
    project = project_in(tmp_path)
    shutil.copy(ROOT / "Makefile", project)
    # the environment is made: only that it is there is looked at
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "kubectl").symlink_to(Path(KUBECTL).resolve())
    (tools / "make").write_text("#!/bin/sh\nexit 0\n")
    (tools / "make").chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        **os.environ,
        "HOME": str(home),
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "OPENAI_API_KEY": "sk-CANARY",
    }
    environment.pop("PULUMI_CONFIG_PASSPHRASE", None)
    script = "set -euo pipefail\n" + "\n".join(blocks(GUIDE.read_text()))
    try:
        done = subprocess.run(
            ["bash", "-c", script], cwd=project, env=environment, capture_output=True, text=True,
            check=False, timeout=500,
        )  # fmt: skip
    finally:
        Cluster().delete_namespace("lockgate-first")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert "PROVED: no request marked sensitive has a cloud backend in its chain" in said
    assert re.search(r"^local-qwen answers: \S", said, re.MULTILINE), said[-3000:]
    assert re.search(r"^503 ", said, re.MULTILINE), said[-3000:]
    assert '"rule":"sensitive-stays-local"' in said.replace('": "', '":"')
    assert "CANARY" not in said
    left = Cluster().get("namespace")["items"]
    assert "lockgate-first" not in {one["metadata"]["name"] for one in left}
