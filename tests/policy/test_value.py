"""Values that are compiled: equal by their fields, all of them."""

import inspect

import pytest
from lockgate.exchange import commands as do
from lockgate.exchange import events as on
from lockgate.http1.response_head import ResponseHead
from lockgate.value import Value

VALUES = sorted(Value.__subclasses__(), key=lambda value: value.__name__)


def test_the_walk_sees_them() -> None:
    assert {do.Arm, on.ResponseData, ResponseHead} <= set(VALUES)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_every_field_counts_for_equality(value: type[Value]) -> None:
    takes = () if value.__init__ is object.__init__ else inspect.signature(value).parameters
    assert value.__match_args__ == tuple(takes)


def test_values_are_equal_by_class_and_fields() -> None:
    assert do.Pause(0.5) == do.Pause(0.5)
    assert do.Pause(0.5) != do.Pause(0.6)
    assert on.Start() != on.PauseOver()
    assert repr(do.Pause(0.5)) == "Pause(seconds=0.5)"
