"""Logs which backends cannot be used: at the start, at a reload, and when that changes."""

from twisted.logger import Logger

from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.advice import OBSERVES, advice
from lockgate.server.backend_log import BackendLog
from lockgate.server.options import ServeOptions
from lockgate.server.router import RequestRouter

_log = Logger("lockgate.backends")


class AvailabilityLog:
    """Watches what changes without a request; of several workers, the first reports on files."""

    def __init__(
        self, backend_log: BackendLog, router: RequestRouter, options: ServeOptions
    ) -> None:
        self.backend_log = backend_log
        self._router = router
        self._file = options.policy_name
        self._reports_files = options.worker in {None, 0}
        router.health.report = self._of_health

    def begin(self, policy: LoadedPolicy) -> None:
        """Report everything anew: another policy is in force."""
        self.backend_log.keep(backend.name for backend in policy.spec.backends)
        if self._reports_files:
            if policy.spec.policy.mode == "observe":
                _log.warn("{sentence}", sentence=OBSERVES)
            for problem in advice(policy):
                _log.warn("{warning}", warning=problem.render(self._file))
            self._look_at_files(anew=True)

    def look(self) -> None:
        """Report what changed; to be called each second."""
        if self._reports_files:
            self._look_at_files(anew=False)
        self.backend_log.look()

    def _look_at_files(self, *, anew: bool) -> None:
        upstream_state = self._router.upstream_state
        for backend in upstream_state.policy.spec.backends:
            why = upstream_state.credentials.why_missing(backend)
            problem = None if why is None else f"cannot be used: {why}"
            self.backend_log.stands(
                backend.name, "files", problem, "its Secrets are there", anew=anew
            )

    def _of_health(self, name: str, problem: str | None) -> None:
        self.backend_log.stands(name, "health", problem, "is back: its health check is answered")
