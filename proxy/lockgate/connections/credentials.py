"""Keys from mounted Secret files: ``DIR/<secret name>/<key>``, read again when they change.

Others were given at the start, and stand before them. A key is never put into the environment, a
log, a record or a `repr`. A Secret that is named but not there
makes its backend no candidate; the proxy starts all the same.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from lockgate.policy.spec.backends import KEY_FILES, Backend, BackendTls

LOOK_S: Final = 1.0
"""A changed Secret takes effect within this time; a look costs two system calls."""


@frozen
class TlsFiles:
    """PEM bytes: own authorities instead of the platform's, a certificate chain and its key."""

    authorities: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None


PLATFORM: Final = TlsFiles()
"""No files of a backend's own: the platform's trust, and no client certificate."""


class _KnownTls:
    __slots__ = ("files", "looked_at")

    def __init__(self, looked_at: float, files: TlsFiles | None) -> None:
        self.looked_at = looked_at
        self.files = files


class _KnownKey:
    __slots__ = ("key", "looked_at", "stamp")

    def __init__(self, looked_at: float, stamp: tuple[int, int] | None, key: str | None) -> None:
        self.looked_at = looked_at
        self.stamp = stamp
        self.key = key


class Credentials:
    """The keys under `directory`, and those that were `given` by the names of their Secrets.

    `now` is monotonic seconds.
    """

    def __init__(
        self,
        directory: Path | None,
        now: Callable[[], float],
        given: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self._given = dict(given or {})
        self.now = now
        self._known: dict[str, _KnownKey] = {}
        self._known_tls: dict[str, _KnownTls] = {}

    def key_for(self, backend: Backend) -> str | None:
        """Return the backend's key; None when it needs none, or it is not there."""
        secret = _secret_of(backend)
        if secret is None or backend.external is None:
            return None
        if secret in self._given:
            return self._given[secret]
        known = self._known.get(backend.name)
        now = self.now()
        if known is not None and now - known.looked_at < LOOK_S:
            return known.key
        path = self._file(secret, KEY_FILES.get(backend.external.provider, ""))
        stamp = _stamp(path)
        if known is not None and stamp is not None and stamp == known.stamp:
            known.looked_at = now
            return known.key
        key = _read(path) if path is not None else None
        self._known[backend.name] = _KnownKey(now, stamp, key)
        return key

    def is_missing(self, backend: Backend) -> bool:
        """Whether the backend names a Secret that is not there."""
        if _secret_of(backend) is not None and self.key_for(backend) is None:
            return True
        return backend.tls is not None and self.tls_for(backend) is None

    def why_missing(self, backend: Backend) -> str | None:
        """Return what is not mounted and what to do about it; None when nothing is missing."""
        if not self.is_missing(backend):
            return None
        secret, external = _secret_of(backend), backend.external
        if secret is not None and external is not None and self.key_for(backend) is None:
            name = KEY_FILES.get(external.provider, "KEY")
            return self._absent(secret, name, "usable key", f", or --key {secret}=env:{name}")
        for secret, file in _tls_files(backend.tls):
            if self._bytes(secret, file) is None:
                return self._absent(secret, file, f"{file} with something in it")
        return None

    def _absent(self, secret: str, file: str, what: str, or_else: str = "") -> str:
        """Say that `secret` lacks `what`, and name the file that was looked for."""
        if self.directory is None:
            return f"Secret {secret} is not mounted: start with --secrets DIR{or_else}"
        folder = self.directory / secret
        if not folder.is_dir():
            return f"Secret {secret} is not mounted: there is no {folder / file}"
        return f"Secret {secret} has no {what}: looked for one line of ASCII at {folder / file}"

    def tls_for(self, backend: Backend) -> TlsFiles | None:
        """Return the backend's TLS files, None when one that it names is not there.

        ``ca.crt`` in the Secret for authorities, ``tls.crt`` and ``tls.key`` in that for a client
        certificate, as Kubernetes names them.
        """
        tls = backend.tls
        if tls is None:
            return PLATFORM
        known, now = self._known_tls.get(backend.name), self.now()
        if known is not None and now - known.looked_at < LOOK_S:
            return known.files
        files = self._read_tls(tls)
        self._known_tls[backend.name] = _KnownTls(now, files)
        return files

    def _read_tls(self, tls: BackendTls) -> TlsFiles | None:
        found = {}
        for secret, file in _tls_files(tls):
            found[file] = self._bytes(secret, file)
            if found[file] is None:
                return None
        return TlsFiles(found.get("ca.crt"), found.get("tls.crt"), found.get("tls.key"))

    def _bytes(self, secret: str, file: str) -> bytes | None:
        if self.directory is None:
            return None
        try:
            return (self.directory / secret / file).read_bytes() or None
        except OSError:
            return None

    def _file(self, secret: str, conventional: str) -> Path | None:
        if self.directory is None:
            return None
        folder = self.directory / secret
        if conventional and (folder / conventional).is_file():
            return folder / conventional
        try:
            files = [f for f in folder.iterdir() if not f.name.startswith(".") and f.is_file()]
        except OSError:
            return None
        return files[0] if len(files) == 1 else None


def _secret_of(backend: Backend) -> str | None:
    external = backend.external
    if external is None or external.credentials_secret_ref is None:
        return None
    return external.credentials_secret_ref.name


def _tls_files(tls: BackendTls | None) -> list[tuple[str, str]]:
    """Return the files of a backend's TLS material: Secret and name, as Kubernetes names them."""
    files = []
    if tls is not None and tls.ca_secret_ref is not None:
        files.append((tls.ca_secret_ref.name, "ca.crt"))
    if tls is not None and tls.client_cert_secret_ref is not None:
        files += [(tls.client_cert_secret_ref.name, name) for name in ("tls.crt", "tls.key")]
    return files


def _stamp(path: Path | None) -> tuple[int, int] | None:
    if path is None:
        return None
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino


def _read(path: Path) -> str | None:
    try:
        return usable_key(path.read_bytes())
    except OSError:
        return None


def usable_key(data: bytes) -> str | None:
    """Return the key in a Secret's bytes: one line of printable ASCII without spaces; else None."""
    try:
        key = data.decode("ascii").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        return None
    return key if key and key.isprintable() and " " not in key else None
