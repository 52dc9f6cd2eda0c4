"""Answers of the token endpoints, in both spellings of either contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from .._token_sources import checked_token
from .._tokens import Grant
from ..models import Location
from .answers import Answer
from .answers import _read as read_answer
from .names import camel
from .requests import Request
from .shapes import MismatchError, kind, structure

# A hundred years: a longer life is a mistake, and may be no date any more.
_LONGEST_LIFE = 100 * 366 * 86_400


@attrs.frozen
class LocationsPage:
    """One page of the locations where an app is installed."""

    locations: tuple[Location, ...]
    next_start: str | None
    """Where to go on; `None` after the last page."""
    total: int | None
    """How many the list has; the 2021-07-28 contract gives another figure."""


def grant(request: Request, answer: Answer) -> Grant:
    """The tokens, from `access_token` or `accessToken`, bare or wrapped in `data`."""

    def read(document: Any) -> Grant:
        fields, where = _unwrapped(document)
        known = {camel(name): _either(fields, name) for name in attrs.fields_dict(Grant)}
        lives = known.pop("expiresIn")
        grant = structure(known, Grant, where)
        _check_usable(grant.access_token, f"{where}.access_token")
        # Tokens that were given must not be lost for a lifetime that cannot be read.
        return attrs.evolve(grant, expires_in=lives) if _is_lifetime(lives) else grant

    return read_answer(request, answer, read)


def locations(request: Request, answer: Answer, start: str, page_size: int) -> LocationsPage:
    """A page that began at `start`, from `locations` and `count` or `items` and `pagination`."""

    def read(document: Any) -> LocationsPage:
        fields, where = _unwrapped(document)
        name = next((name for name in ("items", "locations") if name in fields), "items")
        if not isinstance(fields.get(name), list):
            raise MismatchError("an array", f"{where}.{name}", kind(fields.get(name)))
        listed = structure(fields[name], tuple[Location, ...], f"{where}.{name}")
        if isinstance(paging := fields.get("pagination"), Mapping):
            following, total = _next_token(paging), _whole(paging.get("totalRecords"))
        else:
            following, total = _next_skip(start, len(listed), page_size, fields), None
        return LocationsPage(listed, following, total)

    return read_answer(request, answer, read)


def _check_usable(token: str, where: str) -> None:
    try:
        checked_token(token)
    except ValueError:
        raise MismatchError("a token that can be sent in a header", where, "another") from None


def _unwrapped(document: Any) -> tuple[Mapping[str, Any], str]:
    where = "$"
    while isinstance(document, dict) and isinstance(document.get("data"), dict):
        document, where = document["data"], f"{where}.data"
    if not isinstance(document, dict):
        raise MismatchError("an object", where, kind(document))
    return document, where


def _either(fields: Mapping[str, Any], name: str) -> Any:
    """The value of a field in snake_case or, where that is absent, in camelCase."""
    value = fields.get(name)
    return fields.get(camel(name)) if value in (None, "") else value


def _next_token(paging: Mapping[str, Any]) -> str | None:
    token = paging.get("nextPageToken")
    if not isinstance(token, str) or not token or paging.get("hasNextPage") is False:
        return None
    return token


def _next_skip(start: str, given: int, page_size: int, fields: Mapping[str, Any]) -> str | None:
    """A page may be short because the service has a smaller limit: only `count` tells."""
    following = int(start or 0) + given
    count = _whole(fields.get("count"))
    is_short = given < page_size
    if not given or (is_short and (count is None or following >= count)):
        return None
    return str(following)


def _whole(value: Any) -> int | None:
    return int(value) if _is_number(value) else None


def _is_lifetime(value: Any) -> bool:
    return _is_number(value) and abs(value) < _LONGEST_LIFE


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
