"""What is wrong with a policy file: where, what, and what to write instead."""

from typing import Any, ClassVar, Literal

from attrs import field, frozen

Kind = Literal[
    "unknown field",
    "misspelt field",
    "empty",
    "not implemented",
    "missing",
    "not an object",
    "not a list",
    "not a mapping",
    "wrong type",
    "wrong value",
    "not a choice",
]


@frozen
class Refusal:
    """Something in a file that the spec's types do not allow, as data without words.

    `got` is the node or the member that is there, `wanted` what should be: a type, a field, or the
    name that was meant. `choices` are the names or values that would do; of a wrong value the
    reason. `path` and `line` are as in `Problem`; `suggestions` words it.
    """

    kind: Kind
    path: str
    line: int | None
    got: Any = None
    wanted: Any = None
    choices: tuple[str, ...] = ()


@frozen
class Problem:
    """One fault of a file: where it is, what is wrong, and what to write instead.

    `path` is like ``rules[2].match.models[0]``; `line` counts from 1. `refusal` is the same as
    data, where the file does not fit the spec's types.
    """

    path: str
    line: int | None
    message: str
    suggestion: str
    refusal: Refusal | None = field(default=None, eq=False, repr=False)

    def render(self, source: str) -> str:
        """Return ``file:line: path: message; suggestion`` on one line."""
        place = source if self.line is None else f"{source}:{self.line}"
        return f"{place}: {self.path or '(document)'}: {self.message}; {self.suggestion}"


class EndsCommandError(Exception):
    """Ends a command with `exit_status`; the text is what the user reads on stderr."""

    exit_status: ClassVar[int] = 2


class UnusableInputError(EndsCommandError):
    """Something that the user named cannot be used; the text says what, and what to do about it."""


class PolicyRefusedError(UnusableInputError):
    """A policy did not load. Carries every problem found, in the order of the file."""

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(problem.render(source) for problem in problems))
        self.source = source
        self.problems = problems
