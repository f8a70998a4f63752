"""Evaluates a Pulumi program in process, under Pulumi's own mock runtime.

What `lockgate plan` and the demo see is what the engine would get: every registered resource
with its type, name, parent and inputs. No engine, no cluster, no plugin.
"""

import asyncio
import contextlib
import json
import logging
import runpy
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pulumi
from attrs import frozen
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.stack import run_pulumi_func

from pulumi_lockgate.cautions import cautions_kept
from pulumi_lockgate.manifests.router import DIGEST_ANNOTATION, POLICY_VOLUME
from pulumi_lockgate.proved_policy import ProvedPolicy, collected
from pulumi_lockgate.stack.engine import READ_OUTPUTS
from pulumi_lockgate.stack.project import SHIPPED, Project, ProjectError, nearest_project
from pulumi_lockgate.stack.settings import PROJECT

_ORDER: Final = (
    "kubernetes",
    "InferenceService",
    "NodePool",
    "MetalHost",
    "ModelRouter",
    "Namespace",
    "ServiceAccount",
    "ConfigMap",
    "NetworkPolicy",
    "CiliumNetworkPolicy",
    "Service",
    "EndpointSlice",
    "Route",
    "PodDisruptionBudget",
    "Deployment",
)
ROUTER: Final = "lockgate:index:ModelRouter"
UNKNOWN: Final = "(known to the engine alone)"
"""Stands in a plan for a value that no evaluation in process can have."""
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
        """The Kubernetes object, None for a resource that is none.

        One that states no name has the resource's here; the engine adds random letters to it.
        """
        _, _, rest = self.type.partition("kubernetes:")
        group, _, kind = rest.partition(":")
        if not kind or "metadata" not in self.inputs:
            return None
        version = _API_VERSIONS.get(group, group)
        metadata = {"name": self.name, **self.inputs["metadata"]}
        return {"apiVersion": version, "kind": kind, **self.inputs, "metadata": metadata}


@frozen
class RouterOutputs:
    """What one router puts out; None where only the engine knows it.

    `proved` is its policy with the proof, where every value of it is known.
    """

    name: str
    url: str | None
    policy: str | None
    digest: str | None
    verdict: str
    proved: ProvedPolicy | None = None


@frozen
class Plan:
    """What the program would create."""

    resources: tuple[Resource, ...]
    outputs: Mapping[str, Any]
    routers: tuple[RouterOutputs, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def manifests(self) -> tuple[dict[str, Any], ...]:
        """Every Kubernetes object, in the order of registration."""
        found = (resource.manifest for resource in self.resources)
        return tuple(manifest for manifest in found if manifest is not None)

    @property
    def policy_json(self) -> bytes:
        """The bytes of policy.json in the ConfigMap."""
        mounted = {
            volume["configMap"]["name"]
            for manifest in self.manifests
            if manifest["kind"] == "Deployment"
            for volume in manifest["spec"]["template"]["spec"].get("volumes", ())
            if volume["name"] == POLICY_VOLUME and "configMap" in volume
        }
        for manifest in self.manifests:
            marks = manifest["metadata"].get("annotations", {})
            if manifest["metadata"]["name"] in mounted and DIGEST_ANNOTATION in marks:
                text: str = manifest["data"]["policy.json"]
                return text.encode()
        raise LookupError("the program makes no policy ConfigMap")


@frozen
class _Echo(mocks.Mocks):
    """Every resource's outputs are its inputs, as the engine's preview has it."""

    deployed: Mapping[str, Any]

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Give a resource its inputs as outputs."""
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        """Answer the one function that is known here: what the stack last put out."""
        if args.token != READ_OUTPUTS:
            why = f"the program calls {args.token}, which only an engine can answer"
            raise ProjectError(f"{why}; run `pulumi preview`")
        return {"name": args.args["name"], "outputs": dict(self.deployed)}, []


class _Monitor(mocks.MockMonitor):
    """Also keeps each resource by its URN, for two may have one type and name."""

    def __init__(self, echo: _Echo) -> None:
        super().__init__(echo)
        self.seen: dict[str, Resource] = {}
        self.put_out: dict[str, dict[str, Any]] = {}
        self._loops: list[asyncio.AbstractEventLoop] = []

    def Invoke(self, request: Any) -> Any:
        """Answer a call."""
        self._have_a_loop()
        return super().Invoke(request)  # type: ignore[no-untyped-call]

    def RegisterResource(self, request: Any) -> Any:
        """Register, and keep what was registered."""
        inputs = _plain(rpc.deserialize_properties(request.object))
        self._have_a_loop()
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        self.seen[response.urn] = Resource(request.type, request.name, inputs, request.parent)
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:
        """Keep what a component puts out."""
        self.put_out[request.urn] = _plain(rpc.deserialize_properties(request.outputs))
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Close the loops of the threads, which would complain when the process ends."""
        for loop in self._loops:
            loop.close()

    def _have_a_loop(self) -> None:
        """Make a loop for this thread where it has none, as the SDK does and never closes."""
        try:
            asyncio.get_event_loop()
        except RuntimeError:
            self._loops.append(asyncio.new_event_loop())
            asyncio.set_event_loop(self._loops[-1])

    def routers(self, proved: list[ProvedPolicy]) -> Iterator[RouterOutputs]:
        """Yield what each router puts out, by name, with its policy out of `proved`."""
        for urn, one in sorted(self.seen.items(), key=lambda pair: pair[1].name):
            if one.type == ROUTER:
                yield _router(one.name, self.put_out[urn], proved)


def _router(name: str, put_out: Mapping[str, Any], proved: list[ProvedPolicy]) -> RouterOutputs:
    known = {key: None if value == UNKNOWN else value for key, value in put_out.items()}
    url, policy, digest = (known.get(key) for key in ("url", "policy", "digest"))
    its = next((one for one in proved if one.is_known and one.policy.digest == digest), None)
    return RouterOutputs(name, url, policy, digest, put_out["verdict"], its)


def _plain(value: Any) -> Any:
    """Return what crossed the wire as plain data, with whole numbers as the program wrote them."""
    if isinstance(value, pulumi.output.Unknown):
        return UNKNOWN
    if rpc.is_rpc_secret(value):
        return _plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def evaluate(
    stack: str,
    config: Mapping[str, Any],
    deployed: Mapping[str, Any] | None = None,
    program: Path | None = None,
) -> Plan:
    """Run the program for `stack` on `config` (``namespace:key`` to plain values).

    The program is `program`, else what the nearest Pulumi.yaml names, else the one that is shipped.
    `deployed` is what the stack last put out, None before its first deployment. Raises what the
    program raises: PolicyRefusedError, PolicyViolatedError, WideningNotAcceptedError; ProjectError
    when there is no program that can be run here.
    """
    project = nearest_project()
    name = PROJECT if project is None else project.name
    file = (program or program_of(project)).resolve()
    echo = _Echo(deployed or {})
    monitor = _Monitor(echo)
    texts = {key if ":" in key else f"{name}:{key}": _text(v) for key, v in config.items()}
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        settings.reset_options(project=name, stack=stack)
        mocks.set_mocks(
            echo, name, stack, preview=True, monitor=monitor, organization="organization"
        )
        set_all_config(texts)
        with _as_pulumi_runs(file), collected() as proved, cautions_kept() as warnings:
            outputs = loop.run_until_complete(_run(file))
    finally:
        end(loop)
        asyncio.set_event_loop(None)
        loop.close()
        monitor.close()
    found = (one for one in monitor.seen.values() if one.type != "pulumi:pulumi:Stack")
    routers = tuple(monitor.routers(proved))
    return Plan(tuple(sorted(found, key=_rank)), outputs, routers, tuple(warnings))


def end(loop: asyncio.AbstractEventLoop) -> None:
    """End what a refused program left waiting, without a word of it, as the engine's host does."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


def program_of(project: Project | None) -> Path:
    """Return the program that `plan` runs: the project's own, else the one that is shipped.

    Raises ProjectError for a program that is not Python.
    """
    if project is None:
        return SHIPPED
    if project.runtime != "python":
        hint = "only Python programs are evaluated here; run `pulumi preview`"
        raise ProjectError(f"{project.file}: its runtime is {project.runtime}; {hint}")
    return project.program or SHIPPED


@contextlib.contextmanager
def _as_pulumi_runs(program: Path) -> Iterator[None]:
    """Stand in the program's folder, from which it also imports, as under the engine."""
    if program == SHIPPED:
        yield
        return
    folder = str(program.parent)
    sys.path.insert(0, folder)
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        sys.path.remove(folder)


def _rank(resource: Resource) -> tuple[int, str, str]:
    """Order resources as they can be applied; the runtime registers them in any order."""
    kind = resource.type.rpartition(":")[2]
    return (_ORDER.index(kind) if kind in _ORDER else len(_ORDER), kind, resource.name)


async def _run(file: Path) -> dict[str, Any]:
    outputs: dict[str, Any] = {}

    async def program() -> None:
        runpy.run_path(str(file), run_name="__main__")
        stack = settings.get_root_resource()
        for name, value in getattr(stack, "outputs", {}).items():
            known = await pulumi.Output.from_input(value).future(with_unknowns=True)
            outputs[name] = _plain(known)

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
    file = plain(documents[0]) if documents else {}
    config: dict[str, Any] = file.get("config", {}) if isinstance(file, dict) else {}
    return config
