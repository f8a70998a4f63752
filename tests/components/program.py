"""Runs a piece of a Pulumi program under the SDK's mocks, and keeps what the engine was told."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.stack import run_pulumi_func
from pulumi_lockgate.stack.evaluate import end

SECRET = "1b47061264138c4ac30d75fd1eb44270"
SIGNATURE = "4dabf18193072939515e22adb298388d"


class Told:
    """What the engine was told: resources by URN, components' outputs, log lines, the end."""

    def __init__(self) -> None:
        self.registered: dict[str, dict[str, Any]] = {}
        self.put_out: dict[str, Any] = {}
        self.exported: dict[str, Any] = {}
        self.log: list[str] = []
        self.warnings: list[str] = []
        self.error: BaseException | None = None

    @property
    def kinds(self) -> set[str]:
        return {one["type"].rpartition(":")[2] for one in self.registered.values()}

    @property
    def in_clear(self) -> str:
        """Everything that state would hold unencrypted."""
        return json.dumps([_cleared(one) for one in (self.registered, self.put_out)])

    def raw(self, name: str) -> Any:
        [found] = [r for r in self.registered.values() if r["name"] == name]
        return found["inputs"]

    def inputs(self, name: str) -> Any:
        return _shown(self.raw(name))

    def raw_outputs(self, name: str) -> Any:
        [found] = [o for urn, o in self.put_out.items() if urn.endswith(f"::{name}")]
        return found

    def outputs(self, name: str) -> Any:
        return _shown(self.raw_outputs(name))

    @staticmethod
    def is_secret(value: Any) -> bool:
        return isinstance(value, dict) and value.get(SIGNATURE) == SECRET

    @staticmethod
    def is_unknown(value: Any) -> bool:
        return bool(value == rpc.UNKNOWN)


def _cleared(value: Any) -> Any:
    if isinstance(value, dict):
        return "[secret]" if Told.is_secret(value) else {k: _cleared(v) for k, v in value.items()}
    return [_cleared(one) for one in value] if isinstance(value, list) else value


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return (
            _shown(value["value"])
            if Told.is_secret(value)
            else {k: _shown(v) for k, v in value.items()}
        )
    return [_shown(one) for one in value] if isinstance(value, list) else value


class _Mocks(mocks.Mocks):
    def __init__(self, deployed: Mapping[str, Any]) -> None:
        self.deployed = deployed

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        return {"outputs": dict(self.deployed)}, []


class _Monitor(mocks.MockMonitor):
    def __init__(self, held: _Mocks, told: Told) -> None:
        super().__init__(held)
        self.told = told

    def RegisterResource(self, request: Any) -> Any:
        response = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            self.told.registered[response.urn] = {
                "type": request.type, "name": request.name, "parent": request.parent,
                "retained": request.retainOnDelete,
                "timeouts": (request.customTimeouts.create, request.customTimeouts.update),
                "inputs": json_format.MessageToDict(request.object), "provider": request.provider,
                "aliases": [one.spec.name or one.urn for one in request.aliases],
            }  # fmt: skip
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:
        self.told.put_out[request.urn] = json_format.MessageToDict(request.outputs)
        return super().RegisterResourceOutputs(request)


def tell(
    program: Callable[[], Any],
    *,
    preview: bool = True,
    deployed: Mapping[str, Any] | None = None,
    config: Mapping[str, str] | None = None,
    secret: Iterable[str] = (),
) -> Told:
    """Run `program` as the engine would and return what it was told."""
    told = Told()
    held = _Mocks(deployed or {})

    async def whole() -> None:
        def run() -> None:
            pulumi.log.info = lambda message, *_: told.log.append(message)
            pulumi.log.warn = lambda message, *_: told.warnings.append(message)
            program()

        await run_pulumi_func(run)
        stack = settings.get_root_resource()
        for name, value in getattr(stack, "outputs", {}).items():
            told.exported[name] = await pulumi.Output.from_input(value).future()

    before = pulumi.log.info, pulumi.log.warn
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        settings.reset_options(project="agents", stack="dev")
        mocks.set_mocks(held, "agents", "dev", preview=preview, monitor=_Monitor(held, told))
        set_all_config(dict(config or {}), list(secret))
        loop.run_until_complete(whole())
    except BaseException as error:  # noqa: BLE001 - what the engine would show
        told.error = error
    finally:
        end(loop)
        pulumi.log.info, pulumi.log.warn = before
        asyncio.set_event_loop(None)
        loop.close()
    return told
