"""The memory budget: what is held, by whom, and for whom there is no room."""

from hypothesis import given
from hypothesis import strategies as st
from lockgate.exchange.memory import WAITS_S, MemoryBudget
from lockgate.policy.spec.model_router import CallerMemory


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def budget(limit: int = 100, **shares: object) -> tuple[MemoryBudget, Clock]:
    clock = Clock()
    made = MemoryBudget(limit, clock)
    made.share_by(CallerMemory(**shares))  # type: ignore[arg-type]
    return made, clock


def test_one_caller_may_have_all_that_nobody_else_wants() -> None:
    memory, _ = budget()
    assert memory.try_reserve(90, "a")
    assert memory.try_reserve(10, "b")


def test_while_another_one_waits_a_caller_gets_no_more_than_its_share() -> None:
    memory, _ = budget()
    assert memory.try_reserve(90, "a")
    assert not memory.try_reserve(20, "b")
    assert not memory.try_reserve(5, "a")  # there is room for it, and b was told that there is none
    memory.release(50, "a")
    assert memory.try_reserve(5, "a")  # 45 of its 50
    assert not memory.try_reserve(10, "a")
    assert memory.try_reserve(20, "b")
    assert memory.refused == 3


def test_who_has_got_room_waits_no_more() -> None:
    memory, _ = budget()
    assert memory.try_reserve(90, "a")
    assert not memory.try_reserve(20, "b")
    memory.release(20, "a")
    assert memory.try_reserve(20, "b")
    memory.release(20, "b")
    assert memory.try_reserve(10, "a")


def test_who_does_not_come_back_waits_no_more() -> None:
    memory, clock = budget()
    assert memory.try_reserve(90, "a")
    assert not memory.try_reserve(20, "b")
    clock.now = WAITS_S + 1
    assert memory.try_reserve(5, "a")


def test_its_own_refusals_bind_nobody() -> None:
    memory, _ = budget()
    assert memory.try_reserve(90, "a")
    assert not memory.try_reserve(20, "a")
    assert memory.try_reserve(10, "a")


def test_the_share_is_settable_and_off_for_proxies_in_front() -> None:
    memory, _ = budget(share=0.2, excepted=("10.0.0.5/32", "fd00::/48"))
    assert memory.try_reserve(30, "10.0.0.4")
    assert memory.try_reserve(30, "10.0.0.5")
    assert memory.try_reserve(30, "fd00:0:0:1::/64")
    assert not memory.try_reserve(20, "c")
    assert not memory.try_reserve(1, "10.0.0.4")
    assert memory.try_reserve(1, "10.0.0.5")
    assert memory.try_reserve(1, "fd00:0:0:1::/64")
    memory.share_by(CallerMemory(share=1.0))
    assert memory.try_reserve(1, "10.0.0.4")


def test_to_ask_for_room_takes_none_and_waits() -> None:
    memory, _ = budget()
    assert memory.try_reserve(60, "a")
    assert memory.has_room(40, "b")
    assert memory.held_bytes == 60
    assert not memory.has_room(41, "b")
    assert not memory.try_reserve(1, "a")


def test_very_many_who_were_refused_are_not_all_remembered() -> None:
    memory, _ = budget()
    assert memory.try_reserve(100, "a")
    for number in range(10_000):
        assert not memory.try_reserve(1, f"caller {number}")
    assert len(memory._waiting) <= 64


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 60), st.floats(0, 8), st.booleans()),
        max_size=40,
    )
)
def test_no_more_is_held_than_the_budget_and_what_is_given_back_is_gone(
    steps: list[tuple[str, int, float, bool]],
) -> None:
    memory, clock = budget()
    held: list[tuple[str, int]] = []
    for client, size, pause, gives in steps:
        clock.now += pause
        if gives and held:
            owner, freed = held.pop(0)
            memory.release(freed, owner)
        if memory.try_reserve(size, client):
            held.append((client, size))
        assert memory.held_bytes == sum(size for _, size in held) <= memory.limit_bytes
    for owner, freed in held:
        memory.release(freed, owner)
    assert memory.held_bytes == 0
    assert not memory._by_client
