"""A value that mypyc makes a native object of: attrs' frozen ones are built ten times slower there.

A subclass takes its fields in `__init__` and names them in `__match_args__`. Nothing changes them
later; that is held by mypy, to whom they are `Final`.
"""

from typing import ClassVar


class Value:  # noqa: PLW1641 - compared, never a key
    """Equal to a value of the same class with equal fields."""

    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(
            getattr(self, name) == getattr(other, name) for name in self.__match_args__
        )

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__name__}({fields})"
