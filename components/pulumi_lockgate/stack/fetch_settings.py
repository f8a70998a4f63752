"""What a stack file may say of a model's files that lie elsewhere: `lockgate:models.NAME.fetch`."""

import re
from collections.abc import Iterator
from typing import Final, Literal

from attrs import asdict, frozen
from lockgate.fetching.source import SCHEMES, SHA256, Source, SourceError, key, read_source
from lockgate.policy.address import cidr_fault, url_fault
from lockgate.policy.reading.audit_faults import CLAIM_NAME, SIZE
from lockgate.policy.spec.backends import SecretRef
from lockgate.policy.spec.fields import Seconds, spec_field
from lockgate.policy.spec.site import ConfigMapRef

from pulumi_lockgate.manifests.audit import MANY, ONE
from pulumi_lockgate.manifests.model_server import Cache, Fetch

_CACHE: Final = "write `cache: { size: 100Gi }`, or `{ existing: NAME }`"
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\Z")
_REGION: Final = re.compile(r"[a-z0-9-]{1,32}\Z")


@frozen
class CacheSettings:
    """The claim that fetched files stay on: each reference has a folder of its own there."""

    existing: str | None = spec_field(
        "name of a claim; exactly one of this and `size`", default=None
    )
    size: str | None = spec_field(
        "size of the claim that is made, like 100Gi; `destroy` removes it", default=None
    )
    storage_class: str | None = spec_field(
        "its storage class; the cluster's default when left out", default=None
    )
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany"] | None = spec_field(
        "of the claim that is made; several pods need ReadWriteMany. Left out: ReadWriteOnce",
        default=None,
    )


@frozen
class FetchSettings:
    """How a model's files are fetched before the server starts."""

    sha256: str | None = spec_field(
        "sum of the one file that it is; required with https://", default=None
    )
    file: str | None = spec_field(
        "the file that the runtime is given, where the reference is a folder or an artifact of "
        "several files; left out: the reference's own file, else the folder, and model.gguf of an "
        "artifact",
        default=None,
    )
    cache: CacheSettings | None = spec_field(
        "the claim that the files stay on; left out: the pod's own disk, so that each pod fetches "
        "them again",
        default=None,
    )
    endpoint: str | None = spec_field(
        "base URL of a hub, a bucket's server or a registry of your own", default=None
    )
    region: str | None = spec_field("region of a bucket; us-east-1 when left out", default=None)
    credentials_secret_ref: SecretRef | None = spec_field(
        "Secret with HF_TOKEN; AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN; token; "
        "username and password; or .dockerconfigjson",
        default=None,
    )
    ca_config_map_ref: ConfigMapRef | None = spec_field(
        "ConfigMap with the certificates to trust, PEM, instead of the image's",
        default=None,
    )
    egress: tuple[str, ...] = spec_field(
        "CIDR blocks that the host's name may lead to; left out: everywhere but private addresses",
        default=(),
    )
    image: str | None = spec_field(
        "image that has `lockgate fetch`; the proxy's of this version when left out", default=None
    )
    timeout: Seconds = spec_field(
        "how long it may take; `up` gives up a little later", default=Seconds(3600.0)
    )


def fetch_of(model_ref: str | None, stated: FetchSettings | None) -> tuple[Fetch | None, str]:
    """Return what is to be fetched for a reference, and the path that the runtime is given."""
    source = _source(model_ref)
    if source is None:
        return None, ""
    settings = stated or FetchSettings()
    folder = key(source.text, settings.sha256)
    file = settings.file or source.file
    secret, trusted = settings.credentials_secret_ref, settings.ca_config_map_ref
    cache = settings.cache
    fetch = Fetch(
        source.text,
        folder,
        settings.sha256 and settings.sha256.lower(),
        file or None,
        settings.endpoint,
        settings.region,
        None if secret is None else secret.name,
        trusted,
        None if cache is None else Cache(**asdict(cache)),
        settings.egress,
        settings.image,
        float(settings.timeout),
    )
    return fetch, f"{folder}/{file}" if file else folder


def is_fetched(model_ref: str | None) -> bool:
    """Whether a reference is of a scheme that is fetched, well written or not."""
    return (model_ref or "").partition("://")[0] in SCHEMES


def _source(model_ref: str | None) -> Source | None:
    if model_ref is None or not is_fetched(model_ref):
        return None
    try:
        return read_source(model_ref)
    except SourceError:
        return None


def fetch_faults(
    model_ref: str | None, stated: FetchSettings | None, most_replicas: int, *, needs_file: bool
) -> Iterator[tuple[str, str, str]]:
    """Yield (field, what is wrong, the mend). `needs_file`: the runtime takes no folder."""
    if not is_fetched(model_ref):
        if stated is not None:
            message = "is for a modelRef that is fetched: hf://, https://, s3:// or oci://"
            yield "fetch", message, "leave it out"
        return
    try:
        source = read_source(model_ref or "")
    except SourceError as problem:
        yield "modelRef", str(problem), "write `modelRef: hf://ORG/REPO/FILE.gguf`, for example"
        return
    settings = stated or FetchSettings()
    if source.scheme == "https" and settings.sha256 is None:
        message = "is missing: nothing else says what https:// must bring"
        yield "fetch.sha256", message, "write `fetch: { sha256: HEX }`, as `sha256sum` prints it"
    if settings.sha256 is not None:
        yield from _sum(source, settings.sha256)
    if needs_file and not (settings.file or source.file):
        message = "is a folder, and this runtime is given a file"
        yield "modelRef", message, "name the file in it, or write `fetch: { file: NAME.gguf }`"
    yield from _file(source, settings.file)
    yield from _endpoint(source, settings)
    yield from _further(source, settings)
    if settings.cache is not None:
        yield from _cache(settings.cache, most_replicas)


def _sum(source: Source, sha256: str) -> Iterator[tuple[str, str, str]]:
    if not SHA256.match(sha256.lower()):
        yield "fetch.sha256", f"{sha256!r} is not 64 hex digits", "write what `sha256sum` prints"
    elif not source.is_one_file:
        message = "is the sum of one file, and this is a folder or an artifact"
        mend = "pin it instead: `hf://ORG/REPO@COMMIT`, `oci://REGISTRY/REPOSITORY@sha256:HEX`"
        yield "fetch.sha256", message, mend


def _file(source: Source, file: str | None) -> Iterator[tuple[str, str, str]]:
    if file is not None and (file.startswith("/") or ".." in file.split("/") or not file):
        yield "fetch.file", f"{file!r} is no path below the reference", "write `file: NAME.gguf`"
    elif file is not None and source.is_one_file and file != source.file:
        yield "fetch.file", f"is not {source.file}, which the reference is", "leave it out"


def _endpoint(source: Source, settings: FetchSettings) -> Iterator[tuple[str, str, str]]:
    endpoint = settings.endpoint
    if endpoint is None:
        return
    fault = url_fault(endpoint)
    if source.scheme == "https":
        yield "fetch.endpoint", "means nothing to https://, which says it", "leave it out"
    elif fault is not None:
        yield "fetch.endpoint", fault, "write `endpoint: https://HOST`"
    elif endpoint.startswith("http://") and settings.credentials_secret_ref:
        message = "has no TLS, and credentials would go there"
        yield "fetch.endpoint", message, "write `https://`, or leave the credentials out"


def _further(source: Source, settings: FetchSettings) -> Iterator[tuple[str, str, str]]:
    if settings.region is not None and source.scheme != "s3":
        yield "fetch.region", f"means nothing to {source.scheme}://", "leave it out"
    elif settings.region is not None and not _REGION.match(settings.region):
        yield "fetch.region", f"{settings.region!r} is no region", "write `region: eu-central-1`"
    for number, block in enumerate(settings.egress):
        fault = cidr_fault(block)
        if fault is not None:
            yield f"fetch.egress[{number}]", fault, "write `10.0.0.0/8`, for example"
    if settings.ca_config_map_ref and not _NAME.match(settings.ca_config_map_ref.name):
        name = settings.ca_config_map_ref.name
        yield "fetch.caConfigMapRef.name", f"{name!r} is no name of a ConfigMap", "write its name"
    if not 10 <= settings.timeout <= 86400:
        yield "fetch.timeout", "is not from 10s to 24h", "write `timeout: 1h`"


def _cache(cache: CacheSettings, most_replicas: int) -> Iterator[tuple[str, str, str]]:
    if (cache.existing is None) == (cache.size is None):
        both = "neither" if cache.size is None else "both"
        yield "fetch.cache", f"has {both} of existing and size", _CACHE
        return
    if cache.existing is not None:
        for field, value in (
            ("storageClass", cache.storage_class),
            ("accessMode", cache.access_mode),
        ):
            if value is not None:
                message = "is for a claim that is made, and this one exists"
                yield f"fetch.cache.{field}", message, "leave it out"
        if not CLAIM_NAME.match(cache.existing):
            message = f"{cache.existing!r} is no name of a claim"
            yield "fetch.cache.existing", message, "write the name that `kubectl get pvc` shows"
        return
    if not SIZE.match(cache.size or ""):
        yield "fetch.cache.size", f"{cache.size!r} is no size", "write `size: 100Gi`, for example"
    if (cache.access_mode or ONE) != MANY and most_replicas > 1:
        message = f"is one node's, and there may be {most_replicas} pods"
        yield "fetch.cache.accessMode", message, "write `accessMode: ReadWriteMany`"
