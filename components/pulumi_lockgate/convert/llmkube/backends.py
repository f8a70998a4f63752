"""Writes the backends of an import: points 2, 3, 5, 8, 10 and 11 of docs/guides/import.md."""

from collections import defaultdict
from typing import Any, Final

from lockgate.policy.address import is_private, url_fault

from pulumi_lockgate.convert.llmkube.draft import Draft
from pulumi_lockgate.convert.llmkube.manifest import Backend, External
from pulumi_lockgate.convert.tiers import stated_tier

OPENAI_SHAPED: Final = frozenset({"openai", "litellm"})
WITHOUT_DEFAULT: Final = frozenset({"bedrock", "vertex_ai"})


def addresses(draft: Draft) -> None:
    """Write each url as the provider's own SDK takes it, with /v1 (point 2)."""
    for path, theirs, ours in draft.pairs():
        if theirs.external is None:
            continue
        place = f"{path}.external.url"
        if theirs.external.url is None:
            _without_url(draft, theirs.external, place)
        elif theirs.external.provider in OPENAI_SHAPED:
            ours["external"]["url"] = _with_v1(draft, theirs.external.url, place)


def _with_v1(draft: Draft, url: str, place: str) -> str:
    bare = url.rstrip("/")
    if bare.endswith("/v1"):
        draft.notes.differs(
            place, f"already ends in /v1, and LLMKube asked {bare}/v1: kept as it is"
        )
        return bare
    return f"{bare}/v1"


def _without_url(draft: Draft, external: External, place: str) -> None:
    provider = external.provider
    if provider in WITHOUT_DEFAULT:
        message = f"is missing: {provider} has no address of its own, here as there"
        draft.notes.refused(place, message, "add `url: https://HOST`")
    elif provider == "litellm" and draft.litellm_url is not None:
        draft.config["lockgate:litellmUrl"] = _with_v1(draft, draft.litellm_url, place)
    elif provider == "litellm":
        message = "is missing, and the operator's --default-litellm-url is not in the manifest"
        draft.notes.refused(place, message, "add `url: http://HOST`, or pass --litellm-url URL")


def tiers(draft: Draft) -> None:
    """Write each tier; refuse an external backend without one, which LLMKube took for local (3)."""
    for path, theirs, ours in draft.pairs():
        stated = stated_tier(draft.tiers, theirs.name)
        exact = theirs.name in draft.tiers
        if theirs.external is None or (theirs.tier is not None and not exact):
            continue
        if stated is not None:
            ours["tier"] = stated
            if theirs.tier not in {None, stated}:
                draft.notes.differs(
                    f"{path}.tier", f"was {theirs.tier}, is {stated} as --tier says"
                )
            continue
        message = "is missing, and LLMKube takes that for local: sensitive requests may go there"
        mend = f"write `tier: cloud` or `tier: local`, or pass --tier {theirs.name}=cloud"
        draft.notes.refused(f"{path}.tier", message, mend)


def private_addresses(draft: Draft) -> None:
    """Allow a cloud backend its plain http or private address, and note it (point 5)."""
    for path, _, ours in draft.pairs():
        external = ours.get("external")
        if external is None or ours.get("tier") != "cloud":
            continue
        url = external.get("url") or draft.config.get("lockgate:litellmUrl", "")
        if not url or url_fault(url) is not None:
            continue
        private = is_private(url)
        if private or url.startswith("http:"):
            external["allowPrivateAddress"] = True
            why = "has a private address" if private else "is plain http"
            message = f"tier cloud, and {why}: allowPrivateAddress is written, which here it needs"
            draft.notes.differs(f"{path}.external.url", message)


def names(draft: Draft) -> None:
    """Keep the Service's name, and the client's model name for local models (point 10)."""
    metadata = draft.source.manifest.metadata
    draft.config["lockgate:name"] = metadata["name"]
    namespace = metadata.get("namespace")
    # it exists, and is neither made nor deleted with the stack
    draft.config["lockgate:namespace"] = {"name": namespace or "default", "create": False}
    if namespace is None:
        message = "names no namespace: `default` is written; write the one it was applied in"
        draft.notes.differs("metadata", message)
    for path, theirs, ours in draft.pairs():
        if theirs.inference_service_ref is None:
            continue
        if draft.is_always_first(theirs.name):
            ours["servedModel"] = "caller"
        else:
            service = theirs.inference_service_ref.name
            message = (
                f"is asked for the model {service!r}, its service's name: it also stands in for "
                "others, and would be asked for theirs"
            )
            draft.notes.differs(f"{path}.name", message)


def reports(draft: Draft) -> None:
    """Note changed ids, Secrets that shared a value, headers that no longer go up (point 11)."""
    for path, theirs, _ in draft.pairs():
        external = theirs.external
        if external is not None and theirs.display_name is None and external.model != theirs.name:
            message = f"on /v1/models it was {external.model!r}, and is {theirs.name!r}"
            draft.notes.differs(f"{path}.name", message)
    _shared_secrets(draft)
    if any(backend.external for backend in draft.origin.backends):
        message = "a client's headers no longer go up; list those it needs in upwardHeaders"
        draft.notes.differs("spec.backends", message)


def _shared_secrets(draft: Draft) -> None:
    secrets: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for path, theirs, _ in draft.pairs():
        if theirs.external is not None and theirs.external.credentials_secret_ref is not None:
            name = theirs.external.credentials_secret_ref.name
            secrets[theirs.external.provider].append((path, name))
    for provider, refs in secrets.items():
        first = refs[0][1]
        for path, name in refs[1:]:
            if name != first:
                message = (
                    f"{provider}'s Secrets {first!r} and {name!r} came to one value there; "
                    "here each backend has its own: see that both are right"
                )
                draft.notes.differs(f"{path}.external.credentialsSecretRef", message)


def ignored(draft: Draft) -> None:
    """Note the settings of backends that LLMKube ignored and that act here (point 8)."""
    for path, theirs, ours in draft.pairs():
        if theirs.weight is not None and draft.is_weighted():
            draft.notes.begins(f"{path}.weight", f"{theirs.weight}, in rules that are weighted")
        if theirs.cost_per_million_tokens:
            draft.notes.begins(f"{path}.costPerMillionTokens", "counts in budgets")
        if theirs.health_check is not None:
            _health(draft, path, theirs, ours)


def _health(draft: Draft, path: str, theirs: Backend, ours: dict[str, Any]) -> None:
    place = f"{path}.healthCheck"
    if theirs.external is not None and "path" not in (theirs.health_check or {}):
        del ours["healthCheck"]
        draft.notes.differs(place, "has no path to ask at a provider's, and is left out")
    else:
        draft.notes.begins(place, "two failures in a row take the backend out, one success in")
