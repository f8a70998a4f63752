"""What a site asks of every pod, as one change of finished manifests.

- OpenShift: https://docs.redhat.com/en/documentation/openshift_container_platform/4.19/html/authentication_and_authorization/managing-pod-security-policies
  (restricted-v2 gives each namespace its own range of users and groups, and refuses others); Route:
  https://github.com/openshift/api/blob/master/route/v1/types.go
- a registry: each image under the path that it has in its own, as mirrors keep it
"""

from collections.abc import Iterator
from typing import Any, Final

from lockgate.policy.reading.problem import Problem
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.site import CA_KEY, Site

from pulumi_lockgate.manifests.common import USER, Manifest, labels, metadata
from pulumi_lockgate.manifests.openings import ROUTER

CA_FOLDER: Final = "/etc/lockgate/site"
CA_VOLUME: Final = "site-ca"
ROUTE: Final = "route"
_LEFT_TO_THE_SCC: Final = ("runAsUser", "runAsGroup", "fsGroup")
_CA_VARIABLES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
"""What OpenSSL reads, and so Python, curl, Go's and llama.cpp's programs; and Python's requests."""
_STREAM: Final = "1h"
"""Of a response through a Route, whose own 30 seconds would cut every long stream."""


def at_site(site: Site | None, manifests: dict[str, Manifest]) -> dict[str, Manifest]:
    """Return manifests as a site has them, by the same names."""
    if site is None:
        return manifests
    return {name: _at_site(site, manifest) for name, manifest in manifests.items()}


def _at_site(site: Site, manifest: Manifest) -> Manifest:
    if manifest["kind"] != "Deployment":
        return manifest
    spec = manifest["spec"]
    template = {**spec["template"], "spec": _pod(site, spec["template"]["spec"])}
    return {**manifest, "spec": {**spec, "template": template}}


def _pod(site: Site, pod: dict[str, Any]) -> dict[str, Any]:
    made = dict(pod)
    for key in ("initContainers", "containers"):
        if key in pod:
            made[key] = [_container(site, one) for one in pod[key]]
    if site.platform == "openshift":
        stated = pod["securityContext"]
        # what somebody stated himself stays; what is this package's own gives way
        ours = {key for key in _LEFT_TO_THE_SCC if stated.get(key) == USER}
        made["securityContext"] = {k: v for k, v in stated.items() if k not in ours}
    trusted = site.ca_config_map_ref
    if trusted is not None:
        items = [{"key": trusted.key, "path": CA_KEY}]
        volume = {"name": CA_VOLUME, "configMap": {"name": trusted.name, "items": items}}
        made["volumes"] = [*pod.get("volumes", ()), volume]
    return made


def _container(site: Site, container: dict[str, Any]) -> dict[str, Any]:
    made = {**container, "image": image_at(site, container["image"])}
    if site.ca_config_map_ref is not None:
        names = {one["name"] for one in container.get("env", ())}
        path = f"{CA_FOLDER}/{CA_KEY}"
        ours = [{"name": n, "value": path} for n in _CA_VARIABLES if n not in names]
        made["env"] = [*container.get("env", ()), *ours]
        mount = {"name": CA_VOLUME, "mountPath": CA_FOLDER, "readOnly": True}
        made["volumeMounts"] = [*container.get("volumeMounts", ()), mount]
    return made


def image_at(site: Site | None, image: Any) -> Any:
    """Return an image as it is called in a site's registry; an Output is left as it is."""
    registry = None if site is None else site.registry
    if registry is None or not isinstance(image, str) or image.startswith(f"{registry}/"):
        return image
    first, slash, rest = image.partition("/")
    # a first part without a dot or a port is no host: `vllm/vllm-openai` is Docker Hub's
    has_host = slash and ("." in first or ":" in first or first == "localhost")
    return f"{registry}/{rest if has_host else image}"


def route(name: str, namespace: str, spec: RouterSpec) -> dict[str, Manifest]:
    """Return the Route to a router's Service where there is one, by its short name."""
    stated = spec.endpoint.route
    if stated is None:
        return {}
    # HAProxy's own: https://docs.redhat.com/en/documentation/openshift_container_platform/4.19/html/ingress_and_load_balancing/routes
    settings = {
        "haproxy.router.openshift.io/timeout": _STREAM,
        "haproxy.router.openshift.io/balance": "leastconn",
        "haproxy.router.openshift.io/disable_cookies": "true",
    }
    tls = {"termination": "edge", "insecureEdgeTerminationPolicy": "None"}
    return {
        ROUTE: {
            "apiVersion": "route.openshift.io/v1",
            "kind": "Route",
            "metadata": metadata(name, namespace, labels(name, ROUTER), settings),
            "spec": {
                "host": stated.host,
                "to": {"kind": "Service", "name": name, "weight": 100},
                "port": {"targetPort": "http"},
                "tls": tls,
                "wildcardPolicy": "None",
            },
        }
    }


def route_faults(spec: RouterSpec) -> Iterator[Problem]:
    """Yield what is wrong with a Route once a policy is placed."""
    site = spec.proxy.site
    if spec.endpoint.route is not None and (site is None or site.platform != "openshift"):
        message = "is OpenShift's, and the platform is another"
        mend = "write `lockgate:site: { platform: openshift }`, or use an Ingress"
        yield Problem("endpoint.route", None, message, mend)
