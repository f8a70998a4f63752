"""What the engine knows of the stack: its own last output, read while the engine writes."""

from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from lockgate.policy.reading.problem import PolicyRefusedError
from pulumi_lockgate.proved_policy import WideningNotAcceptedError
from pulumi_lockgate.stack.engine import LastOutputError, StackRefusedError, last_policy
from pulumi_lockgate.stack.evaluate import evaluate
from pulumi_lockgate.widening import Record


def test_a_torn_read_is_repeated_and_a_lasting_one_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [RuntimeError("failed to load checkpoint: EOF")] * 3

    def invoke(token: str, arguments: Any) -> Any:
        assert token == "pulumi:pulumi:readStackOutputs"
        assert arguments == {"name": "organization/lockgate/dev"}
        if answers:
            raise answers.pop()
        return SimpleNamespace(value={"outputs": {"policy": "{}"}})

    monkeypatch.setattr("pulumi.runtime.invoke", invoke)
    for name, value in (
        ("organization", "organization"),
        ("project", "lockgate"),
        ("stack", "dev"),
    ):
        monkeypatch.setattr(f"pulumi.get_{name}", lambda value=value: value)
    pauses: list[float] = []
    assert last_policy(pauses.append) == Record("{}")
    assert len(pauses) == 3
    answers += [RuntimeError("no such backend")] * 100
    with pytest.raises(LastOutputError, match="no such backend"):
        last_policy(pauses.append)


def test_a_refused_stack_is_told_without_a_traceback() -> None:
    with pytest.raises(StackRefusedError, match="did you mean lockgate:namespace") as refused:
        evaluate("dev", {"lockgate:namepsace": "x"})
    # the engine shows a RunError as its text; `plan` catches the other
    assert isinstance(refused.value, pulumi.RunError)
    assert isinstance(refused.value, PolicyRefusedError)
    assert issubclass(WideningNotAcceptedError, pulumi.RunError)
