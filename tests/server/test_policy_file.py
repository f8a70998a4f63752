"""A policy file is looked at for changes, and what is in force is remembered."""

import os
from pathlib import Path

import pytest
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.problem import PolicyRefusedError
from lockgate.server.policy_file import PolicyFile

GOOD = b"backends: [{name: a, inferenceServiceRef: {name: a}}]\nrules: [{name: r, route: {backends: [a]}}]\n"


def fine(_: LoadedPolicy) -> None:
    """Have nothing against it."""


@pytest.fixture
def file(tmp_path: Path) -> PolicyFile:
    path = tmp_path / "policy.yaml"
    path.write_bytes(GOOD)
    return PolicyFile(path)


def test_what_was_loaded_is_remembered_and_is_no_change(file: PolicyFile) -> None:
    assert file.has_changed()
    policy = file.load(fine)
    assert [rule.name for rule in policy.spec.rules] == ["r"]
    assert (file.text, file.has_changed()) == (GOOD, False)


def test_a_file_put_in_its_place_is_a_change_though_it_says_the_same(file: PolicyFile) -> None:
    file.load(fine)
    new = file.path.with_suffix(".new")
    new.write_bytes(GOOD)
    os.utime(new, ns=(file.path.stat().st_atime_ns, file.path.stat().st_mtime_ns))
    new.rename(file.path)
    assert file.has_changed()


def test_a_file_that_is_gone_is_no_change(file: PolicyFile) -> None:
    file.load(fine)
    file.path.unlink()
    assert not file.has_changed()


def test_what_is_refused_leaves_the_text_in_force_and_is_looked_at_once(file: PolicyFile) -> None:
    file.load(fine)
    file.path.write_bytes(GOOD + b"typo: 1\n")
    with pytest.raises(PolicyRefusedError):
        file.load(fine)
    assert (file.text, file.has_changed()) == (GOOD, False)


def test_a_check_may_refuse_what_loads(file: PolicyFile) -> None:
    def never(_: LoadedPolicy) -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        file.load(never)
    assert file.text == b""
