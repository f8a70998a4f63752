"""What the real process writes can be replayed: records carry all that a decision reads."""

import json
from pathlib import Path

from click.testing import CliRunner
from lockgate.cli.main import cli

from tests.support.proxy import Proxy
from tests.support.upstream import Upstream


def test_the_proxys_own_records_replay_to_the_same(
    proxy: Proxy, local: Upstream, tmp_path: Path
) -> None:
    proxy.ask()
    proxy.ask(None, ("x-llmkube-classification", "PII, typo"))
    proxy.ask(None, ("x-llmkube-task-complexity", "simple"), ("x-llmkube-team", "blue"))
    proxy.ask({"model": "strict", "messages": []})
    proxy.ask(b"{}")
    file = tmp_path / "audit.jsonl"
    file.write_text("".join(json.dumps(proxy.record()) + "\n" for _ in range(5)))
    line = ["replay", str(file), "--policy", str(proxy.policy_file), "--json"]
    done = CliRunner().invoke(cli, line)
    assert done.exit_code == 0, done.output
    *each, last = [json.loads(shown) for shown in done.output.splitlines()]
    assert [shown["verdict"] for shown in each] == ["same"] * 4 + ["not_decided"]
    assert [shown["missing"] for shown in each] == [[]] * 5
    assert last["summary"]["broken"] == 0
