"""How a response that broke off after its commit point is continued on another backend.

Two ways. A backend with the capability `prefill` is sent the text so far as the beginning of the
assistant's answer, and goes on from there. Any other is asked anew from the start; what the client
already has is skipped word for word, and at the first difference the stream ends with an error: two
models' texts are never mixed without saying so.

Only plain text of one choice is continued: a response that had a tool call, log probabilities, a
refusal, words after thoughts or several choices is not, nor one whose format the client prescribed.
Where nothing but thoughts came, no word of the response was said: another backend may begin anew.

The continued part names the model that goes on; it keeps the response's id.
"""

from typing import Any, Final

from lockgate.bodies.conversation import Conversation
from lockgate.bodies.lenient import write_json
from lockgate.exchange.response_body import finish_reason, tokens_used
from lockgate.exchange.sse import document_of

KEEP_LIMIT_BYTES: Final = 256 * 1024
"""Text kept to go on from, some 64,000 tokens; a longer response is cut."""
THOUGHTS: Final = frozenset(
    {"reasoning_content", "reasoning", "reasoning_details", "thinking", "thinking_blocks"}
)
"""Where servers put what a model thinks before it answers: DeepSeek and vLLM the first, OpenRouter
the next two, LiteLLM the last."""
_PLAIN_DELTA: Final = frozenset({"role", "content"})
_PREFILL: Final = "prefill"


class DivergedError(Exception):
    """The second backend says something else than what the client already has."""


class DeliveredText:
    """The text delivered so far. `resumable` becomes False at what cannot be continued.

    `is_thought`: the model has thought, and said nothing yet.
    """

    def __init__(self) -> None:
        self.id: Any = None
        self.size_bytes = 0
        self.resumable = True
        self.is_thought = False
        self._parts: list[str] = []

    @property
    def text(self) -> str:
        """The content so far; the halves of a character that came apart are one again."""
        text = "".join(self._parts)
        if text.isascii():
            return text
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def take(self, raw: bytes) -> None:
        """Take one event that goes down to the client."""
        document = document_of(raw)
        if document is None or not self.resumable:
            return
        if not _is_well_formed(document):
            self._give_up()
            return
        if self.id is None:
            self.id = document.get("id")
        for choice, delta in _choices(document):
            said = {key for key, value in delta.items() if value}
            thoughts = said & THOUGHTS
            said -= THOUGHTS
            if choice.get("index", 0) != 0 or choice.get("logprobs") or not said <= _PLAIN_DELTA:
                self._give_up()
                return
            content = delta.get("content")
            self.is_thought = self.is_thought or bool(thoughts)
            if self.is_thought and (content or self._parts):
                self._give_up()  # what one model thought, another did not
                return
            if content:
                self._keep(content)

    def _keep(self, content: object) -> None:
        if not isinstance(content, str):
            self._give_up()
            return
        self._parts.append(content)
        self.size_bytes += len(content.encode("utf-8", "surrogatepass"))
        if self.size_bytes > KEEP_LIMIT_BYTES:
            self._give_up()

    def _give_up(self) -> None:
        self.resumable = self.is_thought = False
        self._parts.clear()
        self.size_bytes = 0


def prefill_edit(conversation: Conversation, text: str) -> tuple[int, int, bytes] | None:
    """Return the edit that appends `text` as the assistant's beginning; None where it cannot be."""
    place = conversation.last_message_end
    if place is None or not text:
        return None
    return place, place, b"," + write_json({"role": "assistant", "content": text})


class Continuation:
    """Turns a second backend's events into the rest of the first one's response.

    `skipping`: how much of what the client already has the backend must still repeat.
    `before` (prompt, completion): tokens of the attempts before, added to the usage shown.
    """

    def __init__(
        self, delivered: DeliveredText, *, prefilled: bool, before: tuple[int, int]
    ) -> None:
        self._delivered = delivered
        self._before = before
        self.skipping = "" if prefilled else delivered.text

    def take(self, raw: bytes) -> bytes:
        """Return what of one event goes down. DivergedError when it cannot be the same response."""
        document = document_of(raw)
        if document is None:
            return raw
        if not _is_well_formed(document):
            raise DivergedError
        document["id"] = self._delivered.id
        kept = [self._choice(choice, delta) for choice, delta in _choices(document)]
        document["choices"] = [choice for choice in kept if choice is not None]
        usage = document.get("usage")
        if isinstance(usage, dict):
            document["usage"] = self._summed(usage)
        elif not document["choices"]:
            return b""
        return b"data: " + write_json(document) + b"\n\n"

    def _choice(self, choice: dict[str, Any], said: dict[str, Any]) -> dict[str, Any] | None:
        """Return what of a choice is new to the client; None when nothing is."""
        if choice.get("index", 0) != 0:
            raise DivergedError
        delta = {key: value for key, value in said.items() if key != "role" and value}
        content = delta.pop("content", "")
        if self.skipping:
            content = self._skip(content, others=bool(delta))
        if content:
            delta["content"] = content
        finished = finish_reason(choice) is not None
        if finished and self.skipping:
            raise DivergedError
        return {**choice, "delta": delta} if delta or finished else None

    def _skip(self, content: object, *, others: bool) -> str:
        if not isinstance(content, str):
            raise DivergedError
        size = min(len(content), len(self.skipping))
        if others or content[:size] != self.skipping[:size]:
            raise DivergedError
        self.skipping = self.skipping[size:]
        return content[size:]

    def _summed(self, usage: dict[str, Any]) -> dict[str, Any]:
        reported = tokens_used({"usage": usage}) or (0, 0)
        prompt, completion = (a + b for a, b in zip(reported, self._before, strict=True))
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "lockgate": "summed over the attempts of a resumed answer",
        }


def _is_well_formed(document: dict[str, Any]) -> bool:
    """Whether choices are objects with objects in them, as far as they are there at all."""
    choices = document.get("choices")
    if choices is None:
        return True
    return isinstance(choices, list) and all(
        isinstance(c, dict) and isinstance(c.get("delta"), dict | None) for c in choices
    )


def _choices(document: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(choice, choice.get("delta") or {}) for choice in document.get("choices") or ()]


def takes_prefill(capabilities: tuple[str, ...]) -> bool:
    """Whether a backend goes on from an assistant's message at the end."""
    return _PREFILL in capabilities
