"""An import from LiteLLM in progress: its settings as plain data, and what is made of them."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field, frozen
from lockgate.policy.spec.backends import Tier

from pulumi_lockgate.convert.difference import Notes

ENVIRONMENT: Final = "os.environ/"


@frozen
class Entry:
    """One deployment of model_list, for chat. `path`: its place; `group`: LiteLLM's model_name.

    `backend` is ours in wire form, None where the entry is left out; `tier` is known of some that
    are left out too. `order` as LiteLLM has it, None where it is not stated.
    """

    path: str
    group: str
    params: Mapping[str, Any]
    order: float | None = None
    tier: Tier | None = None
    backend: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The backend's name; of an entry that is carried only."""
        return "" if self.backend is None else str(self.backend["name"])


@define
class Draft:
    """The config that is read, and the entries of each model_name in their order.

    `said` are things to be told once; `unserved` are model names of entries that are not for chat.
    `no_cloud` says why no route may lead to a cloud backend, where that is so.
    """

    name: str
    plain: dict[str, Any]
    lines: dict[str, int]
    tiers: Mapping[str, str]
    notes: Notes = field(factory=Notes)
    groups: dict[str, list[Entry]] = field(factory=dict)
    unserved: set[str] = field(factory=set)
    places: dict[str, str] = field(factory=dict)
    said: set[str] = field(factory=set)
    no_cloud: list[str] = field(factory=list)

    def section(self, name: str) -> dict[str, Any]:
        """Return a section's settings, empty where it is absent."""
        section = self.plain.get(name)
        return section if isinstance(section, dict) else {}

    def carried(self) -> list[Entry]:
        """Return every entry that has a backend."""
        return [e for group in self.groups.values() for e in group if e.backend is not None]

    def once(self, path: str, message: str) -> None:
        """Note a difference the first time that it is met."""
        if message not in self.said:
            self.said.add(message)
            self.notes.differs(path, message)

    def resolved(self, value: Any) -> Any:
        """Return `value`, looked up in environment_variables where it names one of those."""
        if isinstance(value, str) and value.startswith(ENVIRONMENT):
            return self.section("environment_variables").get(value.removeprefix(ENVIRONMENT), value)
        return value

    def credentials(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a named credential adds to an entry's own parameters."""
        wanted = params.get("litellm_credential_name")
        stated = self.plain.get("credential_list")
        for one in stated if isinstance(stated, list) else []:
            if (
                isinstance(one, dict)
                and wanted is not None
                and one.get("credential_name") == wanted
            ):
                values = one.get("credential_values")
                return dict(values) if isinstance(values, dict) else {}
        return {}


def seconds(value: Any) -> str | None:
    """Return a deadline in wire form, None where it is no number of seconds above 0."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return f"{value}s"
    return None
