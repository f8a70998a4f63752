"""A memo keeps what was worked out, and is bounded in entries and in bytes."""

from lockgate.memo import BoundedMemo


def test_what_was_kept_is_found_and_nothing_else() -> None:
    memo: BoundedMemo[str, int] = BoundedMemo(2)
    memo.keep("a", 0)
    assert (memo.get("a"), memo.get("b"), len(memo)) == (0, None, 1)


def test_it_forgets_all_when_its_entries_are_too_many() -> None:
    memo: BoundedMemo[str, int] = BoundedMemo(2)
    for number, key in enumerate("abc"):
        memo.keep(key, number)
    assert (memo.get("a"), memo.get("b"), memo.get("c"), len(memo)) == (None, None, 2, 1)


def test_it_forgets_all_when_its_bytes_are_too_many() -> None:
    memo: BoundedMemo[str, int] = BoundedMemo(100, bound_bytes=10)
    memo.keep("a", 1, 6)
    memo.keep("b", 2, 4)
    assert (len(memo), memo.size_bytes) == (2, 10)
    memo.keep("c", 3, 1)
    assert (memo.get("a"), memo.get("c"), memo.size_bytes) == (None, 3, 1)
