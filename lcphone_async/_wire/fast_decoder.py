"""The quick way from bytes to models, for responses that are as the documents say.

A mirror of a model is a `msgspec.Struct` with the wire's names, and a function that makes the
model of it; both are derived from the model's fields. The rules stay those of `converter.py`: a
mirror keeps what they keep as it is, hands them the rest, and does not read a response at all in
which anything else stands. That one is read the slow way, which says what is wrong.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, get_args

import attrs
import msgspec

from .._internal.clock import real_datetime
from . import converter
from .names import ENVELOPE, spellings

T = TypeVar("T")
Make = Callable[[Any], Any]

# A service that grows a field sends it every time; keys that are ever new are data.
_MOST_UNKNOWN = 20
_PLAIN_KEY = re.compile(r"[\w.-]{1,64}")

_AWARE_DATE: Any = Annotated[real_datetime(), msgspec.Meta(tz=True)]
_SOME_TEXT = Annotated[str, msgspec.Meta(min_length=1)]


class FastDecoder(Generic[T]):
    """Reads a model from a response's bytes, bare or as v3 wraps it.

    `expected` are names on the wire without which it leaves a response to the slow way.
    """

    def __init__(self, cls: type[T], *expected: str) -> None:
        self._cls = cls
        self._expected = expected
        self._unknown: dict[type, tuple[str, ...]] = {}
        self._ways: list[tuple[Callable[[bytes], Any], Make]] = []

    def read(self, body: bytes) -> T | None:
        """The model; `None` where the slow way must read it."""
        self._ways = self._ways or list(self._all_ways())
        for decode, make in self._ways:  # a wrong one mostly fails within microseconds
            try:
                return make(decode(body))  # type: ignore[no-any-return]
            except Exception:  # noqa: BLE001, S112  # the slow way says what it was
                continue
        return None

    def learn(self, model: T) -> None:
        """Takes in the unknown keys of a model that was read the slow way, for the next one."""
        for cls, keys in _unknown_keys(self._cls, [model]):
            known = self._unknown.get(cls, ())
            new = [key for key in keys.difference(known) if _PLAIN_KEY.fullmatch(key)]
            if new and len(known) < _MOST_UNKNOWN:
                self._unknown[cls] = (*known, *new)[:_MOST_UNKNOWN]
                self._ways = []

    def _all_ways(self) -> Iterator[tuple[Callable[[bytes], Any], Make]]:
        for dates in (_AWARE_DATE, str):
            bare = _Mirrors(dates, self._unknown).of(self._cls, self._expected)
            for struct, make in (_wrapped(bare, self._unknown.get(self._cls, ())), bare):
                yield msgspec.json.Decoder(struct).decode, make


class _Mirror(NamedTuple):
    """A model's shape on the wire, and what makes the model of it."""

    struct: Any
    make: Make


class _Value(NamedTuple):
    """The type of a value on the wire, and the code that makes the model's value of it."""

    wire: Any
    code: str = "{sent}"
    make: Make | None = None
    """What `{make}` stands for in the code."""


class _Mirrors:
    """Derives the mirrors of models. Dates come as `dates`: as text, or RFC 3339's as they are."""

    def __init__(self, dates: Any, unknown: Mapping[type, tuple[str, ...]]) -> None:
        self._dates = dates
        self._unknown = unknown

    def of(self, cls: type, expected: Collection[str] = ()) -> _Mirror:
        """The mirror of a model."""
        unknown = self._unknown.get(cls, ())
        columns: list[tuple[Any, ...]] = []
        lines: list[str] = []
        makes: dict[str, Any] = {}
        for field in attrs.fields(attrs.resolve_types(cls)):
            names = spellings(cls, field.name)
            if names:
                required = field.default is attrs.NOTHING or names[0] in expected
                value = self._value(field.type, required=required)
                columns += [_column(name, value.wire, required=required) for name in names]
                makes[f"make_{field.name}"] = value.make
                code = value.code.format(sent=_sent(names, value.wire), make=f"make_{field.name}")
                lines.append(f"model.{field.name} = {code}")
        make = _compiled(cls, lines, unknown, makes)
        if not unknown and all(wire == bool | None for _, wire, *_ in columns):
            make = functools.lru_cache(make)  # of a few flags there are few combinations
        return _Mirror(_struct(cls.__name__, columns, unknown), make)

    def _value(self, cls: Any, *, required: bool = True) -> _Value:
        present = converter.without_none(cls)
        if converter.is_mapping(present):
            return _Value(dict[str, Any], "{make}({sent} or {{}})", converter.kept)
        if converter.is_tuple(present):
            item = self._value(get_args(present)[0])
            code = "tuple(map({make}, {sent} or ()))" if item.make else "{sent} or ()"
            if converter.is_optional(cls):
                code = f"None if {{sent}} is None else {code}"
            return _Value(tuple.__class_getitem__((item.wire, ...)), code, item.make)
        if attrs.has(present):
            struct, make = self.of(present)
            optional = "{sent} and " if converter.is_optional(cls) else ""
            return _Value(struct, optional + "{make}({sent})", make)
        return self._scalar(cls, present, required=required)

    def _scalar(self, cls: Any, present: Any, *, required: bool) -> _Value:
        if present is bool:
            return _Value(bool)
        if present is Any:
            code = "{sent} if {sent}.__class__ is str else {make}({sent})"
            return _Value(Any, code, converter.kept)
        if present is str:
            return _Value(_SOME_TEXT) if required else _Value(str, "{sent} or None")
        if converter.is_date(present) and self._dates is not str:
            return _Value(self._dates)
        rule = converter.rule(cls)
        if converter.is_open_enum(present):
            return _Value(str, "{make}({sent})", functools.lru_cache(rule))
        return _Value(int | float if present in {int, Decimal} else str, "{make}({sent})", rule)


def _column(name: str, wire: Any, *, required: bool) -> tuple[Any, ...]:
    return (name, wire) if required else (name, wire | None, None)


def _sent(names: tuple[str, ...], wire: Any) -> str:
    """The code of what was sent for a field, by its usual name or else by its twin's."""
    usual, *twins = (f"row.{name}" for name in names)
    if not twins:
        return usual
    present = f"{usual} is not None" if wire is bool else usual
    return f"({usual} if {present} else {twins[0]})"


def _struct(
    name: str, columns: list[tuple[Any, ...]], unknown: tuple[str, ...]
) -> type[msgspec.Struct]:
    more = {f"unknown_{index}": key for index, key in enumerate(unknown)}
    return msgspec.defstruct(
        name,
        [*columns, *((column, Any, msgspec.UNSET) for column in more)],
        rename=more,
        forbid_unknown_fields=True,
        frozen=True,
        gc=False,
        kw_only=True,
    )


def _compiled(cls: type, lines: list[str], unknown: tuple[str, ...], makes: dict[str, Any]) -> Make:
    """A function that makes a `cls` of a row.

    A number that is filled and then turned into its class takes a third of the time that its
    own `__init__` takes, which goes around `__setattr__` field by field.
    """
    unfrozen = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    names = {"__slots__": (), "__init__": object.__init__, **unfrozen}
    scope = {**makes, "cls": cls, "Blank": type("Blank", (cls,), names)}
    scope |= {"UNSET": msgspec.UNSET, "kept": converter.kept}
    code = [
        "def make(row):",
        "    if row is None: return cls()",
        "    model = Blank()",
        *(f"    {line}" for line in lines),
        "    model.extra = {}",
        *(
            f"    if row.unknown_{index} is not UNSET:"
            f" model.extra[{key!r}] = kept(row.unknown_{index})"
            for index, key in enumerate(unknown)
        ),
        "    model.__class__ = cls",
        "    return model",
    ]
    exec("\n".join(code), scope)  # noqa: S102  # made of our own fields' names, as attrs does it
    make: Make = scope["make"]
    return make


def _wrapped(bare: _Mirror, unknown: tuple[str, ...]) -> _Mirror:
    """A mirror in v3's envelope; what that has more is the model's, too."""
    unknown = tuple(key for key in unknown if key not in {"data", *ENVELOPE})
    known = [("data", bare.struct), *((name, Any, None) for name in ENVELOPE)]

    def make(row: Any) -> Any:
        model = bare.make(row.data)
        sent = {key: getattr(row, f"unknown_{index}") for index, key in enumerate(unknown)}
        more = {
            key: converter.kept(value) for key, value in sent.items() if value is not msgspec.UNSET
        }
        return attrs.evolve(model, extra=more | model.extra) if more else model

    return _Mirror(_struct("Envelope", known, unknown), make)


def _unknown_keys(cls: type, models: list[Any]) -> Iterator[tuple[type, set[str]]]:
    """The keys in the `extra` of models of a class, and of those in them, by class."""
    yield cls, set().union(*(model.extra for model in models))
    for field in attrs.fields(attrs.resolve_types(cls)):
        inner = converter.without_none(field.type)
        values = [getattr(model, field.name) for model in models]
        if converter.is_tuple(inner):
            inner = get_args(inner)[0]
            values = list(itertools.chain.from_iterable(value or () for value in values))
        if attrs.has(inner):
            yield from _unknown_keys(inner, [value for value in values if value is not None])
