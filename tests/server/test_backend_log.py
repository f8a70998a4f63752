"""What the log says of backends: each change once, with what to do, and no flood of it."""

from collections.abc import Iterator

import pytest
from lockgate.exchange.attempts import Attempt
from lockgate.policy.spec.backends import Backend, External, InferenceServiceRef, SecretRef
from lockgate.server.backend_log import EVERY_S, BackendLog
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What is logged for people about backends."""
    lines: list[str] = []

    def hear(event: LogEvent) -> None:
        if event.get("log_namespace") == "lockgate.backends":
            assert event["log_level"].name == "warn"
            lines.append(formatEvent(event))

    globalLogPublisher.addObserver(hear)
    yield lines
    globalLogPublisher.removeObserver(hear)


def attempt(backend: Backend, outcome: str, status: int | None) -> Attempt:
    made = Attempt(backend, None, 0.0)
    made.outcome, made.status = outcome, status
    return made


KEYED = Backend(
    name="cloud",
    tier="cloud",
    external=External(
        provider="openai", model="gpt", credentials_secret_ref=SecretRef(name="openai-key")
    ),
)
KEYLESS = Backend(name="box", external=External(provider="openai", model="m", url="http://box/"))
SERVICE = Backend(name="qwen", inference_service_ref=InferenceServiceRef(name="qwen"))


def test_r67_a_refused_key_is_one_line_a_minute_with_what_to_do(log: list[str]) -> None:
    """sevensolutions/nomad-iis#177: a missing key wrote a line for each request."""
    clock = Clock()
    notices = BackendLog(clock.seconds)
    for _ in range(500):
        notices.alarmed(attempt(KEYED, "upstream_auth", 401))
    (line,) = log
    assert line.startswith("backend cloud: upstream_auth: The backend does not accept this proxy's")
    assert line.endswith(
        "(it answered 401); see the key in Secret openai-key, and what its account may use"
    )
    clock.advance(EVERY_S)
    notices.alarmed(attempt(KEYED, "upstream_auth", 403))
    assert "(it answered 403)" in log[1]
    assert log[1].endswith("(499 more since the last line)")


@pytest.mark.parametrize(
    ("backend", "outcome", "words"),
    [
        (KEYLESS, "upstream_auth", "it gets no key: see external.credentialsSecretRef"),
        (KEYLESS, "upstream_model", "it was asked for m: see external.model"),
        (SERVICE, "upstream_model", "it was asked for qwen: see servedModel"),
        (KEYLESS, "upstream_path", "see external.url: http://box/"),
        (KEYED, "upstream_path", "see external.url: https://api.openai.com/v1"),
        (SERVICE, "upstream_path", "see whether InferenceService qwen speaks OpenAI's dialect"),
        (KEYED, "insufficient_quota", "in Secret openai-key, and what its account may use"),
    ],
)
def test_r67_the_line_says_which_setting_to_look_at(
    log: list[str], backend: Backend, outcome: str, words: str
) -> None:
    BackendLog(Clock().seconds).alarmed(attempt(backend, outcome, 404))
    assert log[0].startswith(f"backend {backend.name}: {outcome}: ")
    assert log[0].endswith(words)


def test_r67_each_backend_and_each_reason_has_its_own_minute(log: list[str]) -> None:
    notices = BackendLog(Clock().seconds)
    for backend in (KEYED, KEYLESS):
        for outcome in ("upstream_auth", "upstream_model"):
            for _ in range(3):
                notices.alarmed(attempt(backend, outcome, 400))
    assert len(log) == 4


def test_r67_a_state_that_flaps_is_told_once_and_then_as_it_stands(log: list[str]) -> None:
    clock = Clock()
    notices = BackendLog(clock.seconds)
    for second in range(100):
        notices.stands("a", "files", "is missing" if second % 2 == 0 else None, "is there")
        notices.look()
        clock.advance(1)
    assert log == ["backend a: is missing", "backend a: is there"] * 2
    notices.stands("a", "files", "is missing", "is there")
    assert len(log) == 4
    clock.advance(EVERY_S)
    notices.look()
    assert log[4:] == ["backend a: is missing"]


def test_r67_a_problem_that_stands_is_told_again_at_a_reload_alone(log: list[str]) -> None:
    clock = Clock()
    notices = BackendLog(clock.seconds)
    notices.stands("a", "files", None, "is there", anew=True)
    assert log == []
    notices.stands("a", "files", "is missing", "is there")
    clock.advance(10 * EVERY_S)
    notices.stands("a", "files", "is missing", "is there")
    assert len(log) == 1
    notices.stands("a", "files", "is missing", "is there", anew=True)
    assert len(log) == 2
    notices.keep(["b"])
    assert notices._states == {}
