"""The providers of the shipped program: what Kubernetes and the engine make of a change."""

import pulumi_kubernetes as kubernetes

from pulumi_lockgate.live import Place


def providers(place: Place) -> tuple[kubernetes.Provider, kubernetes.Provider]:
    """Return the providers of policies' ConfigMaps and of everything else, for one cluster."""
    policies = kubernetes.Provider(
        "policies",
        # a policy's ConfigMap is named by its content: one that is there already is that very one,
        # which only server-side apply takes for no error
        upsert_existing_objects=True,
        # that of `rollout: hot` is changed in place; the others are immutable by themselves
        enable_config_map_mutable=True,
        **place.arguments,
    )
    cluster = kubernetes.Provider(
        "cluster",
        # annotations set by other managers survive an update (docs/adr/0003)
        enable_server_side_apply=False,
        # a new value is no new Secret, whose name would be taken
        enable_secret_mutable=True,
        **place.arguments,
    )
    return policies, cluster
