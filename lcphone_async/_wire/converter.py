"""JSON values to models: the one place where the rules for shapes live."""

from __future__ import annotations

import functools
import itertools
import operator
import types
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, TypeVar, Union, get_args, get_origin

import attrs
import msgspec
from cattrs import (
    AttributeValidationNote,
    BaseValidationError,
    Converter,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, override

from .._internal.clock import real_datetime
from .names import spellings

T = TypeVar("T")
Hook = Callable[[Any, Any], Any]

# So deep may a value be that is kept as it came. What is to be shown, copied, compared, pickled or
# written as JSON takes Python's stack some frames for each level.
_MOST_LEVELS = 100
_NESTING = (dict, list)

# No count has more, and what keeps counts takes no more.
_64_BITS = 2**63

_STEPS = (AttributeValidationNote, IterableValidationNote)

_MONTHS = {
    name: f"{number:02}"
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}

_JSON_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


class MismatchError(Exception):
    """A value that is not of the kind that was expected, and where it stands."""

    def __init__(self, expected: str, where: str = "$", got: str = "") -> None:
        super().__init__(expected, where, got)
        self.expected, self.where, self.got = expected, where, got


def structure(value: Any, cls: type[T], where: str) -> T:
    """The JSON value `value`, found at the JSON path `where`, as a `cls`.

    Raises `MismatchError` with the path of the first thing that does not fit.
    """
    try:
        return _converter(detailed_validation=False).structure(value, cls)
    except Exception:  # noqa: BLE001  # whatever it was, the slow way says where it is
        return _structure_slowly(value, cls, where)


def rule(cls: Any) -> Callable[[Any], Any]:
    """What makes a `cls` of a JSON value; raises where it does not fit."""
    hook = _converter(detailed_validation=False).get_structure_hook(cls)
    return lambda value: hook(value, cls)


def kind(value: object) -> str:
    """What JSON calls a value's kind; never the value."""
    return _JSON_KINDS.get(type(value), "an unknown kind of value")


def kept(value: Any) -> Any:
    """A value that is kept as it came; raises where it is nested too deeply to be of use."""
    if not isinstance(value, _NESTING):
        return value
    level: list[Any] = [value]
    for _ in range(_MOST_LEVELS):
        level = [each for each in level if isinstance(each, _NESTING)]
        if not level:
            return value
        level = [*itertools.chain.from_iterable(map(_parts, level))]
    raise MismatchError(f"at most {_MOST_LEVELS} levels")


def _parts(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _structure_slowly(value: Any, cls: type[T], where: str) -> T:
    try:
        return _converter(detailed_validation=True).structure(value, cls)
    except Exception as error:  # noqa: BLE001  # cattrs raises groups, KeyError and ours
        mismatch = _first_mismatch(error, value, where)
    raise mismatch


def _first_mismatch(error: BaseException, value: Any, where: str) -> MismatchError:
    """Follows the first error down to its leaf, and the value along with it."""
    while isinstance(error, BaseValidationError):
        inner = error.exceptions[0]
        step = next(note for note in inner.__notes__ if isinstance(note, _STEPS))
        if isinstance(step, IterableValidationNote):
            where, value = f"{where}[{step.index}]", value[step.index]
        else:
            names = spellings(error.cl, step.name)
            name = next((name for name in names if not _is_absent(value.get(name))), names[0])
            where, value = f"{where}.{name}", value.get(name)
        error = inner
    if isinstance(error, KeyError):
        return MismatchError("a value", where, "nothing")
    expected = error.expected if isinstance(error, MismatchError) else "something else"
    return MismatchError(expected, where, kind(value))


@functools.cache
def _converter(*, detailed_validation: bool) -> Converter:
    """A converter for the wire's JSON.

    - Scalars are strict: a string is a string, `true` is no number, `null` is nothing.
    - Integers have 64 bits and may come as `1.0`. Money becomes a `Decimal` by its shortest
      spelling.
    - Dates are ISO 8601 or RFC 2822; one that names no offset is UTC.
    - An optional field is absent as a missing key, `null` or `""`; an array or an object
      whose fields are all optional is absent as a missing key or `null`. A required field that
      is `""` is missing.
    - A `StrEnum | str` field keeps a value that the enum does not know as a string.
    - Fields go by their names on the wire (`names.py`); keys that no field knows go to `extra`.
    - What is kept as it came is nested 100 levels deep at most.
    """
    converter = Converter(detailed_validation=detailed_validation)
    converter.register_structure_hook(str, _scalar("a string", str))
    converter.register_structure_hook(bool, _scalar("a boolean", bool))
    converter.register_structure_hook(int, _whole_number)
    converter.register_structure_hook(Decimal, _money)
    converter.register_structure_hook(real_datetime(), _date)
    converter.register_structure_hook_func(lambda cls: cls is Any, lambda value, _: kept(value))
    converter.register_structure_hook_func(is_mapping, _mapping)
    converter.register_structure_hook_factory(is_optional, _optional)
    converter.register_structure_hook_factory(is_open_enum, _open_enum)
    converter.register_structure_hook_factory(is_tuple, _array)
    converter.register_structure_hook_factory(attrs.has, _object)
    return converter


def _scalar(expected: str, cls: type) -> Hook:
    def hook(value: Any, _: Any) -> Any:
        if value.__class__ is not cls:
            raise MismatchError(expected)
        return value

    return hook


def _whole_number(value: Any, _: Any) -> int:
    is_whole = value.__class__ is int or (value.__class__ is float and value.is_integer())
    if is_whole and -_64_BITS <= value < _64_BITS:
        return int(value)
    raise MismatchError("a whole number")


def _money(value: Any, _: Any) -> Decimal:
    if value.__class__ is int or value.__class__ is float:
        return Decimal(str(value))
    raise MismatchError("a number")


def _date(value: Any, _: Any) -> datetime:
    if value.__class__ is not str:
        raise MismatchError("a date")
    for parse in (_usual_rfc_2822, _rfc_3339, datetime.fromisoformat, parsedate_to_datetime):
        try:
            date = parse(value)
        except (ValueError, KeyError, OverflowError, msgspec.ValidationError):
            continue
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    raise MismatchError("a date")


def _usual_rfc_2822(text: str) -> datetime:
    """As `parsedate_to_datetime` reads it, in a tenth of the time."""
    _, day, month, year, time, zone = text.split(" ")
    return datetime.fromisoformat(f"{year}-{_MONTHS[month]}-{day}T{time}{zone}")


def _rfc_3339(text: str) -> datetime:
    """As mirrors read it: `msgspec` rounds what is less than a microsecond."""
    return msgspec.convert(text, real_datetime())


def is_mapping(cls: Any) -> bool:
    """Whether it stands for any JSON object."""
    return get_origin(cls) is Mapping


def _mapping(value: Any, _: Any) -> Any:
    if value is None:
        return {}
    if value.__class__ is not dict:
        raise MismatchError("an object")
    return kept(value)


def _is_absent(value: Any) -> bool:
    return value is None or value == ""


def _is_union(cls: Any) -> bool:
    return get_origin(cls) in {Union, types.UnionType}


def is_optional(cls: Any) -> bool:
    """Whether a field may be absent."""
    return _is_union(cls) and type(None) in get_args(cls)


def without_none(cls: Any) -> Any:
    """The type of a field's value where there is one."""
    if not is_optional(cls):
        return cls
    return functools.reduce(operator.or_, (arm for arm in get_args(cls) if arm is not type(None)))


def _optional(cls: Any, converter: Converter) -> Hook:
    present = without_none(cls)
    structure_present = converter.get_structure_hook(present)

    def hook(value: Any, _: Any) -> Any:
        return None if _is_absent(value) else structure_present(value, present)

    return hook


def is_open_enum(cls: Any) -> bool:
    """Whether it is an enum that keeps what it does not know as a string."""
    return _is_union(cls) and not is_optional(cls) and issubclass(get_args(cls)[0], StrEnum)


def _open_enum(cls: Any, _: Converter) -> Hook:
    enum = get_args(cls)[0]

    def hook(value: Any, _: Any) -> Any:
        if value.__class__ is not str:
            raise MismatchError("a string")
        try:
            return enum(value)
        except ValueError:
            return value

    return hook


def is_date(cls: Any) -> bool:
    """Whether it is `datetime`, or what freezegun puts in its place."""
    return isinstance(cls, type) and issubclass(cls, real_datetime())


def is_tuple(cls: Any) -> bool:
    """Whether it stands for a JSON array."""
    return get_origin(cls) is tuple


def _array(cls: Any, converter: Converter) -> Hook:
    item = get_args(cls)[0]
    items: Any = types.GenericAlias(list, item)
    if converter.detailed_validation:
        structure_items: Hook = _until_the_first_mismatch(converter.get_structure_hook(item), item)
    else:
        structure_items = converter.get_structure_hook(items)

    def hook(value: Any, _: Any) -> Any:
        if value is None:
            return ()
        if value.__class__ is not list:
            raise MismatchError("an array")
        return tuple(structure_items(value, items))

    return hook


def _until_the_first_mismatch(structure_item: Hook, item: Any) -> Hook:
    """Unlike cattrs' own, does not go on to gather an error for each of millions of items."""

    def hook(value: Any, items: Any) -> Any:
        structured = []
        for index, each in enumerate(value):
            try:
                structured.append(structure_item(each, item))
            except Exception as error:  # noqa: BLE001  # cattrs raises groups, KeyError and ours
                error.add_note(IterableValidationNote("", index, item))
                raise IterableValidationError("", [error], items) from None
        return structured

    return hook


def _object(cls: Any, converter: Converter) -> Hook:
    fields = attrs.fields(attrs.resolve_types(cls))
    names = {field.name: spellings(cls, field.name) for field in fields}
    known = frozenset(name for spelled in names.values() for name in spelled)
    twins = [(twin, usual) for usual, *others in filter(None, names.values()) for twin in others]
    required = [names[field.name][0] for field in fields if field.default is attrs.NOTHING]
    overrides: Any = {
        name: override(rename=spelled[0]) if spelled else override(omit=True)
        for name, spelled in names.items()
    }
    structure_fields = make_dict_structure_fn(cls, converter, **overrides)

    def hook(value: Any, _: Any) -> Any:
        if value is None and not required:
            return cls()
        if value.__class__ is not dict:
            raise MismatchError("an object")
        named = value
        for twin, usual in twins:
            if twin in value and _is_absent(value.get(usual)):
                named = {**named, usual: value[twin]}
        for name in required:
            if named.get(name) == "":
                named = {key: named[key] for key in named if key != name}
        model = structure_fields(named, cls)
        if known.issuperset(value):
            return model
        extra = {name: kept(value[name]) for name in value if name not in known}
        return attrs.evolve(model, extra=extra)

    return hook
