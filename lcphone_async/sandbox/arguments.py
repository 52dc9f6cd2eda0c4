"""What a sandbox may be told: validators that name the argument."""

import sys
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any

from attrs import Attribute

Check = Callable[[Any, "Attribute[Any]", Any], None]


def a(*classes: type) -> Check:
    """Take an instance of one of the classes; unlike attrs' own, its error shows no value."""

    def check(_: object, attribute: "Attribute[Any]", value: object) -> None:
        if not isinstance(value, classes):
            wanted = " or ".join(cls.__name__ for cls in classes)
            raise TypeError(f"'{attribute.alias}' must be {wanted}, not {type(value).__name__}")

    return check


a_text: Check = a(str)
a_switch: Check = a(bool)


def among(*words: str | None) -> Check:
    """Take one of a few words."""

    def check(_: object, attribute: "Attribute[Any]", value: object) -> None:
        if value not in words:
            known = ", ".join(word for word in words if word is not None)
            raise ValueError(f"'{attribute.alias}' must be one of {known}")

    return check


def whole(lowest: int, highest: int = sys.maxsize) -> Check:
    """Take an integer within its bounds, both included."""

    def check(_: object, attribute: "Attribute[Any]", value: object) -> None:
        name = attribute.alias
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"'{name}' must be an integer, not {type(value).__name__}")
        if value < lowest and highest == sys.maxsize:
            raise ValueError(f"'{name}' must be {lowest} or more")
        if not lowest <= value <= highest:
            raise ValueError(f"'{name}' must be {lowest} to {highest}")

    return check


def number(lowest: float, highest: float | None = None, *, above: bool = False) -> Check:
    """Take a finite number within its bounds, both included, or `above` the lower one."""

    def check(_: object, attribute: "Attribute[Any]", value: object) -> None:
        name = attribute.alias
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"'{name}' must be a number, not {type(value).__name__}")
        fits = _is_finite(value) and (value > lowest or (value == lowest and not above))
        if not fits or (highest is not None and value > highest):
            raise ValueError(f"'{name}' must be a finite number within its bounds")

    return check


def callable_or_raise(_: object, attribute: "Attribute[Any]", value: object) -> None:
    """Take what can be called."""
    if not callable(value):
        raise TypeError(f"'{attribute.alias}' must be a function, not {type(value).__name__}")


def mapping_of(cls: type) -> Check:
    """Take a mapping from texts to instances of a class."""

    def check(instance: object, attribute: "Attribute[Any]", value: Any) -> None:
        a(Mapping)(instance, attribute, value)
        for key, each in value.items():
            if not (isinstance(key, str) and isinstance(each, cls)):
                raise TypeError(f"'{attribute.alias}' must map texts to {cls.__name__}")

    return check


def several(name: str, values: Any) -> tuple[Any, ...]:
    """Give the values of an iterable that is not itself a text."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise TypeError(f"'{name}' must be several values, not {type(values).__name__}")
    return tuple(values)


def texts(name: str, values: Any) -> tuple[str, ...]:
    """Give several texts."""
    given = several(name, values)
    if not all(isinstance(value, str) for value in given):
        raise TypeError(f"'{name}' must be texts")
    return given


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False
