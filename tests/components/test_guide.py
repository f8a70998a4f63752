"""docs/guides/library.md: what it shows of Python runs."""

import re
from pathlib import Path

from tests.components.program import tell

TEXT = (Path(__file__).parent.parent.parent / "docs" / "guides" / "library.md").read_text()


def test_its_program_runs_and_is_proved() -> None:
    first, *more = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    told = tell(lambda: exec(first, {}))
    assert told.error is None
    assert told.exported["gate"]["verdict"].startswith("PROVED")
    for block in more:
        assert (
            tell(lambda block=block: exec("import pulumi_lockgate as lockgate\n" + block, {})).error
            is None
        )
