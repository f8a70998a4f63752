"""What the log says of backends: a line where something changes, and not one for each request.

Every line names the backend, the reason and what to do about it. The same thing about the same
backend is told at most once a minute: of events how many were not told, and of a state how it
stands when the minute is over.
"""

from collections.abc import Callable, Iterable
from typing import Final

from twisted.logger import Logger

from lockgate.errors.kinds import kind_of
from lockgate.exchange.attempt import Attempt
from lockgate.policy.spec.backends import DEFAULT_URLS, Backend

EVERY_S: Final = 60.0
_log = Logger("lockgate.backends")


class _Event:
    def __init__(self, said_s: float) -> None:
        self.said_s = said_s
        self.untold = 0


class _State:
    def __init__(self) -> None:
        self.told_s = {True: float("-inf"), False: float("-inf")}  # by whether it was a problem
        self.said: str | None = None
        self.problem: str | None = None
        self.mended = ""


class BackendLog:
    """The notices of one proxy; `now` is monotonic."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._events: dict[tuple[str, str], _Event] = {}
        self._states: dict[tuple[str, str], _State] = {}

    def happened(self, backend: str, matter: str, text: str) -> None:
        """Tell of an event, unless the same was told within the minute."""
        now, key = self._now(), (backend, matter)
        held = self._events.get(key)
        if held is not None and now - held.said_s < EVERY_S:
            held.untold += 1
            return
        more = f" ({held.untold} more since the last line)" if held and held.untold else ""
        self._events[key] = _Event(now)
        _say(backend, text + more)

    def stands(
        self, backend: str, matter: str, problem: str | None, mended: str, *, anew: bool = False
    ) -> None:
        """Say how a matter stands, where that is new; `anew`: a problem is told again."""
        state = self._states.setdefault((backend, matter), _State())
        state.problem, state.mended = problem, mended
        if anew:
            state.said, state.told_s[True] = None, float("-inf")
        self._tell(backend, state)

    def look(self) -> None:
        """Tell what had to wait; to be called each second or so."""
        for (backend, _), state in self._states.items():
            self._tell(backend, state)

    def keep(self, backends: Iterable[str]) -> None:
        """Forget what was told of other backends than these."""
        names = set(backends)
        self._events = {key: one for key, one in self._events.items() if key[0] in names}
        self._states = {key: one for key, one in self._states.items() if key[0] in names}

    def _tell(self, backend: str, state: _State) -> None:
        now, bad = self._now(), state.problem is not None
        if state.problem == state.said or now - state.told_s[bad] < EVERY_S:
            return
        state.said, state.told_s[bad] = state.problem, now
        _say(backend, state.mended if state.problem is None else state.problem)

    def alarmed(self, attempt: Attempt) -> None:
        """Tell that a backend's answer blames how we are configured."""
        text = _blame(attempt)
        self.happened(attempt.backend.name, attempt.outcome, f"{text}; {_mend(attempt)}")


def _say(backend: str, text: str) -> None:
    _log.warn("backend {backend}: {text}", backend=backend, text=text)


def _blame(attempt: Attempt) -> str:
    status = "" if attempt.status is None else f" (it answered {attempt.status})"
    kind = kind_of(attempt.outcome)
    sentence = attempt.outcome if kind is None else kind.sentence.rstrip(".")
    return f"{attempt.outcome}: {sentence}{status}"


def _mend(attempt: Attempt) -> str:
    backend = attempt.backend
    if attempt.outcome == "upstream_model":
        where = "external.model" if backend.external is not None else "servedModel"
        return f"it was asked for {backend.upstream_model or 'the model of a caller'}: see {where}"
    if attempt.outcome == "upstream_path":
        return f"see {_place(backend)}"
    external = backend.external
    secret = external.credentials_secret_ref if external is not None else None
    if secret is None:
        return "it gets no key: see external.credentialsSecretRef"
    return f"see the key in Secret {secret.name}, and what its account may use"


def _place(backend: Backend) -> str:
    external, lifecycle = backend.external, backend.inference_service_ref
    if external is None:
        name = lifecycle.name if lifecycle is not None else backend.name
        return f"whether InferenceService {name} speaks OpenAI's dialect"
    return f"external.url: {external.url or DEFAULT_URLS.get(external.provider)}"
