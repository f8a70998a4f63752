"""A verdict as Markdown, for a comment on a change and for a pipeline's summary."""

import re
from typing import Final

import click

VERDICTS: Final = {
    0: ("✅", "proved, and no widening that is not accepted"),
    1: ("❌", "VIOLATED: the policy must not be deployed"),
    2: ("❌", "REFUSED: the stack does not load"),
    3: ("❌", "WIDENS: more may reach a cloud than before, and the stack does not accept it"),
}
"""(sign, words) for each exit status of `lockgate plan`."""
MOST: Final = 50_000
"""Characters of a part that are shown: GitHub takes 65,536 a comment, GitLab a million."""
_RESOURCES: Final = re.compile(r"stack \S+: (\d+ resources?)\n((?:  \+ .*\n?)*)")


def comment(stack: str, status: int, text: str) -> str:
    """Return Markdown for what `lockgate plan` of `stack` printed as `text`, ending with `status`.

    The list of resources is folded away; everything else is shown as it was printed.
    """
    plain = click.unstyle(text).strip("\n")
    sign, words = VERDICTS.get(status, ("❌", f"no verdict (exit status {status})"))
    parts = [f"### {sign} Lockgate, stack `{_inline(stack)}`: {words}"]
    found = _RESOURCES.match(plain)
    rest = plain[found.end() :].strip("\n") if found else plain
    if rest:
        parts.append(_fenced(rest))
    if found:
        resources = _fenced(found[2].rstrip("\n"))
        parts.append(f"<details><summary>{found[1]}</summary>\n\n{resources}\n\n</details>")
    return "\n\n".join(parts) + "\n"


def _inline(text: str) -> str:
    return text.replace("`", "'")


def _fenced(text: str) -> str:
    """Return `text` as a block that nothing in it can end."""
    cut = text if len(text) <= MOST else text[:MOST].rpartition("\n")[0] + "\n... cut"
    longest = max((len(run) for run in re.findall(r"`+", cut)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{cut}\n{fence}"
