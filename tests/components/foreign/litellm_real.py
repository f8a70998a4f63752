"""Drives the real LiteLLM of `litellm_process.py`, in the environment of `make test-deep`."""

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parent.parent.parent.parent
PYTHON = ROOT / ".venv" / "litellm" / "bin" / "python"
MISSING = "LiteLLM is not installed: make .venv/litellm/.made"


class LiteLLM:
    """One process of it. Every config is loaded from nothing."""

    def __init__(self) -> None:
        line = [str(PYTHON), str(Path(__file__).with_name("litellm_process.py"))]
        self._process = subprocess.Popen(
            line,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.providers = frozenset(self._read()["providers"])

    def ask(self, config: dict[str, Any], requests: list[dict[str, Any]]) -> dict[str, Any]:
        """Return what became of `requests` under `config`, or why it is refused."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"config": config, "requests": requests}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "LiteLLM's process has ended"
        found: dict[str, Any] = json.loads(line)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=20)
