"""What `proxy.site` and `endpoint.route` may not say."""

import re
from collections.abc import Iterator
from typing import Final

from lockgate.policy.reading.validate import Fault
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.site import Site

REGISTRY: Final = re.compile(r"[a-z0-9.-]+(:[0-9]{1,5})?(/[a-z0-9]+([._/-]+[a-z0-9]+)*)?\Z")
"""As image references have it: a host, a port, a path of small letters."""
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\Z")
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}\Z")
_HOST: Final = re.compile(
    r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)+\Z"
)


def site_faults(spec: RouterSpec) -> Iterator[Fault]:
    """Yield every fault of what a policy says of its site."""
    site, route = spec.proxy.site, spec.endpoint.route
    if site is not None:
        for field, message, mend in faults_of(site):
            yield f"proxy.site.{field}", message, mend
    if route is None:
        return
    if not _HOST.match(route.host):
        mend = "write `host: llm.apps.example.com`"
        yield "endpoint.route.host", f"{route.host!r} is no host name", mend


def faults_of(site: Site) -> Iterator[Fault]:
    """Yield what is wrong with a site, as (field, message, suggestion)."""
    if site.registry is not None and not REGISTRY.match(site.registry):
        message = f"{site.registry!r} is no place of images"
        yield "registry", message, "write `registry: HOST/PREFIX`, with no scheme and no tag"
    trusted = site.ca_config_map_ref
    if trusted is not None and not _NAME.match(trusted.name):
        message = f"{trusted.name!r} is no name of a ConfigMap"
        yield "caConfigMapRef.name", message, "write the name that `kubectl get configmap` shows"
    if trusted is not None and not _KEY.match(trusted.key):
        yield (
            "caConfigMapRef.key",
            f"{trusted.key!r} is no key of a ConfigMap",
            "write `key: ca.crt`",
        )
