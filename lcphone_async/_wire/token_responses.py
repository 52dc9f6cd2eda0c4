"""Responses of the token endpoints, in both spellings of either contract."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import attrs

from ..auth.sources import checked_token
from ..auth.tokens import Grant
from ..models import Location
from .converter import MismatchError, kind, structure
from .legible import legible
from .names import camel
from .requests import Request
from .responses import Response, decode_json
from .responses import _read as read_response

# A hundred years: a longer life is a mistake, and may be no date any more.
_LONGEST_LIFE = 100 * 366 * 86_400

_ABSENT = (None, "")

# What a service may send as a text: a boolean, and a count.
_FLAGS = {"true": True, "false": False}
_COUNT = re.compile(r"[0-9]{1,18}")


@attrs.frozen
class LocationsPage:
    """One page of the locations where an app is installed."""

    locations: tuple[Location, ...]
    total: int | None = None
    """How many the list has, or how many locations the agency has, with and without the app."""
    has_next: bool | None = None
    """v3: whether there is a next page, if it says so."""
    next_token: str | None = None
    """v3: where the next page starts."""


def grant(request: Request, response: Response) -> Grant:
    """The tokens, from `access_token` or `accessToken`, bare or wrapped in `data`.

    Only the tokens themselves can be refused. A used refresh token may be lost with a response that
    is refused, so a field beside them that cannot be read is left out, even if no decoder accepts
    the response as a whole. A location's token, which is requested with the agency's, is never
    refreshed: its refresh token is such a field.
    """
    is_refreshed = request.scope is None

    def refresh_token(value: Any, where: str) -> str | None:
        if value in _ABSENT:
            return None
        try:
            return _token(value, where)
        except MismatchError:
            if is_refreshed:
                raise
            return None

    def read(document: Any) -> Grant:
        fields, where = _unwrapped(document, unless="access_token")
        said = {name: _either(fields, name) for name in attrs.fields_dict(Grant)}
        return Grant(
            access_token=_token(said["access_token"], f"{where}.access_token"),
            refresh_token=refresh_token(said["refresh_token"], f"{where}.refresh_token"),
            expires_in=_lifetime(said["expires_in"]),
            company_id=_id(said["company_id"]),
            location_id=_id(said["location_id"]),
            scope=_words(said["scope"]),
            user_type=_words(said["user_type"]),
        )

    return read_response(request, response, read, partial(_decoded, "access_token"))


def authorization_code(request: Request, response: Response) -> str:
    """The code that `/oauth/reconnect` returns."""

    def read(document: Any) -> str:
        fields, where = _unwrapped(document, unless="authorization_code")
        return _token(_either(fields, "authorization_code"), f"{where}.authorizationCode")

    return read_response(request, response, read, partial(_decoded, "authorization_code"))


def locations(request: Request, response: Response) -> LocationsPage:
    """A page, from `locations` and `count` or `items` and `pagination`."""

    def read(document: Any) -> LocationsPage:
        fields, where = _unwrapped(document)
        name = next((name for name in ("items", "locations") if name in fields), "items")
        if not isinstance(fields.get(name), list):
            raise MismatchError("an array", f"{where}.{name}", kind(fields.get(name)))
        listed = structure(fields[name], tuple[Location, ...], f"{where}.{name}")
        if not isinstance(paging := fields.get("pagination"), Mapping):
            return LocationsPage(listed, _whole(fields.get("count")))
        return LocationsPage(
            listed,
            _whole(paging.get("totalRecords")),
            _FLAGS.get(str(paging.get("hasNextPage")).lower()),
            _id(paging.get("nextPageToken")),
        )

    return read_response(request, response, read)


def _decoded(token: str, body: bytes) -> Any:
    """The JSON value of a body, or what is legible of one that is broken beside this token.

    If its end is broken or missing, the refresh token must be there too: it may have been next.
    """
    try:
        return decode_json(body)
    except ValueError:
        document, is_whole = legible(body.decode("utf-8-sig", errors="replace"))
        fields, _ = _unwrapped(document, unless=token)
        needed = (token,) if is_whole else (token, "refresh_token")
        if not all(isinstance(_either(fields, name), str) for name in needed):
            raise
        return document


def _token(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise MismatchError("a string", where, kind(value))
    try:
        return checked_token(value)
    except ValueError:
        raise MismatchError("a token that can be sent in a header", where, "another") from None


def _lifetime(value: Any) -> float | None:
    """Seconds; `None` for what is no lifetime."""
    with suppress(ValueError):
        seconds = float(value) if isinstance(value, str) else value
        return seconds if _is_number(seconds) and abs(seconds) < _LONGEST_LIFE else None
    return None


def _id(value: Any) -> str | None:
    """An id, which may come as a number."""
    if isinstance(value, str):
        return value.strip() or None
    return str(int(value)) if _is_number(value) and value == int(value) else None


def _words(value: Any) -> str | None:
    """Names with spaces between them, as a text or from a list."""
    if isinstance(value, list):
        value = " ".join(name for name in value if isinstance(name, str))
    return value or None if isinstance(value, str) else None


def _unwrapped(document: Any, unless: str = "") -> tuple[Mapping[str, Any], str]:
    """The object within `data`, or the one around it that has a field of the name `unless`."""
    where = "$"
    while (
        isinstance(document, dict)
        and isinstance(document.get("data"), dict)
        and not (unless and _either(document, unless))
    ):
        document, where = document["data"], f"{where}.data"
    if not isinstance(document, dict):
        raise MismatchError("an object", where, kind(document))
    return document, where


def _either(fields: Mapping[str, Any], name: str) -> Any:
    """The value of a field in snake_case or, where that is absent, in camelCase."""
    value = fields.get(name)
    return fields.get(camel(name)) if value in _ABSENT else value


def _whole(value: Any) -> int | None:
    """A count, which may come as a text."""
    if isinstance(value, str) and _COUNT.fullmatch(value):
        return int(value)
    return int(value) if _is_number(value) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
