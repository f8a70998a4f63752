"""Rows R40 and R41: an exception out of any callback ends the request that it was about, and nothing else.

https://github.com/chuckremes/zmqmachine/issues/5 and https://github.com/achimnol/aiotools/pull/86:
one callback that raises, and timers that have no part in it are never called again.
"""

import json
import os
import queue
import socket
from typing import Any

import pytest
from lockgate.connections.timer_wheel import Timer, TimerWheel
from lockgate.server import router as router_module
from twisted.internet.task import Clock

from tests.faults.conftest import Start
from tests.faults.rig import POLICY, Rig, body, request
from tests.support.client import Answer
from tests.support.responses import SSE_HEAD, word
from tests.support.upstream import reset, serve_well
from tests.support.wait import eventually, let_pass, pace

fault = pytest.mark.fault
WHOLE = ("dial", "serve", "served", "connected", "unconnected", "heard", "read", "deadline", "total", "lost")  # fmt: skip
"""Where the request is small, and nothing of an answer is out when it raises. A connection is made
for the first one only, and kept."""
UPLOADS = ("begin", "begun", "complete", "completed")
STREAMS = ("paused", "resumed", "looked", "caller", "taken")
PLACES = (*WHOLE, *UPLOADS, *STREAMS, "sent", "finished")


def policy() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(POLICY))
    made["backends"].append({"name": "dead", "inferenceServiceRef": {"name": "dead"}})
    soon = {"deadline": {"firstToken": "300ms"}, "total": {"total": "300ms"}}
    made["rules"] = [
        {"name": "dead", "match": {"models": ["unconnected"]}, "route": {"backends": ["dead"]}},
        *(
            {"name": n, "match": {"models": [n]}, "route": {"backends": ["local"]}, "timeouts": t}
            for n, t in soon.items()
        ),
        {"name": "all", "route": {"backends": ["local"]}},
    ]
    return made


def upstream(connection: socket.socket, one: bytes) -> None:
    """Be silent, leave, stream without end, or serve well: as the model wants it."""
    if b'"qwen"' not in one:
        raise AssertionError(one[:200])
    if b"SILENT" in one:
        pace(1.5)
    elif b"LEAVE" in one:
        reset(connection)
    elif b'"stream": true' in one:
        connection.sendall(SSE_HEAD + word("one"))
        while True:
            connection.sendall(word("w" * 30_000))
    else:
        serve_well(connection, one)


def says(place: str) -> str:
    return {"deadline": "SILENT", "total": "SILENT", "lost": "LEAVE"}.get(place, "well")


def upload(place: str) -> bytes:
    """A body of 3 MiB, of which most goes up before its end."""
    document = {**body(place), "x": "y" * (3 << 20)}
    data = json.dumps(document).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        b"content-length: %d\r\n\r\n"
    )
    return head % len(data) + data


def rest(connection: socket.socket) -> bytes:
    """Read to the end, however it comes."""
    data = b""
    try:
        while piece := connection.recv(1 << 20):
            data += piece
    except ConnectionResetError:
        pass
    return data


def streamed(rig: Rig, place: str) -> Answer:
    """Ask for a stream, read too little of it, then all; or send something after the request."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", rig.proxy.port))
        connection.sendall(request(body(place, stream=True)))
        begun = connection.recv(400)
        if place in {"caller", "taken"}:
            connection.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
        else:
            let_pass(1.3 if place == "looked" else 0.3)
        if place == "taken":  # the next request cannot be read; this one goes on
            let_pass(0.2)
            assert rig.metrics()["lockgate_in_flight"] == 1
        else:
            begun += rest(connection)
        return Answer(begun)


def internal(rig: Rig, place: str) -> list[str]:
    """Return what is wrong with how the request of `place` ended."""
    wrong = []
    if place in STREAMS:
        answer = streamed(rig, place)
        if answer.status != 200 or answer.clean:
            wrong.append(f"{answer.status}, clean: {answer.clean}")
        if place in {"resumed", "looked", "caller"} and b'"internal"' not in answer.raw[-2000:]:
            wrong.append(f"no error event: {answer.raw[-300:]!r}")
    elif place in {"sent", "finished"}:
        rig.ask({**body(place), "user": "well"})
    else:
        data = (
            upload(place)
            if place in UPLOADS
            else request({**body(place), "user": says(place)}, close=True)
        )
        answer = rig.talk(data)
        if answer.status != 500 or b'"internal"' not in answer.body:
            wrong.append(f"{answer.raw[:300]!r}")
    try:
        record = rig.record()
    except queue.Empty:
        return [*wrong, "no record"]
    outcome = {"finished": "complete", "taken": "client_gone"}.get(place, "internal")
    if record["outcome"] != outcome:
        wrong.append(f"{record['outcome']}, {record['terminal']}")
    return wrong


@pytest.mark.skipif(
    router_module.__file__.endswith(".so"),
    reason="compiled methods cannot be replaced by faulty ones; the plain build is injected",
)
@fault(
    "R40",
    "an exception out of each of 21 callbacks: of router, pool, deadlines, transports, producers",
    "one 500 or cut, one record `internal`; memory, permits and connections given back",
)
def test_r40_an_exception_ends_the_request_that_it_was_about(start: Start) -> None:
    rig = start(
        "--address",
        "dead=http://127.0.0.1:1",
        policy=policy(),
        module="tests.faults.faulty",
        env={**os.environ, "FAULT": "callbacks"},
    )
    rig.local.script = upstream
    held = ("lockgate_in_flight", "lockgate_permits_out", "lockgate_memory_held_bytes")
    wrong: dict[str, list[str]] = {}
    for place in PLACES:
        found = internal(rig, place)
        try:
            eventually(lambda: all(rig.metrics()[name] == 0 for name in held), 3)
        except AssertionError:
            left = {name: rig.metrics()[name] for name in held}
            found.append(f"left: {left}")
        if rig.ask({**body(), "user": "well"}).status != 200:
            found.append("the next request fails")
        rig.record()
        if found:
            wrong[place] = found
    assert wrong == {}
    assert rig.grew("lockgate_breaker_failures") == 0
    rig._log_from = rig.proxy.log.stat().st_size  # its tracebacks are what was injected


@fault(
    "R41", "a callback in a late turn empties a slot that is due too", "every other deadline is met"
)
def test_r41_a_callback_may_empty_a_later_slot_and_every_other_deadline_is_met() -> None:
    """One due in a late turn ends the owner of another one: https://github.com/pika/pika/pull/630.

    And https://github.com/npatrick04/timer-wheel/pull/2.
    """
    clock = Clock()
    reached: list[str] = []
    wheel = TimerWheel(clock)
    second = Timer(wheel, lambda: reached.append("second"))
    first = Timer(wheel, second.cancel)
    third = Timer(wheel, lambda: reached.append("third"))
    first.arm(0.1)
    second.arm(0.3)
    third.arm(2)
    clock.advance(0.8)  # late, and not so late that the process stood still
    assert reached == []
    clock.pump([0.05] * 40)
    assert reached == ["third"]
    assert clock.getDelayedCalls() == []
