"""Reads another router's configuration and proves it, as `lockgate check --from` does."""

from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen
from lockgate.policy.reading.document import Node, parse
from lockgate.policy.reading.problem import UnusableInputError

from pulumi_lockgate.foreign.litellm.config import read
from pulumi_lockgate.foreign.litellm.prove import prove_litellm
from pulumi_lockgate.foreign.llmkube import prove_llmkube
from pulumi_lockgate.foreign.report import ForeignReport


@frozen
class Asked:
    """What is asked of a proof: tiers by name or pattern; what must stay local, by name.

    `callers_route`: a caller's body may name fallbacks of its own.
    """

    tiers: Mapping[str, str]
    local: tuple[str, ...] = ()
    callers_route: bool = True


def _litellm(documents: tuple[Node, ...], name: str, asked: Asked) -> ForeignReport:
    config = read(documents, name, asked.tiers)
    return prove_litellm(config, asked.local, callers_route=asked.callers_route)


def _llmkube(documents: tuple[Node, ...], name: str, asked: Asked) -> ForeignReport:
    if asked.local or not asked.callers_route:
        raise UnusableInputError("--local and --callers-trusted are LiteLLM's: LLMKube has labels")
    return prove_llmkube(documents, name, asked.tiers)


PRODUCTS: Final[Mapping[str, Callable[[tuple[Node, ...], str, Asked], ForeignReport]]] = {
    "litellm": _litellm,
    "llmkube": _llmkube,
}


def check_foreign(product: str, name: str, source: bytes, asked: Asked) -> ForeignReport:
    """Return what is proved of a file's text; EndsCommandError where it cannot be read."""
    return PRODUCTS[product](parse(source, name), name, asked)
