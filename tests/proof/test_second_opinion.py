"""Another solver is asked everything that z3 is, and must say the same."""

import json
import sys
from random import Random
from typing import Any

import pytest
import z3
from click.testing import CliRunner, Result
from lockgate.cli.main import cli
from lockgate.policy.reading.load import compiled
from pulumi_lockgate.proof import solver
from pulumi_lockgate.proof.checks import prove
from pulumi_lockgate.proof.report import ContradictionError
from pulumi_lockgate.proof.second_opinion import SecondOpinion

from tests.proof import chances

LEAKING, PROVED = "examples/llmkube-readme.yaml", "prod"


def check(*words: str) -> Result:
    return CliRunner().invoke(cli, ["check", *words, "--second-opinion"])


def agree(seed: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Prove the policy of `seed` with both; return how many questions the second was asked."""
    monkeypatch.setattr(solver, "FIRST_SMALL", 0 if seed % 2 else 3)  # z3 has to find it
    policy, second = compiled(chances.policy(Random(seed), rich=seed % 3 > 0)), SecondOpinion()
    alone, both = prove(policy), prove(policy, second=second)
    assert [f.kind for f in both.findings] == [f.kind for f in alone.findings], seed
    return second.questions


def test_they_agree_on_random_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(agree(seed, monkeypatch) for seed in range(60)) > 300


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_they_agree_on_two_thousand_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(agree(seed, monkeypatch) for seed in range(1000, 3000)) > 10_000


@pytest.mark.parametrize(("policy", "status"), [(PROVED, 0), (LEAKING, 1)])
def test_the_verdict_is_the_same_and_says_who_agrees(policy: str, status: int) -> None:
    done = check(policy, "--json")
    assert done.exit_code == status, done.output
    said = json.loads(done.stdout)["second"]
    assert said.startswith("cvc5 ")
    assert said.endswith(" questions")
    assert f"  {said}\n" in check(policy).stdout


@pytest.mark.parametrize("lie", ["sat", "unsat"])
def test_a_solver_that_lies_is_a_contradiction(lie: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SecondOpinion, "_verdict", lambda *_: lie)
    monkeypatch.setattr(solver, "FIRST_SMALL", 0)  # z3 answers both ways
    done = check(LEAKING)
    assert done.exit_code == 5
    other = "unsat" if lie == "sat" else "sat"
    assert f"CONTRADICTION: z3 says {other}, and cvc5 " in done.stderr


def test_a_fault_in_z3_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(self: Any, *assumed: Any) -> Any:
        return z3.unsat if len(assumed) > 1 else REAL(self, *assumed)

    monkeypatch.setattr(solver, "FIRST_SMALL", 0)
    monkeypatch.setattr(z3.Solver, "check", forgetful)
    assert check(LEAKING).exit_code == 5


REAL = z3.Solver.check


def test_no_answer_in_time_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SecondOpinion, "_verdict", lambda *_: "unknown")
    done = check(PROVED)
    assert (done.exit_code, "says unknown" in done.stdout) == (1, True), done.output


def test_where_it_is_not_installed_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pulumi_lockgate.proof.second_opinion", None)
    done = check(PROVED)
    assert done.exit_code == 2
    assert "pip install 'pulumi-lockgate[second-opinion]'" in done.stderr


def test_what_it_cannot_translate_it_does_not_guess() -> None:
    second, one = SecondOpinion(), z3.Bool("one")
    with pytest.raises(NotImplementedError):
        second.add(z3.PbLe([(one, 2)], 3))
    second.add(z3.And(z3.PbGe([(one, 1)], 1), z3.Or(one), z3.BoolVal(val=True)))
    second.compare(z3.sat, [one], 5)
    with pytest.raises(ContradictionError):
        second.compare(z3.sat, [z3.Not(one)], 5)
