"""The demo: every step that it shows was checked by the demo itself, so its status is the verdict."""

import os
import subprocess
import sys
from pathlib import Path


def test_the_demo_shows_what_it_claims(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lockgate.cli.main", "demo"],
        cwd=tmp_path,  # it needs no project
        env=os.environ | {"CI": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\nok  ") == 12
    assert max(len(line) for line in done.stdout.splitlines() if not line.startswith("curl")) <= 80
