"""What a stack's site asks of all its pods, and what a site without a way out refuses."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from attrs import evolve, frozen
from lockgate.policy.address import is_inside, is_public
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.placing import SITE as KEY
from lockgate.policy.reading.problem import Problem
from lockgate.policy.reading.site_faults import faults_of
from lockgate.policy.reading.structure import Builder
from lockgate.policy.spec.fields import spec_field
from lockgate.policy.spec.site import Site

from pulumi_lockgate.manifests import fetching
from pulumi_lockgate.manifests.model_server import Inference
from pulumi_lockgate.manifests.openings import Opening, egress, wide_ones

_MODELS: Final = "lockgate:models"


@frozen
class SiteSettings(Site):
    """What the site asks of every pod of the stack."""

    airgapped: bool = spec_field(
        "true: nothing has a way out but through a LiteLLM inside; every other cloud backend and "
        "every opening to public addresses is refused, and `registry` must be there",
        default=False,
    )

    @property
    def asked(self) -> Site | None:
        """What is asked of the pods, None for nothing."""
        found = Site(
            platform=self.platform,
            registry=self.registry,
            ca_config_map_ref=self.ca_config_map_ref,
        )
        return None if found == Site() else found


def at_home(
    models: Mapping[str, Inference | None], site: SiteSettings
) -> dict[str, Inference | None]:
    """Return model servers as the site asks, where they say nothing themselves."""
    return {n: m and evolve(m, site=m.site or site.asked) for n, m in models.items()}


def site_faults(
    site: SiteSettings, models: Mapping[str, Inference | None], builder: Builder
) -> Iterator[Problem]:
    """Yield what is wrong with the site itself, and with the model servers there."""
    for field, message, mend in faults_of(site):
        place = f"{KEY}.{field}"
        yield Problem(place, builder.line_of(place), message, mend)
    if site.airgapped and site.registry is None:
        place = f"{KEY}.registry"
        message = "is missing: the site is air-gapped, and images would be pulled from outside"
        mend = "write `registry: HOST/PREFIX`, the site's own"
        yield Problem(place, builder.line_of(KEY), message, mend)
    if site.airgapped:
        yield from _fetched_from_outside(models, builder)


def ways_out(policy: LoadedPolicy) -> Iterator[Problem]:
    """Yield each way out of an air-gapped site that a placed policy has, by its path there."""
    spec = policy.spec
    openings = {one.what: one for one in egress(spec, "")}
    for number, backend in enumerate(spec.backends):
        path = f"backends[{number}]"
        external = backend.external
        if external is None:
            continue
        if backend.tier == "cloud" and external.provider != "litellm":
            message = f"is a way out of an air-gapped site, past its LiteLLM: {external.provider}"
            mend = "write `provider: litellm` and the LiteLLM inside, or leave the backend out"
            yield Problem(f"{path}.external.provider", None, message, mend)
        elif _leads_out(openings[backend.name], external.url or "", spec.proxy.private_cidrs):
            message = f"{external.url} may be outside of an air-gapped site"
            mend = "write a Service's or a private address, or its blocks under `proxy.egress`"
            yield Problem(f"{path}.external.url", None, message, mend)


def _fetched_from_outside(
    models: Mapping[str, Inference | None], builder: Builder
) -> Iterator[Problem]:
    """Yield each model server of an air-gapped site whose files would come from outside."""
    for name, model in models.items():
        if model is not None and _any_public(fetching.openings(model)):
            place = f"{_MODELS}.{name}.modelRef"
            message = "is fetched from outside of an air-gapped site"
            mend = "name a mirror by `fetch.endpoint`, and its blocks by `fetch.egress`"
            yield Problem(place, builder.line_of(place), message, mend)


def _leads_out(opening: Opening, url: str, private: tuple[str, ...]) -> bool:
    if is_inside(url, private):
        return False
    # pods that stand before a name outside are a way out like any other
    through_pods = any("ipBlock" not in peer for peer in opening.peers or ())
    return through_pods or _any_public((opening,))


def _any_public(openings: Iterable[Opening]) -> bool:
    """Whether something is open that anybody's server may be behind."""
    found = list(openings)
    blocks = [
        peer["ipBlock"]["cidr"] for one in found for peer in one.peers or () if "ipBlock" in peer
    ]
    names = any("fqdn" in peer for one in found for peer in one.peers or ())
    return names or bool(wide_ones(found)) or any(map(is_public, blocks))
