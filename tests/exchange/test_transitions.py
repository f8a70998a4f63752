"""The table of an exchange: it is whole, the machine keeps to it, and the page draws it."""

import pytest
from lockgate.exchange import events as on
from lockgate.exchange import machine
from lockgate.exchange.machine import TRANSITIONS
from lockgate.exchange.reference import page
from lockgate.exchange.state import PHASE, ImpossibleStateError, State

from tests.exchange.playbook import Playbook, local


def after(state: State) -> set[State]:
    """Return what may follow a state at once."""
    return {
        one for (at, _), (_, following) in TRANSITIONS.items() if at is state for one in following
    }


def reached(start: State) -> set[State]:
    """Return what may follow a state at all."""
    found, todo = {start}, [start]
    while todo:
        new = after(todo.pop()) - found
        found |= new
        todo += new
    return found


def test_every_state_is_reached_and_nothing_follows_the_end() -> None:
    assert reached(State.NEW) == set(State)
    assert after(State.DONE) == set()


@pytest.mark.parametrize("state", [state for state in State if state is not State.DONE])
def test_every_state_can_end(state: State) -> None:
    assert State.DONE in reached(state)


def test_no_way_leads_back_over_the_commit_point() -> None:
    behind = {state for state in State if PHASE[state] in "sd"}
    assert reached(State.RELAYING_STREAM) <= behind
    assert reached(State.RELAYING_BODY) <= behind


def test_a_client_may_leave_at_any_time() -> None:
    live = [state for state in State if state not in {State.NEW, State.DONE}]
    for event in (on.ClientGone, on.Interrupted):
        assert [TRANSITIONS[state, event][1] for state in live] == [{State.DONE}] * len(live)


def test_a_step_that_leads_where_the_table_does_not_is_a_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, following = TRANSITIONS[State.NEW, on.Start]
    wrong = (lambda *_: State.RELAYING_BODY, following)
    monkeypatch.setitem(machine._STEPS[State.NEW], on.Start, wrong)
    exchange = Playbook(local("a")).exchange
    with pytest.raises(ImpossibleStateError, match="Start while new led to relaying body"):
        exchange.handle(on.Start())
    assert exchange.state is State.NEW


def test_the_page_draws_every_way_before_the_end() -> None:
    drawn = page()
    for state in State:
        assert f"    {state.name.lower()} --> " in drawn
    assert "holding_body --> relaying_body : ResponseData" in drawn
    assert "relaying_body --> resuming" not in drawn
