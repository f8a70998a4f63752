"""An artifact in a registry: its layers are files. The registry is Debian's `docker-registry`."""

import base64
import hashlib
import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from lockgate.fetching import oci
from lockgate.fetching.asking import Asking, FetchError
from lockgate.fetching.download import Fetcher
from lockgate.fetching.remote import RemoteFile
from lockgate.fetching.source import read_source

from tests.fetching.shelf import Shelf
from tests.support.proxy import free_port
from tests.support.wait import eventually

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
GGUF = "application/vnd.docker.ai.gguf.v3"
TITLE = "org.opencontainers.image.title"


def layer(data: bytes, kind: str = GGUF, **notes: str) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    made: dict[str, Any] = {"mediaType": kind, "digest": digest, "size": len(data)}
    return {**made, "annotations": notes} if notes else made


def manifest(*layers: dict[str, Any]) -> bytes:
    config = layer(b"{}", "application/vnd.docker.ai.model.config.v0.1+json")
    whole = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": list(layers)}
    return json.dumps(whole).encode()


def listed(url: str, text: str, **credentials: str) -> tuple[RemoteFile, ...]:
    return oci.files(read_source(text), Asking(timeout_s=5), credentials, url)


def named(version: str) -> str:
    joint = "@" if version.startswith("sha256:") else ":"
    return f"oci://registry.example/team/model{joint}{version}"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """The real one, on loopback."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("NOT RUN: no docker-registry on PATH (Debian's package of that name)")
    port = free_port()
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}\n"
        f"http: {{addr: 127.0.0.1:{port}}}\n"
    )
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
    with subprocess.Popen(
        [program, "serve", str(config)], stderr=subprocess.DEVNULL, env=environment
    ) as process:
        try:
            eventually(lambda: call(url, "GET", "/v2/")[0] == 200, 20, every_s=0.05)
            yield url
        finally:
            process.terminate()


def call(url: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        response = connection.getresponse()
        response.read()
    except OSError:
        return 0, {}
    else:
        return response.status, response.headers
    finally:
        connection.close()


def push(url: str, version: str, whole: bytes, *blobs: bytes) -> str:
    """Push as the specification says: a blob each in one piece, then the manifest."""
    for blob in (b"{}", *blobs):
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        _, headers = call(url, "POST", "/v2/team/model/blobs/uploads/")
        place = urlsplit(headers["Location"])
        path = f"{place.path}?{place.query}&digest={digest}"
        status, _ = call(url, "PUT", path, blob, content_type="application/octet-stream")
        assert status == 201
    status, headers = call(url, "PUT", f"/v2/team/model/manifests/{version}", whole, content_type=MANIFEST)  # fmt: skip
    assert status == 201
    return str(headers["Docker-Content-Digest"])


def test_an_artifact_of_a_real_registry_comes_by_tag_and_by_digest(
    registry: str, fetcher: Fetcher, folder: Path
) -> None:
    weights, card = b"weights" * 100_000, b"a card"
    layers = (layer(weights), layer(card, "text/markdown", **{TITLE: "docs/card.md"}))
    digest = push(registry, "v1", manifest(*layers), weights, card)
    for version in ("v1", digest):
        files = listed(registry, named(version))
        assert [file.path for file in files] == ["model.gguf", "docs/card.md"]
        for file in files:
            fetcher.fetch(file, folder / version.replace(":", "-"))
        assert (folder / version.replace(":", "-") / "model.gguf").read_bytes() == weights
    part = folder / ".fetch-model.gguf.fetch"
    part.write_bytes(weights[:300_000])
    fetcher.fetch(files[0], folder)  # a real registry goes on in the middle
    assert (folder / "model.gguf").read_bytes() == weights


def test_a_tag_that_is_not_there_is_said(registry: str) -> None:
    with pytest.raises(FetchError, match="404"):
        listed(registry, named("v9"))


def locked(server: Shelf, whole: bytes, scheme: str) -> None:
    """Let the shelf be a registry that asks for a token, or for a password, as Docker's do."""
    digest = f"sha256:{hashlib.sha256(b'weights').hexdigest()}"
    server.files[f"/v2/team/model/blobs/{digest}"] = b"weights"
    login = f"Basic {base64.b64encode(b'user:CANARY').decode()}"

    def answer(handler: Any) -> bool:
        given = handler.headers["authorization"]
        if handler.path.startswith("/token"):
            assert handler.path == "/token?service=r&scope=repository%3Ateam%2Fmodel%3Apull"
            fits = given == login
            handler.give(200 if fits else 401, b'{"token": "T"}')
            return True
        if given != ("Bearer T" if scheme == "bearer" else login):
            said = (
                f'Bearer realm="{server.url}/token",service="r",scope="repository:team/model:pull"'
            )
            handler.give(401, b"{}", **{"www-authenticate": said if scheme == "bearer" else 'Basic realm="r"'})  # fmt: skip
            return True
        if "/manifests/" in handler.path:
            handler.give(200, whole)
            return True
        return False

    server.answers.append(answer)


@pytest.mark.parametrize("scheme", ["bearer", "basic"])
@pytest.mark.parametrize("shape", ["pair", "auth", "entry"])
def test_a_registry_that_asks_who_we_are_is_told(
    server: Shelf, fetcher: Fetcher, folder: Path, scheme: str, shape: str
) -> None:
    locked(server, manifest(layer(b"weights")), scheme)
    auth = base64.b64encode(b"user:CANARY").decode()
    entry = {"auth": auth} if shape == "auth" else {"username": "user", "password": "CANARY"}
    config = json.dumps({"auths": {"https://registry.example/v2/": entry}})
    pair = {"username": "user", "password": "CANARY"}
    stated = pair if shape == "pair" else {".dockerconfigjson": config}
    [file] = listed(server.url, named("v1"), **stated)
    fetcher.fetch(file, folder)
    assert (folder / "model.gguf").read_bytes() == b"weights"
    with pytest.raises(FetchError, match="credentials are missing"):
        listed(server.url, named("v1"))


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        (b"[]", "no manifest"),
        (b"no", "no manifest"),
        (manifest(), "no layers"),
        (manifest({"mediaType": GGUF}), "without a sha256 digest"),
        (manifest(layer(b"a", "application/vnd.oci.image.layer.v1.tar+gzip")), "is an archive"),
        (manifest(layer(b"a", GGUF, **{TITLE: "../../etc/passwd"})), "no path inside"),
        (b'{"manifests": [{"digest": "a"}, {"digest": "b"}]}', "index of 2"),
    ],
)
def test_what_is_no_model_is_refused(server: Shelf, whole: bytes, said: str) -> None:
    server.files["/v2/team/model/manifests/v1"] = whole
    with pytest.raises(FetchError, match=said):
        listed(server.url, named("v1"))


def test_a_manifest_is_what_its_digest_says(server: Shelf) -> None:
    digest = f"sha256:{hashlib.sha256(b'another').hexdigest()}"
    server.files[f"/v2/team/model/manifests/{digest}"] = manifest(layer(b"weights"))
    with pytest.raises(FetchError, match="another manifest"):
        listed(server.url, named(digest))


def test_an_index_of_one_is_that_one(server: Shelf) -> None:
    whole = manifest(layer(b"weights"))
    digest = f"sha256:{hashlib.sha256(whole).hexdigest()}"
    server.files["/v2/team/model/manifests/v1"] = json.dumps({"manifests": [{"digest": digest}]}).encode()  # fmt: skip
    server.files[f"/v2/team/model/manifests/{digest}"] = whole
    assert [file.path for file in listed(server.url, named("v1"))] == ["model.gguf"]


def test_credentials_for_another_registry_stay_here(server: Shelf) -> None:
    locked(server, manifest(layer(b"weights")), "basic")
    config = json.dumps({"auths": {"other.example": {"username": "user", "password": "CANARY"}}})
    with pytest.raises(FetchError, match="credentials are missing"):
        listed(server.url, named("v1"), **{".dockerconfigjson": config})
    assert not any("Basic" in str(asked) for asked in server.asked)
    with pytest.raises(FetchError, match="docker login"):
        listed(server.url, named("v1"), **{".dockerconfigjson": "[]"})
