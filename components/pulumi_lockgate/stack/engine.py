"""What the engine knows of the stack: its configuration, whole, and its own last output."""

import json
import time
from collections.abc import Callable, Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary

import pulumi
from attrs import asdict, frozen
from lockgate.policy.reading.document import from_plain
from lockgate.policy.reading.problem import PolicyRefusedError
from pulumi.runtime import config as runtime_config
from pulumi.runtime.settings import get_root_resource

from pulumi_lockgate.stack.settings import PROJECT, Stack, read_stack_tree
from pulumi_lockgate.widening import Earlier, Record, Unknown

READ_OUTPUTS: Final = "pulumi:pulumi:readStackOutputs"
"""The engine's function under StackReference; why it is called by itself: docs/adr/0011."""
POLICY_OUTPUT: Final = "policy"
DIGEST_OUTPUT: Final = "policyDigest"
ENFORCER_OUTPUT: Final = "enforcer"
KEPT_OUTPUT: Final = "keptPolicies"
_TRIES: Final = 20
_PAUSE_S: Final = 0.1
"""A file backend's checkpoint is torn for the moment in which the engine writes it."""


class StackRefusedError(PolicyRefusedError, pulumi.RunError):
    """The stack's configuration is refused; a RunError is shown without a traceback."""


class LastOutputError(pulumi.RunError):
    """What this stack last put out cannot be read, so that no change can be judged."""


@frozen
class Last:
    """Stands for what this stack last put out, where a program says nothing else."""


LAST: Final = Last()


def accepted_widening_of() -> str | None:
    """Return the digest of the list of widenings that the stack's configuration accepts."""
    return pulumi.Config(PROJECT).get("acceptWidening")


def secret_keys() -> frozenset[str]:
    """Return the keys under ``lockgate:`` whose values the engine keeps secret."""
    known = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    prefix = f"{PROJECT}:"
    secret = {key for key in known if runtime_config.is_config_secret(key)}
    return frozenset(key.removeprefix(prefix) for key in secret if key.startswith(prefix))


def stack_settings() -> Stack:
    """Return what the stack's configuration says. Raises StackRefusedError."""
    whole = {f"{PROJECT}:{key}": value for key, value in stack_config().items()}
    try:
        return read_stack_tree(from_plain(whole), "", "stack configuration", secret_keys())
    except PolicyRefusedError as refused:
        raise StackRefusedError(refused.source, refused.problems) from None


def stack_config() -> dict[str, Any]:
    """Return the values under ``lockgate:`` by key; values that are JSON are read.

    Also the keys that nobody asks for, so that none is ignored.
    """
    prefix = f"{PROJECT}:"
    config = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    return {
        key.removeprefix(prefix): _value(text)
        for key, text in config.items()
        if key.startswith(prefix)
    }


def _value(text: str) -> Any:
    if text[:1] not in {"{", "["}:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def last_policy(
    pause: Callable[[float], None] = time.sleep, router: str | None = None
) -> Record | Unknown | None:
    """Return the policy and its enforcer that this stack last put out, None before its first `up`.

    With `router`, they are the outputs of what was exported under that name, else of the
    stack; the engine is then asked once for all routers. Raises LastOutputError when the engine
    does not say. Call it before anything is registered: later, during `up`, the engine is busy
    writing what is read here.
    """
    outputs = _last_outputs(pause) if router is None else _asked_once(pause)
    own = None if router is None else outputs.get(router)
    if isinstance(own, dict) and {POLICY_OUTPUT, DIGEST_OUTPUT} & own.keys():
        outputs = own
    text = outputs.get(POLICY_OUTPUT)
    if isinstance(text, str):
        return Record(text, outputs.get(ENFORCER_OUTPUT), _kept(outputs.get(KEPT_OUTPUT)))
    if outputs.get(DIGEST_OUTPUT) is None and text is None:
        return None
    return Unknown(f"the stack's last outputs hold no readable `{POLICY_OUTPUT}`")


def kept_text(policies: Iterable[Earlier]) -> str:
    """Return the policies whose ConfigMaps are kept as one text, as a stack puts it out."""
    return json.dumps([asdict(one) for one in policies])


def _kept(text: Any) -> tuple[Earlier, ...]:
    """Return what `kept_text` wrote; nothing where that was never put out."""
    try:
        return tuple(Earlier(one["policy"], one["secret"]) for one in json.loads(text))
    except (TypeError, ValueError, KeyError):
        return ()


_ANSWERS: Final[WeakKeyDictionary[Any, dict[str, Any]]] = WeakKeyDictionary()
"""The last outputs by run of a program: a process may evaluate several."""


def _asked_once(pause: Callable[[float], None]) -> dict[str, Any]:
    run = get_root_resource()
    if run is None:
        return _last_outputs(pause)
    if run not in _ANSWERS:
        _ANSWERS[run] = _last_outputs(pause)
    return _ANSWERS[run]


def _last_outputs(pause: Callable[[float], None]) -> dict[str, Any]:
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    said: object = None
    for number in range(_TRIES):
        if number:
            pause(_PAUSE_S)
        try:
            answer = pulumi.runtime.invoke(READ_OUTPUTS, {"name": name}).value
        except Exception as fault:  # noqa: BLE001 - the SDK raises no narrower one
            said = fault
            continue
        outputs: dict[str, Any] = (answer or {}).get("outputs") or {}
        return outputs
    raise LastOutputError(f"the last outputs of this stack cannot be read: {said}; try again")
