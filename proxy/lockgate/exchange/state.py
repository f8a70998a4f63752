"""The states of an exchange, and the phase letter each has in a terminal code."""

import enum
from typing import Final

from lockgate.errors.outcome import Phase


class State(enum.Enum):
    """Where an exchange stands."""

    __hash__ = object.__hash__  # by identity, in C: a state is looked up with every event

    NEW = "new"
    CONNECTING = "connecting"
    PAUSING = "pausing"
    GATHERING = "gathering"
    WAITING = "waiting"
    HOLDING_STREAM = "holding stream"
    HOLDING_BODY = "holding body"
    HOLDING_ERROR = "holding error"
    RELAYING_STREAM = "relaying stream"
    RELAYING_BODY = "relaying body"
    RESUMING = "resuming"
    DONE = "done"


PHASE: Final[dict[State, Phase]] = {
    State.NEW: "r",
    State.CONNECTING: "c",
    State.PAUSING: "c",
    State.GATHERING: "b",
    State.WAITING: "w",
    State.HOLDING_STREAM: "w",
    State.HOLDING_BODY: "w",
    State.HOLDING_ERROR: "w",
    State.RELAYING_STREAM: "s",
    State.RELAYING_BODY: "s",
    State.RESUMING: "s",
    State.DONE: "d",
}


class ImpossibleEventError(Exception):
    """The shell reported an event that cannot happen in this state: a fault of ours."""

    def __init__(self, state: State, event: object) -> None:
        super().__init__(f"{type(event).__name__} while {state.value}")


class ImpossibleStateError(Exception):
    """A step led to a state that the table does not allow for: a fault of ours."""

    def __init__(self, state: State, event: object, following: State) -> None:
        super().__init__(f"{type(event).__name__} while {state.value} led to {following.value}")
