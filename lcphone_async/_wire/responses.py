"""Responses to models: both contracts, and every shape that was documented or seen."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import msgspec

from ..errors import ResponseFormatError
from ..models import (
    ActiveNumber,
    ActiveNumbersPage,
    AvailableNumber,
    AvailableNumbers,
    NumberPool,
    Purchase,
)
from .converter import MismatchError, kind, structure
from .fast_decoder import FastDecoder
from .names import ENVELOPE
from .requests import Request

if TYPE_CHECKING:
    from multidict import MultiMapping

T = TypeVar("T")

# Half of a pair of surrogates, as JavaScript leaves it where it cuts a text within an emoji.
_HALF_A_PAIR = re.compile(
    rb"\\u[dD][89abAB][\da-fA-F]{2}(?!\\u[dD][c-fC-F][\da-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][\da-fA-F]{2})\\u[dD][c-fC-F][\da-fA-F]{2}"
)

# An error body is no longer than this, and has one of these keys; few others are decoded for it.
_LONGEST_ERROR = 2**16
_MAY_BE_AN_ERROR = re.compile(
    rb'"status(Code)?"\s*:\s*("?[45]\d\d\b|"(error|fail))|"success"\s*:\s*"?false'
    rb'|"error"\s*:\s*(true|"[^"]|\{)|"errors"\s*:\s*\[\s*[^]\s]',
    re.IGNORECASE,
)
_ERROR_STATUS = re.compile(r"[45]\d\d(?=(\.0+)?$)", re.ASCII)
_ACCESS_TOKEN = ("access_token", "accessToken")
_FAILED = {"error", "fail", "failed", "failure"}
# A successful response has one of these keys, or a list as `data`.
_CONTENT = {"numbers", "phoneNumbers", "pools", "numberPools", "locations", "number", "id"}

_PAGES = FastDecoder(ActiveNumbersPage, "numbers", "page")
_SEARCHES = FastDecoder(AvailableNumbers, "numbers")


@attrs.frozen
class Response:
    """What came back for a `Request`: a whole HTTP response."""

    status: int
    headers: MultiMapping[str]
    """With names in any case."""
    body: bytes = attrs.field(repr=False)


@attrs.frozen
class _Found:
    """A JSON value and its siblings, each with the JSON path at which it stands."""

    value: Any
    where: str
    siblings: Mapping[str, Any]
    around: str


def stated_error(response: Response) -> int | None:
    """The status of a response with an error status, or with a body that says that it is one.

    A response with status 200 may say `statusCode: 500`, or just `status: error`, also within
    `data`. It may also have an `error` or a list of `errors` and no content, or an `accountStatus`
    and no list. One that brings tokens is no error: they must not be lost.
    """
    if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
        return response.status
    body = response.body
    is_status_alone = b'"accountStatus"' in body and b'"numbers"' not in body
    if len(body) > _LONGEST_ERROR or not (is_status_alone or _MAY_BE_AN_ERROR.search(body)):
        return None
    try:
        document = decode_json(body)
    except ValueError:
        return None
    if _has_tokens(document):
        return None
    levels = list(_levels(document))
    told = (str(level.get(name)) for level in levels for name in ("statusCode", "status"))
    if code := next(filter(None, map(_ERROR_STATUS.match, told)), None):
        return int(code[0])
    has_failed = any(
        str(level.get("status")).lower() in _FAILED or str(level.get("success")).lower() == "false"
        for level in levels
    )
    return response.status if has_failed or _has_only_an_error(levels) else None


def number_pools(request: Request, response: Response) -> list[NumberPool]:
    """The pools, from `{success, data, total}`, a bare list, `pools` or `numberPools`."""

    def read(document: Any) -> list[NumberPool]:
        found = _listing(document, "pools", "numberPools")
        return list(structure(found.value, tuple[NumberPool, ...], found.where))

    return _read(request, response, read)


def active_numbers(request: Request, response: Response, page: int) -> ActiveNumbersPage:
    """One page of active numbers; a page that does not say which it is, is the one asked for."""

    def read(document: Any) -> ActiveNumbersPage:
        found = _listing(document, "numbers", "phoneNumbers")
        named = (
            found.siblings
            if found.siblings.get("page") is not None
            else {**found.siblings, "page": page}
        )
        details = structure(named, ActiveNumbersPage, found.around)
        numbers = structure(found.value, tuple[ActiveNumber, ...], found.where)
        return attrs.evolve(details, numbers=numbers)

    return _read_quickly(request, response, read, _PAGES)


def available_numbers(request: Request, response: Response) -> AvailableNumbers:
    """What a search found."""

    def read(document: Any) -> AvailableNumbers:
        found = _listing(document, "numbers", "phoneNumbers")
        details = structure(found.siblings, AvailableNumbers, found.around)
        numbers = structure(found.value, tuple[AvailableNumber, ...], found.where)
        return attrs.evolve(details, numbers=numbers)

    return _read_quickly(request, response, read, _SEARCHES)


def purchase(request: Request, response: Response) -> Purchase:
    """The purchase, from v3's slim record or from 2021-07-28's account record."""

    def read(document: Any) -> Purchase:
        value, where = _unwrap(document, "id", "number", "numbers")
        bought = request.phone_number
        if isinstance(value, dict) and isinstance(value.get("numbers"), dict):
            if bought not in value["numbers"]:
                raise MismatchError("to hold the number", f"{where}.numbers", "others")
            value = {**value, "number": bought}
        purchase = structure(value, Purchase, where)
        if purchase.number != bought:
            raise MismatchError("the number that was asked for", f"{where}.number", "another")
        return purchase

    return _read(request, response, read)


def decode_json(body: bytes) -> Any:
    """A body's JSON value; raises `ValueError` with what it seems to be where it is none.

    Half of a pair of surrogates becomes U+FFFD: one bad name does not cost a page of good numbers.
    Bytes that are not UTF-8 are refused.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError:
            repaired = _with_whole_pairs(body)
            if repaired == body:
                raise
            return msgspec.json.decode(repaired)
    except msgspec.ValidationError:  # of a value that is no particular type, only this is left
        problem = "a number that is too large"
    except RecursionError:
        problem = "values that are nested too deeply"
    except UnicodeDecodeError:
        problem = "text that is not UTF-8"
    except msgspec.DecodeError:
        problem = describe(body)
    raise ValueError(problem)


def _with_whole_pairs(body: bytes) -> bytes:
    if b"\0" in body:  # which is never JSON
        return body
    without_backslashes = body.replace(rb"\\", b"\0")
    return _HALF_A_PAIR.sub(rb"\\ufffd", without_backslashes).replace(b"\0", rb"\\")


def describe(body: bytes) -> str:
    """What a body that is not JSON seems to be; none of it is shown."""
    if not body.strip():
        return "an empty body"
    if body.lstrip().startswith(b"<"):
        return "an HTML page"
    if not json.detect_encoding(body).startswith("utf-8"):
        return "text that is not UTF-8"
    return "something that is broken or cut off"


def _read(
    request: Request,
    response: Response,
    read: Callable[[Any], T],
    decode: Callable[[bytes], Any] = decode_json,
) -> T:
    try:
        return read(_document(response.body, decode))
    except MismatchError as error:
        where, problem = error.where, f"expected {error.expected}, got {error.got}"
    raise ResponseFormatError(request.method, request.path, where, problem)


def _read_quickly(
    request: Request, response: Response, read: Callable[[Any], T], quick: FastDecoder[T]
) -> T:
    """`_read`, but only for what the quick reader leaves to it."""
    model = quick.read(response.body)
    if model is None:
        model = _read(request, response, read)
        quick.learn(model)
    return model


def _document(body: bytes, decode: Callable[[bytes], Any]) -> Any:
    try:
        return decode(body)
    except ValueError as error:
        raise MismatchError("JSON", got=str(error)) from None


def _has_tokens(document: Any) -> bool:
    value, _ = _unwrap(document, *_ACCESS_TOKEN)
    return isinstance(value, dict) and any(
        isinstance(value.get(name), str) and value[name] for name in _ACCESS_TOKEN
    )


def _levels(document: Any) -> Iterator[Mapping[str, Any]]:
    """An object, and those that it wraps as `data`."""
    while isinstance(document, dict):
        yield document
        document = document.get("data")


def _has_only_an_error(levels: Sequence[Mapping[str, Any]]) -> bool:
    """True for an error without content, or for an account status without a list."""
    content = [
        value
        for level in levels
        for name, value in level.items()
        if name in _CONTENT or (name == "data" and isinstance(value, list))
    ]
    has_error = any(
        (isinstance(level.get("error"), str | dict | bool) and level["error"])
        or (isinstance(level.get("errors"), list) and level["errors"])
        for level in levels
    )
    if has_error:
        return not any(content)
    return not content and any(isinstance(level.get("accountStatus"), str) for level in levels)


def _unwrap(document: Any, *names: str) -> tuple[Any, str]:
    """The payload below `data`, however often it is wrapped, and its JSON path."""
    where = "$"
    while isinstance(document, dict) and "data" in document and not document.keys() & names:
        document, where = document["data"], f"{where}.data"
    return document, where


def _listing(document: Any, *names: str) -> _Found:
    """The list that a response is about: bare, as `data`, or under one of `names`."""
    siblings: dict[str, Any] = {}
    where = around = "$"
    while isinstance(document, dict):
        key = next((name for name in (*names, "data") if name in document), names[0])
        if key not in document:
            raise MismatchError("a value", f"{where}.{key}", "nothing")
        envelope = {*ENVELOPE, key} if key == "data" else {key}
        siblings |= {name: value for name, value in document.items() if name not in envelope}
        document, where, around = document[key], f"{where}.{key}", where
        if key != "data":
            break
    if not isinstance(document, list):
        raise MismatchError("an array", where, kind(document))
    return _Found(document, where, siblings, around)
