"""The listener's certificate: read at the start, and again when its files change.

A new pair that does not fit is refused whole and the old one kept, with an alarm metric:
connections that stand are not touched, new handshakes use what is in force.
"""

from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.logger import Logger

from lockgate.connections.tls import Server, server_context
from lockgate.server.metrics import Metrics

_log = Logger("lockgate.certificate")


class CertificateRefusedError(Exception):
    """The files are not a chain and its key."""


class Certificate:
    """The pair of files that ``--tls-cert`` and ``--tls-key`` name."""

    def __init__(self, certificate: Path, key: Path, metrics: Metrics) -> None:
        self._files = (certificate, key)
        self._metrics = metrics
        self._seen = self._stamp()
        self.creator = Server(self._load())

    def look(self) -> None:
        """Read the files again if they changed."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            self.reload()

    def reload(self) -> None:
        """Read the files again; keep the old pair when they are no good."""
        try:
            self.creator.context = self._load()
        except CertificateRefusedError as problem:
            self._metrics.certificate("refused")
            _log.error("certificate kept: {problem}", problem=problem)
            return
        self._metrics.certificate("adopted")
        _log.info("certificate of {name} in force", name=str(self._files[0]))

    def _load(self) -> SSL.Context:
        certificate, key = self._files
        try:
            return server_context(certificate.read_bytes(), key.read_bytes())
        except (OSError, ValueError, SSL.Error) as problem:
            raise CertificateRefusedError(f"{certificate}, {key}: {problem}") from problem

    def _stamp(self) -> list[Any]:
        stamps: list[Any] = []
        for file in self._files:
            try:
                stat = file.stat()
            except OSError:
                stamps.append(None)
            else:
                stamps.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
        return stamps
