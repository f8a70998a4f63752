"""Tokens where an upstream does not report them: estimated, and marked so.

Four bytes are a token, which is what the providers give as a rule of thumb for English text
(https://help.openai.com/en/articles/4936856); a streamed response is counted by its content events,
since servers send a token an event.
"""

from typing import ClassVar, Final, Literal, final

from lockgate.value import Value

BYTES_A_TOKEN: Final = 4
Source = Literal["reported", "estimated", "summed"]


@final
class Tokens(Value):
    """Tokens of one request. `source` "summed": over the attempts of a resumed response."""

    __match_args__: ClassVar = ("prompt", "completion", "source")

    def __init__(self, prompt: int, completion: int, source: Source) -> None:
        self.prompt: Final = prompt
        self.completion: Final = completion
        self.source: Final = source


def of_bytes(size: int) -> int:
    """Return how many tokens so many bytes of JSON may be."""
    return -(-size // BYTES_A_TOKEN)


def used(
    usage: tuple[int, int] | None, content_events: int, body_bytes: int, response_bytes: int
) -> Tokens:
    """Return what is reported, else an estimate; `content_events` 0 where nothing was streamed."""
    if usage is not None:
        return Tokens(usage[0], usage[1], "reported")
    return Tokens(of_bytes(body_bytes), content_events or of_bytes(response_bytes), "estimated")


def summed(last: tuple[int, int], before: tuple[int, int]) -> Tokens:
    """Return what a resumed response used in all."""
    return Tokens(last[0] + before[0], last[1] + before[1], "summed")
