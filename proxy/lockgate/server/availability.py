"""Says which backends cannot be used: at the start, at a reload, and when that changes."""

from twisted.logger import Logger

from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.advice import advice
from lockgate.server.backend_log import BackendLog
from lockgate.server.options import ServeOptions
from lockgate.server.router import RequestRouter

_log = Logger("lockgate.backends")


class AvailabilityLog:
    """Looks at what changes without a request; of several workers, the first speaks of files."""

    def __init__(self, notices: BackendLog, router: RequestRouter, options: ServeOptions) -> None:
        self.notices = notices
        self._router = router
        self._file = str(options.policy)
        self._speaks = options.worker in {None, 0}
        router.health.report = self._of_health

    def begin(self, policy: LoadedPolicy) -> None:
        """A policy is in force: tell of everything anew."""
        self.notices.keep(backend.name for backend in policy.spec.backends)
        if self._speaks:
            for problem in advice(policy):
                _log.warn("{told}", told=problem.render(self._file))
            self._look_at_files(anew=True)

    def look(self) -> None:
        """Look around; to be called each second."""
        if self._speaks:
            self._look_at_files(anew=False)
        self.notices.look()

    def _look_at_files(self, *, anew: bool) -> None:
        upstream_state = self._router.upstream_state
        for backend in upstream_state.policy.spec.backends:
            why = upstream_state.credentials.why_missing(backend)
            problem = None if why is None else f"cannot be used: {why}"
            self.notices.stands(backend.name, "files", problem, "its Secrets are there", anew=anew)

    def _of_health(self, name: str, problem: str | None) -> None:
        self.notices.stands(name, "health", problem, "is in again: its health check is answered")
