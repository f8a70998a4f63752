"""A policy that was proved and judged: a value that only a proof makes."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NoReturn, final

import pulumi
from lockgate.policy.loaded import LoadedPolicy

from pulumi_lockgate.draft import Draft, Secret
from pulumi_lockgate.proof.checks import prove
from pulumi_lockgate.proof.report import Report, text_of
from pulumi_lockgate.stand_ins import Missing, decides
from pulumi_lockgate.widening import Record, Unknown, WideningVerdict, base_of, judge


class PolicyViolatedError(pulumi.RunError):
    """A proof found something wrong with `policy`. Its text is the report; `report` the value."""

    def __init__(self, policy: LoadedPolicy, report: Report) -> None:
        self.policy, self.report = policy, report
        super().__init__(text_of(report))


class WideningNotAcceptedError(pulumi.RunError):
    """Something widens and is not accepted. Its text is the list, the diff and what to write."""

    def __init__(self, widening: WideningVerdict) -> None:
        self.widening = widening
        super().__init__(text_of(widening))


class NotKnownError(pulumi.RunError):
    """Nothing could be proved: values decide that are not known yet. Its text names them."""

    def __init__(self, missing: tuple[Missing, ...]) -> None:
        self.missing = missing
        paths = ", ".join(value.path for value in decides(missing))
        what = "not known before `up`, which proves before it registers anything"
        super().__init__(f"NOT PROVED yet: {what}: {paths}")


_MADE_HERE: Final = object()


@final
class ProvedPolicy:
    """A policy that holds, with the report of its proof; `prove_policy` makes it and nothing else.

    `widening` is how it stands to what is deployed; None where that could not be compared, since
    some of its values have stand-ins: `missing`. `secrets` are values that are not to be shown.
    """

    __slots__ = ("missing", "policy", "report", "secrets", "widening")
    policy: LoadedPolicy
    report: Report
    widening: WideningVerdict | None
    missing: tuple[Missing, ...]
    secrets: tuple[Secret, ...]

    def __init__(
        self,
        made_here: object,
        draft: Draft,
        policy: LoadedPolicy,
        report: Report,
        widening: WideningVerdict | None,
    ) -> None:
        if made_here is not _MADE_HERE:
            raise TypeError("a ProvedPolicy is made by `prove_policy` and in no other way")
        stated = (policy, report, widening, draft.missing, draft.secrets)
        names = ("policy", "report", "widening", "missing", "secrets")
        for name, value in zip(names, stated, strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{name} of a ProvedPolicy does not change: prove the other policy")

    @property
    def is_known(self) -> bool:
        """Whether the policy is the one that will run, in every value."""
        return not self.missing

    @property
    def verdict(self) -> str:
        """The report's text, without styles; it names the values that had stand-ins."""
        text = text_of(self.report)
        if self.is_known:
            return text
        paths = ", ".join(value.path for value in self.missing)
        return f"{text.rpartition(chr(10))[0]}\n  proved for whatever value `up` finds for: {paths}"


def prove_policy(
    policy: LoadedPolicy | Draft,
    deployed: str | Record | Unknown | None = None,
    accepted_widening: str | None = None,
) -> ProvedPolicy:
    """Return `policy` proved, and judged against the policy.json or the record that is `deployed`.

    Raises PolicyViolatedError when it leaks, WideningNotAcceptedError when something widens what is
    `deployed` and `accepted_widening` is not the digest of this very list; NotKnownError for a
    draft that cannot be proved yet.
    """
    draft = policy if isinstance(policy, Draft) else Draft(policy)
    if draft.policy is None:
        raise NotKnownError(draft.missing)
    report = prove(draft.policy)
    if not report.proved:
        raise PolicyViolatedError(draft.policy, report)
    if not draft.is_known:  # against a stand-in every comparison would be a false one
        return _kept(ProvedPolicy(_MADE_HERE, draft, draft.policy, report, None))
    widening = judge(base_of(deployed), draft.policy, accepted_widening, pulumi.get_stack())
    if not widening.passed:
        raise WideningNotAcceptedError(widening)
    return _kept(ProvedPolicy(_MADE_HERE, draft, draft.policy, report, widening))


_PROVED: Final[ContextVar[list[ProvedPolicy] | None]] = ContextVar("proved", default=None)


@contextmanager
def collected() -> Iterator[list[ProvedPolicy]]:
    """Give a list of every policy that is proved in the block, so that none is proved twice."""
    found: list[ProvedPolicy] = []
    token = _PROVED.set(found)
    try:
        yield found
    finally:
        _PROVED.reset(token)


def _kept(proved: ProvedPolicy) -> ProvedPolicy:
    found = _PROVED.get()
    if found is not None:
        found.append(proved)
    return proved
