"""Logs the state of backends: a line where something changes, and not one for each request.

Every line names the backend, the reason and what to do about it. The same thing about the same
backend is logged at most once a minute: for events with how many were left out, for a state as it
is when the minute is over.
"""

from collections.abc import Callable, Iterable
from typing import Final

from twisted.logger import Logger

from lockgate.errors.kinds import kind_of
from lockgate.exchange.attempts import Attempt
from lockgate.policy.spec.backends import DEFAULT_URLS, Backend

EVERY_S: Final = 60.0
_log = Logger("lockgate.backends")


class _Event:
    """When it was logged last, and how often it happened since."""

    def __init__(self, logged_s: float) -> None:
        self.logged_s = logged_s
        self.omitted = 0


class _State:
    """How a matter stands, and what the log says of it."""

    def __init__(self) -> None:
        self.logged_s = {True: float("-inf"), False: float("-inf")}  # by whether it was a problem
        self.logged: str | None = None
        self.problem: str | None = None
        self.mended = ""


class BackendLog:
    """Logs what becomes of the backends of one proxy; `now` is monotonic."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._events: dict[tuple[str, str], _Event] = {}
        self._states: dict[tuple[str, str], _State] = {}

    def happened(self, backend: str, matter: str, text: str) -> None:
        """Log an event, unless the same was logged within the minute."""
        now, key = self._now(), (backend, matter)
        event = self._events.get(key)
        if event is not None and now - event.logged_s < EVERY_S:
            event.omitted += 1
            return
        more = f" ({event.omitted} more since the last line)" if event and event.omitted else ""
        self._events[key] = _Event(now)
        _warn(backend, text + more)

    def stands(
        self, backend: str, matter: str, problem: str | None, mended: str, *, anew: bool = False
    ) -> None:
        """Log the state of a matter where that is new; `anew`: a problem is logged again."""
        state = self._states.setdefault((backend, matter), _State())
        state.problem, state.mended = problem, mended
        if anew:
            state.logged, state.logged_s[True] = None, float("-inf")
        self._log_state(backend, state)

    def look(self) -> None:
        """Log what had to wait; to be called each second or so."""
        for (backend, _), state in self._states.items():
            self._log_state(backend, state)

    def keep(self, backends: Iterable[str]) -> None:
        """Forget what was logged of other backends than these."""
        names = set(backends)
        self._events = {key: event for key, event in self._events.items() if key[0] in names}
        self._states = {key: state for key, state in self._states.items() if key[0] in names}

    def _log_state(self, backend: str, state: _State) -> None:
        now, bad = self._now(), state.problem is not None
        if state.problem == state.logged or now - state.logged_s[bad] < EVERY_S:
            return
        state.logged, state.logged_s[bad] = state.problem, now
        _warn(backend, state.mended if state.problem is None else state.problem)

    def alarmed(self, attempt: Attempt) -> None:
        """Log that a backend's response blames how we are configured."""
        text = _blame(attempt)
        self.happened(attempt.backend.name, attempt.outcome, f"{text}; {_advice(attempt)}")


def _warn(backend: str, text: str) -> None:
    _log.warn("backend {backend}: {text}", backend=backend, text=text)


def _blame(attempt: Attempt) -> str:
    status = "" if attempt.status is None else f" (it answered {attempt.status})"
    kind = kind_of(attempt.outcome)
    sentence = attempt.outcome if kind is None else kind.sentence.rstrip(".")
    return f"{attempt.outcome}: {sentence}{status}"


def _advice(attempt: Attempt) -> str:
    backend = attempt.backend
    if attempt.outcome == "upstream_model":
        where = "external.model" if backend.external is not None else "servedModel"
        return f"it was asked for {backend.upstream_model or 'the model of a client'}: see {where}"
    if attempt.outcome == "upstream_path":
        return f"see {_place(backend)}"
    external = backend.external
    secret = external.credentials_secret_ref if external is not None else None
    if secret is None:
        return "it gets no key: see external.credentialsSecretRef"
    return f"see the key in Secret {secret.name}, and what its account may use"


def _place(backend: Backend) -> str:
    external, service = backend.external, backend.service
    if external is None:
        kind = "Service" if backend.service_ref else "InferenceService"
        name = service.name if service is not None else backend.name
        return f"whether {kind} {name} speaks OpenAI's dialect"
    return f"external.url: {external.url or DEFAULT_URLS.get(external.provider)}"
