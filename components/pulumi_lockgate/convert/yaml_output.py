"""Writes a stack's config as YAML that reads back the same: texts are quoted where in doubt."""

import re
from typing import Any, Final

import yaml

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*\Z")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Write repeated values out, since our reader takes no aliases."""
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.match(text) and text.lower() not in _WORDS
    style = None if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def stack_yaml(config: dict[str, Any], head: str) -> str:
    """Return the text of a stack file with `config`; `head` is a comment on top."""
    comment = "".join(f"# {line}\n" for line in head.splitlines())
    document = {"config": config}
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)
    return comment + str(text)
