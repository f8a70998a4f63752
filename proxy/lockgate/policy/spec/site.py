"""What a site asks of every pod: its kind of Kubernetes, its registry, its own authorities."""

from typing import Final, Literal

from attrs import frozen

from lockgate.policy.spec.fields import spec_field

Platform = Literal["vanilla", "openshift"]
CA_KEY: Final = "ca.crt"


@frozen
class ConfigMapRef:
    """Certificates in a ConfigMap of the same namespace."""

    name: str = spec_field("name of the ConfigMap")
    key: str = spec_field("its key with the certificates, PEM", default=CA_KEY)


@frozen
class Site:
    """What a site asks of every pod."""

    platform: Platform = spec_field(
        "openshift, which OKD and MicroShift are too: users and groups of pods are left to the "
        "SCC, names are looked up at openshift-dns",
        default="vanilla",
    )
    registry: str | None = spec_field(
        "every image is pulled from here, `REGISTRY/PREFIX`, under the path that it has in its own",
        default=None,
    )
    ca_config_map_ref: ConfigMapRef | None = spec_field(
        "certificates that are trusted instead of the images' own, by everything that connects",
        default=None,
    )
