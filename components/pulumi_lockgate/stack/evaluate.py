"""Evaluates the Pulumi program in process, under Pulumi's own mock runtime.

What `lockgate plan` and the demo see is what the engine would be told: every registered resource
with its type, name, parent and inputs. No engine, no cluster, no plugin.
"""

import asyncio
import json
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pulumi
from attrs import field, frozen
from pulumi.runtime import mocks, settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.stack import run_pulumi_func

from pulumi_lockgate.stack.engine import READ_OUTPUTS
from pulumi_lockgate.stack.files import ROOT
from pulumi_lockgate.stack.settings import PROJECT

PROGRAM: Final = ROOT / "infra" / "__main__.py"
_ORDER: Final = (
    "kubernetes",
    "InferenceService",
    "ModelRouter",
    "Namespace",
    "ServiceAccount",
    "ConfigMap",
    "NetworkPolicy",
    "Service",
    "PodDisruptionBudget",
    "Deployment",
)
_API_VERSIONS: Final = {"core/v1": "v1"}


@frozen
class Resource:
    """One registered resource. `parent` is its parent's URN, empty for none."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str = ""

    @property
    def manifest(self) -> dict[str, Any] | None:
        """The Kubernetes object, None for a resource that is none."""
        _, _, rest = self.type.partition("kubernetes:")
        group, _, kind = rest.partition(":")
        if not kind or "metadata" not in self.inputs:
            return None
        version = _API_VERSIONS.get(group, group)
        return {"apiVersion": version, "kind": kind, **self.inputs}


@frozen
class Plan:
    """What the program would create."""

    resources: tuple[Resource, ...]
    outputs: Mapping[str, Any]

    @property
    def manifests(self) -> tuple[dict[str, Any], ...]:
        """Every Kubernetes object, in the order of registration."""
        found = (resource.manifest for resource in self.resources)
        return tuple(manifest for manifest in found if manifest is not None)

    @property
    def policy_json(self) -> bytes:
        """The bytes of policy.json in the ConfigMap."""
        for manifest in self.manifests:
            if manifest["kind"] == "ConfigMap" and "policy.json" in manifest["data"]:
                text: str = manifest["data"]["policy.json"]
                return text.encode()
        raise LookupError("the program makes no policy ConfigMap")


@frozen
class _Echo(mocks.Mocks):
    """Every resource's outputs are its inputs, as the engine's preview has it."""

    deployed: Mapping[str, Any]
    seen: dict[tuple[str, str], Mapping[str, Any]] = field(factory=dict)

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Take a resource's inputs."""
        self.seen[args.typ, args.name] = _whole_numbers(args.inputs)
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        """Answer the one function that the program calls: what the stack last put out."""
        if args.token != READ_OUTPUTS:
            raise LookupError(f"the program calls {args.token}")
        return {"name": args.args["name"], "outputs": dict(self.deployed)}, []


class _Monitor(mocks.MockMonitor):
    """Also takes each resource's parent, which the mocks are not told."""

    def __init__(self, echo: _Echo) -> None:
        super().__init__(echo)
        self.parents: dict[tuple[str, str], str] = {}

    def RegisterResource(self, request: Any) -> Any:
        """Register, and keep the parent."""
        self.parents[request.type, request.name] = request.parent
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def _whole_numbers(value: Any) -> Any:
    """Return plain data with numbers as the program wrote them: the wire knows floats alone."""
    if isinstance(value, Mapping):
        return {key: _whole_numbers(held) for key, held in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [_whole_numbers(held) for held in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def evaluate(
    stack: str, config: Mapping[str, Any], deployed: Mapping[str, Any] | None = None
) -> Plan:
    """Run the program for `stack` on `config` (``namespace:key`` to plain values).

    `deployed` is what the stack last put out, None before its first deployment. Raises what the
    program raises: PolicyRefusedError, PolicyViolatedError, WideningNotAcceptedError.
    """
    echo = _Echo(deployed or {})
    monitor = _Monitor(echo)
    texts = {key: _text(value) for key, value in config.items()}
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        settings.reset_options(project=PROJECT, stack=stack)
        mocks.set_mocks(
            echo, PROJECT, stack, preview=True, monitor=monitor, organization="organization"
        )
        set_all_config(texts)
        outputs = loop.run_until_complete(_run())
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    found = (
        Resource(kind, name, inputs, monitor.parents.get((kind, name), ""))
        for (kind, name), inputs in echo.seen.items()
        if kind != "pulumi:pulumi:Stack"
    )
    return Plan(tuple(sorted(found, key=_rank)), outputs)


def _rank(resource: Resource) -> tuple[int, str, str]:
    """Order resources as they can be applied; the runtime registers them in any order."""
    kind = resource.type.rpartition(":")[2]
    return (_ORDER.index(kind) if kind in _ORDER else len(_ORDER), kind, resource.name)


async def _run() -> dict[str, Any]:
    outputs: dict[str, Any] = {}

    async def program() -> None:
        runpy.run_path(str(PROGRAM), run_name="__main__")
        stack = settings.get_root_resource()
        for name, value in getattr(stack, "outputs", {}).items():
            outputs[name] = await pulumi.Output.from_input(value).future()

    await run_pulumi_func(program)
    return outputs


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def read_stack(path: Path) -> dict[str, Any]:
    """Return the ``config`` of a stack file; PolicyRefusedError when it cannot be read."""
    return config_of(path.read_bytes(), str(path))


def config_of(source: bytes, name: str) -> dict[str, Any]:
    """Return the ``config`` in the text of a stack file called `name`."""
    from lockgate.policy.reading.document import parse  # noqa: PLC0415 - only plans read stack files
    from lockgate.policy.reading.structure import plain  # noqa: PLC0415 - the same

    documents = parse(source, name)
    held = plain(documents[0]) if documents else {}
    config: dict[str, Any] = held.get("config", {}) if isinstance(held, dict) else {}
    return config
