"""Files of an artifact in a registry: its layers, each as the file that it says it is.

OCI distribution: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md; how a
token is asked for: https://distribution.github.io/distribution/spec/auth/token/. A layer's name is
its `org.opencontainers.image.title` (what `oras push` writes) or `org.cncf.model.filepath`; the one
GGUF layer without either (https://github.com/docker/model-spec) is `model.gguf`.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urljoin, urlsplit

from lockgate.fetching.asking import Answer, Asking, FetchError, host_of, refusal
from lockgate.fetching.remote import RemoteFile, inside
from lockgate.fetching.source import GGUF, Source

_MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_TITLES: Final = ("org.opencontainers.image.title", "org.cncf.model.filepath")
_DOCKER_HUB: Final = {
    "docker.io": "registry-1.docker.io",
    "index.docker.io": "registry-1.docker.io",
}
_PARAMETER: Final = re.compile(r'(\w+)="([^"]*)"')
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}\Z")
_MOST_MANIFEST: Final = 4 << 20
_UNAUTHORIZED: Final = 401
_DEPTH: Final = 3


def files(
    source: Source,
    asking: Asking,
    credentials: Mapping[str, str],
    endpoint: str | None = None,
) -> tuple[RemoteFile, ...]:
    """Return the files of an artifact. Raises FetchError, PassingError."""
    base = (endpoint or f"https://{_DOCKER_HUB.get(source.registry, source.registry)}").rstrip("/")
    registry = _Registry(asking, f"{base}/v2/{source.place}", _login(source, credentials))
    manifest = registry.manifest(source.version)
    for _ in range(_DEPTH):
        if "manifests" not in manifest:
            break
        manifest = registry.manifest(_only(manifest["manifests"], source))
    layers = manifest.get("layers")
    if not isinstance(layers, list) or not layers:
        raise FetchError(f"{source.text} has no layers")
    return tuple(_file(one, source, registry) for one in layers)


def _only(listed: Any, source: Source) -> str:
    digests = [one.get("digest") for one in listed if isinstance(one, dict)]
    if len(digests) != 1 or not isinstance(digests[0], str):
        text = f"{source.text} is an index of {len(digests)} manifests: name the one by its digest"
        raise FetchError(text)
    return digests[0]


def _file(layer: Any, source: Source, registry: "_Registry") -> RemoteFile:
    kind = str(layer.get("mediaType", "")) if isinstance(layer, dict) else ""
    digest, size = (layer.get("digest"), layer.get("size")) if isinstance(layer, dict) else (0, 0)
    if not isinstance(digest, str) or not _DIGEST.match(digest) or not isinstance(size, int):
        raise FetchError(f"{source.text} has a layer without a sha256 digest and a size")
    notes = layer.get("annotations") or {}
    name = next((notes[key] for key in _TITLES if notes.get(key)), None)
    if name is None and "gguf" in kind and kind.rpartition(".")[2].startswith("v"):
        name = GGUF
    if re.search(r"[.+]tar\b|\+gzip|\+zstd", kind):
        mend = "push files, as `oras push` does"
        raise FetchError(f"{source.text} has a layer that is an archive ({kind}): {mend}")
    path = inside(str(name or digest.removeprefix("sha256:")), source.text)
    sum_ = digest.removeprefix("sha256:")
    url = f"{registry.base}/blobs/{digest}"
    return RemoteFile(path, url, size, "sha256", sum_, secret=registry.secret)


def _login(source: Source, credentials: Mapping[str, str]) -> str | None:
    """Return what Basic authentication sends: from a pair, or from Docker's configuration."""
    user, password = credentials.get("username"), credentials.get("password")
    if user and password:
        return base64.b64encode(f"{user}:{password}".encode()).decode()
    stated = credentials.get(".dockerconfigjson")
    if not stated:
        return None
    try:
        entries = json.loads(stated)["auths"]
        keys = [key for key in entries if _is_of(key, source.registry)]
        entry = entries[keys[0]] if keys else {}
        both = f"{entry.get('username', '')}:{entry.get('password', '')}"
        return str(entry.get("auth") or base64.b64encode(both.encode()).decode()) if keys else None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FetchError("`.dockerconfigjson` is not as `docker login` writes it") from None


def _is_of(key: str, registry: str) -> bool:
    host = urlsplit(key if "://" in key else f"//{key}").netloc
    return _DOCKER_HUB.get(host, host) == _DOCKER_HUB.get(registry, registry)


class _Registry:
    """One repository of a registry, and the token for it, asked for as the registry says."""

    def __init__(self, asking: Asking, base: str, login: str | None) -> None:
        self.base = base
        self._asking, self._login = asking, login
        self._held: dict[str, str] = {}
        self._last = base

    def manifest(self, reference: str) -> dict[str, Any]:
        """Return a manifest, which is what its digest says where one was named."""
        url = self._last = f"{self.base}/manifests/{reference}"
        answer = self._ask(url, {"Accept": ", ".join(_MANIFESTS)})
        try:
            body = answer.body.read(_MOST_MANIFEST + 1)
        finally:
            answer.close()
        found = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if _DIGEST.match(reference) and reference != found:
            raise FetchError(f"{host_of(url)} gives another manifest, {found}, for {reference}")
        try:
            manifest = json.loads(body)
        except ValueError:
            manifest = None
        if not isinstance(manifest, dict):
            raise FetchError(f"{host_of(url)} gives what is no manifest for {reference}")
        return manifest

    def secret(self) -> Mapping[str, str]:
        """Return the headers for a request, with a token that is fresh: they last for minutes.

        The manifest is asked for: a blob's address may be signed for GET alone.
        """
        self._ask(self._last, {"Accept": ", ".join(_MANIFESTS)}, method="HEAD").close()
        return self._held

    def _ask(self, url: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
        answer = self._asking.ask(url, headers, self._held, method=method)
        if answer.status == _UNAUTHORIZED:
            challenge = answer.headers.get("WWW-Authenticate", "")
            answer.close()
            self._held = self._answer_to(challenge, url)
            answer = self._asking.ask(url, headers, self._held, method=method)
        if not 200 <= answer.status < 300:
            answer.close()
            raise refusal(answer)
        return answer

    def _answer_to(self, challenge: str, url: str) -> dict[str, str]:
        scheme, _, rest = challenge.partition(" ")
        stated = dict(_PARAMETER.findall(rest))
        basic = {"Authorization": f"Basic {self._login}"} if self._login else {}
        if scheme.lower() == "basic":
            return basic
        realm = stated.pop("realm", "")
        if scheme.lower() != "bearer" or not realm:
            raise FetchError(
                f"{host_of(url)} asks for {scheme or 'nothing'}, which is not known here"
            )
        realm = urljoin(url, realm)
        if url.startswith("https:") and not realm.startswith("https:"):
            raise FetchError(f"{host_of(url)} sends to {realm} for a token, which has no TLS")
        query = urlencode({name: stated[name] for name in ("service", "scope") if name in stated})
        joint = "&" if "?" in realm else "?"
        said, _ = self._asking.read_json(f"{realm}{joint}{query}", {}, basic)
        token = said.get("token") or said.get("access_token") if isinstance(said, dict) else None
        if not isinstance(token, str):
            raise FetchError(f"{host_of(realm)} gives no token")
        return {"Authorization": f"Bearer {token}"}
