"""A policy that loaded: its spec, the bytes that drive a proxy, and their digest."""

from attrs import frozen

from proxy.policy.spec import RouterSpec


@frozen
class LoadedPolicy:
    """`json` is the canonical policy.json; `digest` is ``sha256:`` and its SHA-256 in hex."""

    spec: RouterSpec
    json: bytes
    digest: str
