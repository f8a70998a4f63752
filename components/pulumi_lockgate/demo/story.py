"""What the demo shows: each step is one claim, acted out with the real `openai` SDK and checked."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import openai
from attrs import define, field

from pulumi_lockgate.demo.processes import RunningDemo
from pulumi_lockgate.demo.stand_in import WORDS

MODEL: Final = "assistant"
PROMPT: Final[Any] = [{"role": "user", "content": "Say who you are."}]
CANCEL_S: Final = 3.0


class StepFailedError(Exception):
    """A step did not show what it should."""


@define
class Shown:
    """What a step showed: a sentence, and the audit record of its request."""

    said: str
    record: dict[str, Any]


@define
class Step:
    """A claim, and the function that acts it out."""

    claim: str
    act: Callable[["Actor"], Shown]


@define
class Actor:
    """An agent: it knows one URL and sends headers."""

    demo: RunningDemo
    client: openai.OpenAI = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.client = openai.OpenAI(
            base_url=self.demo.url + "/v1", api_key="agents-need-no-key", max_retries=0
        )

    def ask(self, **headers: str) -> tuple[str, dict[str, Any]]:
        """Ask without streaming; return the answer's text and the audit record."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            answer = self.client.chat.completions.create(
                model=MODEL, messages=PROMPT, extra_headers=named
            )
        finally:
            record = self.demo.next_record()
        return answer.choices[0].message.content or "", record

    def stream(self, **headers: str) -> Any:
        """Begin a stream."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.chat.completions.create(
            model=MODEL, messages=PROMPT, stream=True, extra_headers=named
        )


def expect(truth: bool, what: str) -> None:  # noqa: FBT001 - reads as an assertion
    """Fail the step unless `truth`."""
    if not truth:
        raise StepFailedError(what)


def _plain(actor: Actor) -> Shown:
    text, record = actor.ask()
    expect(record["backend"] == "local-qwen", f"served by {record['backend']}, not local-qwen")
    return Shown(f"answer: {text[:48]}…", record)


def _streaming(actor: Actor) -> Shown:
    words = [chunk.choices[0].delta.content or "" for chunk in actor.stream()]
    record = actor.demo.next_record()
    text = "".join(words)
    expect(text.split() == WORDS, "the streamed words are not the stand-in's")
    expect(record["outcome"] == "complete", f"outcome {record['outcome']}")
    return Shown(f"{len(words)} events: {text[:40]}…", record)


def _pii(actor: Actor) -> Shown:
    _, record = actor.ask(x_llmkube_classification="pii")
    expect(record["tier"] == "local", "a sensitive request met the cloud tier")
    expect(record["labels"] == ["pii"], f"labels {record['labels']}")
    return Shown("served, and only local backends were candidates", record)


def _complex(actor: Actor) -> Shown:
    _, record = actor.ask(x_llmkube_task_complexity="complex")
    expect(record["backend"] == "cloud-gpt", f"served by {record['backend']}, not cloud-gpt")
    return Shown("the hard step went to the cloud model", record)


def _unknown_label(actor: Actor) -> Shown:
    _, record = actor.ask(x_llmkube_classification="pubilc", x_llmkube_task_complexity="complex")
    expect(record["tier"] == "local", "a typo in a label reached the cloud")
    expect(record["unrecognised"] is True, "the record does not say unrecognised")
    return Shown("label `pubilc` is unknown: handled as every sensitive one", record)


def _cloud_500(actor: Actor) -> Shown:
    actor.demo.cloud.become("fail")
    _, record = actor.ask(x_llmkube_task_complexity="complex")
    actor.demo.cloud.become("ok")
    tried = [attempt["backend"] for attempt in record["attempts"]]
    expect(record["backend"] == "local-qwen", "the answer did not fall back to local-qwen")
    expect(tried[0] == "cloud-gpt", f"tried {tried}")
    return Shown(f"tried {' -> '.join(tried)}", record)


def _cut(actor: Actor) -> Shown:
    actor.demo.local.become("cut")
    words: list[str] = []
    said = ""
    try:
        words.extend(chunk.choices[0].delta.content or "" for chunk in actor.stream())
    except openai.APIError as error:
        said = type(error).__name__
    actor.demo.local.become("ok")
    record = actor.demo.next_record()
    expect(said != "", "the SDK took a cut stream for a whole one")
    expect(record["outcome"] in {"truncated", "upstream_died"}, f"outcome {record['outcome']}")
    return Shown(f"after {len(words)} events the SDK raises {said}", record)


def _hang_up(actor: Actor) -> Shown:
    demo = actor.demo
    demo.local.become("slow")
    before = demo.local.cancelled()
    stream = actor.stream()
    next(iter(stream))
    stream.close()
    deadline = time.monotonic() + CANCEL_S
    while demo.local.cancelled() == before and time.monotonic() < deadline:
        time.sleep(0.02)
    record = demo.next_record()
    demo.local.become("ok")
    expect(demo.local.cancelled() > before, "the upstream was not cancelled")
    expect(record["outcome"] == "client_gone", f"outcome {record['outcome']}")
    _, after = actor.ask()
    expect(after["backend"] == "local-qwen", "the breaker counted the client's hang-up")
    return Shown("upstream cancelled at once; the next request is served as before", record)


def _pii_refused(actor: Actor) -> Shown:
    actor.demo.local.kill()
    try:
        actor.client.chat.completions.create(
            model=MODEL, messages=PROMPT, extra_headers={"x-llmkube-classification": "pii"}
        )
    except openai.InternalServerError as error:
        record = actor.demo.next_record()
        expect(error.status_code == 503, f"status {error.status_code}")
        expect(error.code == "no_allowed_upstream", f"code {error.code}")
        expect(all(a["tier"] == "local" for a in record["attempts"]), "a cloud backend was tried")
        return Shown("503 no_allowed_upstream, and the cloud model was never asked", record)
    raise StepFailedError("a pii request was served with no local backend alive")


def _others_fall_over(actor: Actor) -> Shown:
    _, record = actor.ask()
    expect(record["backend"] == "cloud-gpt", f"served by {record['backend']}, not cloud-gpt")
    return Shown("unlabelled requests go on to the cloud model", record)


STORY: Final = (
    Step("A plain request is served by the fast local model", _plain),
    Step("So is a stream, event by event", _streaming),
    Step("A request marked pii stays local", _pii),
    Step("A hard step goes to the cloud model", _complex),
    Step("An unknown label counts as sensitive, even on a hard step", _unknown_label),
    Step("The cloud answers 500: the local model takes over", _cloud_500),
    Step("A stream cut midway arrives as an error, not as an end", _cut),
    Step("A client that hangs up cancels the upstream; nobody is blamed", _hang_up),
    Step("The local model is killed: pii gets 503", _pii_refused),
    Step("... while everything else falls over", _others_fall_over),
)


def acts(actor: Actor) -> Iterator[tuple[Step, Shown]]:
    """Act the story out; raises `StepFailedError` at the first step that does not hold."""
    for step in STORY:
        yield step, step.act(actor)
