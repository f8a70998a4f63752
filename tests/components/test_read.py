"""A file is read as one version of it, or refused."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, Self

import pytest
from lockgate.policy.reading.document import MAX_BYTES
from lockgate.policy.reading.problem import PolicyRefusedError
from pulumi_lockgate.stack.files import stack_file
from pulumi_lockgate.stack.read import (
    UnreadableError,
    load_named,
    load_source,
    load_stack,
    read_whole,
)


class Changing(type(Path())):  # type: ignore[misc]
    """A file that somebody does something to while it is read: the next of `acts`, each time."""

    acts: Iterator[Callable[[], object]] = iter(())

    def open(self, *arguments: object, **named: object) -> object:
        file = super().open(*arguments, **named)
        act = next(self.acts, lambda: None)
        return _Open(file, act)


class _Open:
    def __init__(self, file: BinaryIO, act: Callable[[], object]) -> None:
        self.file, self.act, self.fileno = file, act, file.fileno

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def read(self, size: int) -> bytes:
        first = self.file.read(2)
        self.act()
        return first + self.file.read(size - 2)


def changing(folder: Path, *texts: bytes) -> Changing:
    (folder / "p").write_bytes(b"first")
    path = Changing(folder / "p")
    path.acts = iter([partial((folder / "p").write_bytes, text) for text in texts])
    return path


def test_a_file_that_is_written_to_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    assert read_whole(changing(tmp_path, b"second, longer")) == b"second, longer"


def test_a_file_that_does_not_come_to_rest_is_refused(tmp_path: Path) -> None:
    path = changing(tmp_path, *(b"x" * n for n in range(20, 30)))
    with pytest.raises(UnreadableError) as refused:
        read_whole(path)
    assert str(refused.value) == (
        f"{path}: changes while it is read; "
        "write it elsewhere and rename it over this one, then try again"
    )


def test_a_file_that_is_replaced_while_it_is_read_is_the_old_one_whole(tmp_path: Path) -> None:
    path = changing(tmp_path)
    (tmp_path / "q").write_bytes(b"second")
    path.acts = iter([partial((tmp_path / "q").rename, tmp_path / "p")])
    assert read_whole(path) == b"first"
    assert read_whole(path) == b"second"


def test_no_more_is_read_than_shows_that_it_is_too_much(tmp_path: Path) -> None:
    path = tmp_path / "p"
    path.write_bytes(b"x" * (MAX_BYTES + 5000))
    assert len(read_whole(path)) == MAX_BYTES + 1


def test_a_stacks_policy_is_the_one_that_is_deployed() -> None:
    path = stack_file("dev")
    policy = load_named("dev")
    assert policy.digest == load_stack(path.read_bytes(), str(path)).policy.digest
    [backend] = [b for b in policy.spec.backends if b.inference_service_ref]
    assert backend.inference_service_ref is not None
    assert backend.inference_service_ref.namespace == "lockgate-dev"
    shown = path.read_text().splitlines()
    line = policy.line_of("rules[1]")
    assert line is not None
    assert shown[line - 1].strip() == "- name: complex-to-cloud"


def test_a_policy_that_is_no_stack_file_is_refused_where_a_stack_is_wanted() -> None:
    bare = b"backends:\n- name: local\n  inferenceServiceRef: { name: q }\n"
    assert load_source(bare, "p").spec.backends
    with pytest.raises(PolicyRefusedError) as refused:
        load_stack(bare, "p")
    assert str(refused.value) == (
        "p: config.lockgate:router: is missing; write `lockgate:router:` and the policy under it"
    )


def test_a_list_whose_items_are_an_object_is_refused_without_a_traceback() -> None:
    with pytest.raises(PolicyRefusedError, match="is neither a policy nor a stack file"):
        load_source(b"kind: List\nitems:\n  kind: ModelRouter\n", "list.yaml")
