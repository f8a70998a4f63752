"""Invariants: statements about a policy that must be proved before it is deployed."""

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from lockgate.policy.spec.backends import Backend, Tier
from lockgate.policy.spec.fields import spec_field
from lockgate.policy.spec.rules import TaskComplexity


@frozen
class When:
    """The requests that an invariant speaks of: every dimension that is stated must hold."""

    labels: tuple[str, ...] = spec_field("any of these labels is on the request", default=())
    unlabelled: Literal[True] | None = spec_field(
        "true: the request has no classification header at all", default=None
    )
    task_complexity: TaskComplexity | None = spec_field(
        "value of the x-llmkube-task-complexity header", default=None
    )
    models: tuple[str, ...] = spec_field(
        "any of these patterns matches the model asked for (Go path.Match)", default=()
    )
    headers: Mapping[str, str] = spec_field(
        "each header is there with exactly this value; names ignore case", default={}
    )
    team: str | None = spec_field("value of the x-llmkube-team header", default=None)


@frozen
class BackendSet:
    """A set of backends: all of a tier, or those that are named."""

    tier: Tier | None = spec_field("every backend of this tier", default=None)
    backends: tuple[str, ...] | None = spec_field("names of backends", default=None)

    def __contains__(self, backend: Backend) -> bool:
        """Whether `backend` is one of the set."""
        return backend.tier == self.tier or backend.name in (self.backends or ())


@frozen
class Invariant:
    """A statement to prove: requests of `when` go to none of `never`, or to none but `only`."""

    name: str = spec_field("unique; `^[a-z0-9][a-z0-9-]{0,62}$`")
    when: When = spec_field("which requests; none: every request", default=When())
    never: BackendSet | None = spec_field(
        "no backend of these is in the chain of such a request", default=None
    )
    only: BackendSet | None = spec_field(
        "every backend in the chain of such a request is one of these", default=None
    )
