"""Faults and settings out of JSON, and out of texts such as `operation=purchase,status=503`."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from attrs import fields

T = TypeVar("T")


def from_data(cls: type[T], data: object, *, strict: bool = True) -> T:
    """Make a value of an attrs class out of JSON; `strict` is False where all is strings.

    Raises `ValueError` for what is not of the right type, unknown or makes no sense.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"expected an object, got {type(data).__name__}")  # noqa: TRY004
    known = {one.alias for one in fields(cls)}  # type: ignore[arg-type]
    if unknown := data.keys() - known:
        raise ValueError(f"unknown: {min(unknown)!r}; there are {', '.join(sorted(known))}")
    try:
        return msgspec.convert(data, cls, strict=strict)
    except msgspec.ValidationError as error:  # a `ValueError` only since msgspec 0.20
        raise ValueError(str(error)) from None


def from_text(cls: type[T], text: str) -> T:
    """Make a value out of `name=value,name=value`, or of a JSON object."""
    if text.lstrip().startswith("{"):
        return from_data(cls, from_json(text))
    pairs: dict[str, Any] = {}
    for part in text.split(","):
        name, separator, value = part.partition("=")
        if not separator:
            raise ValueError(f"expected name=value, got {part!r}")
        pairs[name.strip()] = value.strip()
    return from_data(cls, pairs, strict=False)


def all_from_json(cls: type[T], text: str | bytes) -> list[T]:
    """Make values out of a JSON array of objects, or of one object."""
    data = from_json(text)
    return [from_data(cls, one) for one in (data if isinstance(data, list) else [data])]


def from_json(text: str | bytes) -> object:
    """Read JSON; `ValueError` where it is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("this is not JSON") from None
