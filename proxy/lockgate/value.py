"""The base class of values in compiled code, where attrs' frozen ones are built ten times slower.

A subclass takes its fields in `__init__` and names them in `__match_args__`. Nothing changes them
later: they are `Final`, and mypy checks that.
"""

from typing import Any, ClassVar

try:
    from mypy_extensions import mypyc_attr as mypyc_attr  # noqa: PLC0414 - other modules import it from here
except ImportError:  # comes with the compiler; uncompiled sources run without it

    def mypyc_attr(*attrs: str, **kwattrs: object) -> Any:  # type: ignore[misc]  # noqa: ARG001
        """Change nothing."""
        return lambda kind: kind


class Value:  # noqa: PLW1641 - compared, never a key
    """A value, equal to another of the same class with equal fields."""

    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(
            getattr(self, name) == getattr(other, name) for name in self.__match_args__
        )

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__name__}({fields})"
