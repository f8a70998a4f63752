"""The page of an exchange's states, out of the table: ``python -m lockgate.exchange.reference``."""

import sys
from collections.abc import Iterator
from typing import Final

from lockgate.exchange.events import BodyRejected, ClientGone, Interrupted, ResponseWhole
from lockgate.exchange.machine import DIALLED, FAILED, TRANSITIONS
from lockgate.exchange.state import PHASE, State

_PAGE: Final = """\
# An exchange

One admitted request's life, from its decision to its record, is a state machine: `lockgate.exchange.machine`. This page
is written by `make docs` from its table. Each phase is an object with fields of its own:

- `Attempting`: a candidate is dialled, the request goes up, a response is waited for; a failed attempt comes back here.
- `Holding`: a response is held before the commit point, so that another candidate can still serve.
- `RelayingStream`, `RelayingBody`: it goes down to the client, and there is no second attempt.
- `Resuming`: a stream that broke off goes on with another candidate, where its rule says `recovery: resume`.

```mermaid
stateDiagram-v2
{picture}
```

Not drawn: {everywhere} end the exchange from each state in which
they can happen; `ResponseWhole` is a head, its data and its end in one event.

| state | letter | upon | may lead to |
| --- | --- | --- | --- |
{rows}
The letter is the phase in a terminal code (docs/errors.md); `b` while the request's body still arrives. An event that
is not in the table is a fault of ours: the exchange ends as `internal`.
"""  # noqa: E501 - a page's lines are as long as those of the other pages
_GROUPS: Final = {
    "Attempting": (State.CONNECTING, State.GATHERING, State.WAITING, State.PAUSING),
    "Holding": (State.HOLDING_STREAM, State.HOLDING_BODY, State.HOLDING_ERROR),
    "Relaying": (State.RELAYING_STREAM, State.RELAYING_BODY),
}
_EVERYWHERE: Final = (BodyRejected, ClientGone, Interrupted)
_UNDRAWN: Final = (*_EVERYWHERE, ResponseWhole)
_DIAL: Final = "dial"
_FAILED: Final = "failed"


def page() -> str:
    """Return the page."""
    everywhere = ", ".join(f"`{event.__name__}`" for event in _EVERYWHERE)
    return (
        _PAGE.replace("{picture}", "\n".join(_picture()))
        .replace("{everywhere}", everywhere)
        .replace("{rows}", "".join(_rows()))
    )


def _picture() -> Iterator[str]:
    for group, states in _GROUPS.items():
        yield f"    state {group} {{"
        for state in states:
            yield f"        {_name(state)} : {state.value}"
        yield "    }"
    for fork in (_DIAL, _FAILED):
        yield f"    state {fork} <<choice>>"
    yield f"    [*] --> {_name(State.NEW)}"
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, event), (_, following) in TRANSITIONS.items():
        if event not in _UNDRAWN:
            for target in _targets(following):
                arrows.setdefault((_name(state), target), []).append(event.__name__)
    for (start, end), events in arrows.items():
        yield f"    {start} --> {end} : {', '.join(events)}"
    for fork, target, words in _FORKS:
        yield f"    {fork} --> {target} : {words}"
    yield f"    {_name(State.DONE)} --> [*]"


def _targets(following: frozenset[State]) -> list[str]:
    """Return where the arrows go; to dial, and a failed attempt, is one arrow each."""
    if following >= FAILED:
        fork, left = [_FAILED], following - FAILED
    elif following >= DIALLED:
        fork, left = [_DIAL], following - DIALLED
    else:
        fork, left = [], following
    return [*(_name(state) for state in State if state in left), *fork]


def _name(state: State) -> str:
    return state.name.lower()


_FORKS: Final = (
    (_FAILED, _name(State.PAUSING), "once more on the same candidate"),
    (_FAILED, _DIAL, "the next candidate"),
    (_DIAL, _name(State.CONNECTING), "one is left"),
    (_DIAL, _name(State.GATHERING), "it needs a length, and the body is not whole"),
    (_DIAL, _name(State.DONE), "none is left"),
)


def _rows() -> Iterator[str]:
    for state in State:
        groups: dict[frozenset[State], list[str]] = {}
        for (at, event), (_, following) in TRANSITIONS.items():
            if at is state:
                groups.setdefault(following, []).append(event.__name__)
        for following, events in groups.items():
            upon = ", ".join(f"`{event}`" for event in events)
            to = ", ".join(target.value for target in State if target in following)
            yield f"| {state.value} | `{PHASE[state]}` | {upon} | {to or 'stays'} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
