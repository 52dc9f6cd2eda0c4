"""What a request to the token endpoints asks for; what is refused is a `RefusedError`."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qsl

from ..refusals import RefusedError
from .operations import Asked, Call
from .parameters import json_object, whole_number
from .token_bodies import start_of

_LARGEST_PAGE: Final = 100
_DEFAULT_PAGE: Final = 20
_SNAKE_CASE: Final = {
    "clientId": "client_id",
    "clientSecret": "client_secret",
    "grantType": "grant_type",
    "refreshToken": "refresh_token",
    "userType": "user_type",
    "redirectUri": "redirect_uri",
}
"""What 2021-07-28 calls the fields of v3."""
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"


def token_fields(call: Call) -> dict[str, str]:
    """Read a body by v3's names. Both spellings, and forms as well as JSON, are taken.

    In strict mode only those of the contract: JSON is for the tokens of v3.
    """
    asked = call.asked
    if call.is_strict and asked.content_type not in ((_FORM, _JSON) if call.is_v3 else (_FORM,)):
        raise RefusedError(400, f"Unsupported content type: {asked.content_type}")
    sent = _sent(asked)
    for name, value in sent.items():
        if not isinstance(value, str):
            raise RefusedError(400, f"Invalid parameter: {name}")
    if not call.is_strict:
        return _by_v3_names(sent)
    others = _SNAKE_CASE.values() if call.is_v3 else _SNAKE_CASE.keys()
    return _by_v3_names({name: value for name, value in sent.items() if name not in others})


def field_of(asked: Asked, *names: str) -> str:
    """Give the first of these fields that a body has, or nothing, also where it cannot be read."""
    with suppress(RefusedError):
        sent = _by_v3_names(_sent(asked))
        return next((str(sent[name]) for name in names if name in sent), "")
    return ""


def required(fields: Mapping[str, str], name: str) -> str:
    """Give a field, or refuse a request without it."""
    if not fields.get(name):
        raise RefusedError(400, f"Missing parameter: {name}")
    return fields[name]


def check_equal(fields: Mapping[str, str], name: str, expected: str | None) -> None:
    """Refuse a field that is missing, or not what it must be, if it must be anything."""
    if required(fields, name) != expected and expected is not None:
        raise RefusedError(400, f"Invalid parameter: {name}")


def slice_of(call: Call) -> tuple[int, int]:
    """Read where a page of locations starts, and how many it has at most."""
    if not call.is_v3:
        return _count(call, "skip", 0), max(_count(call, "limit", _DEFAULT_PAGE), 1)
    size = _count(call, "pageSize", _DEFAULT_PAGE)
    start = start_of(call.query["pageToken"]) if "pageToken" in call.query else 0
    if not 1 <= size <= _LARGEST_PAGE:
        raise RefusedError(400, "Invalid parameter: pageSize")
    if start is None:
        raise RefusedError(400, "Invalid parameter: pageToken")
    return start, size


def _sent(asked: Asked) -> dict[str, Any]:
    if asked.content_type == _JSON:
        return json_object(asked.body)
    return dict(parse_qsl(asked.body.decode(errors="replace"), keep_blank_values=True))


def _by_v3_names(sent: dict[str, Any]) -> dict[str, Any]:
    return {new: sent[old] for new, old in _SNAKE_CASE.items() if old in sent} | sent


def _count(call: Call, name: str, default: int) -> int:
    count = whole_number(call.query.get(name, str(default)))
    if count is None or count < 0:
        raise RefusedError(400, f"Invalid parameter: {name}")
    return count
