"""A Secret of `lockgate:secrets` as a resource."""

import base64
from typing import Any

import pulumi
from pulumi.output import UNKNOWN
from pulumi_kubernetes.core.v1 import Secret

from pulumi_lockgate.manifests.common import labels, metadata
from pulumi_lockgate.stack.secrets import StackSecret


def make_secret(stated: StackSecret, namespace: str, opts: pulumi.ResourceOptions) -> Secret:
    """Register a Secret; a value that no file shows is unknown, and every one is kept secret."""
    named: Any = metadata(stated.name, namespace, labels(stated.name, "secret"))
    data = {key: _encoded(value) for key, value in stated.values.items()}
    return Secret(f"secret-{stated.name}", metadata=named, type=stated.type, data=data, opts=opts)


def _encoded(value: str | None) -> pulumi.Output[str]:
    unknown: Any = UNKNOWN
    if value is None:
        return pulumi.Output.from_input(unknown)
    return pulumi.Output.secret(base64.b64encode(value.encode()).decode())
