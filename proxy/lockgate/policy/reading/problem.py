"""What is wrong with a policy file: where, what, and what to write instead."""

from typing import ClassVar

from attrs import frozen


@frozen
class Problem:
    """One fault. `path` is like ``rules[2].match.models[0]``; `line` counts from 1."""

    path: str
    line: int | None
    message: str
    suggestion: str

    def render(self, source: str) -> str:
        """Return ``file:line: path: message; mend`` on one line."""
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
