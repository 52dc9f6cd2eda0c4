"""The token endpoints, as pure steps from a call to a status and a body."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from .operations import Answer, Asked, Call, Operation
from .parameters import flag, json_object
from .refusals import RefusedError
from .token_bodies import TOKEN_CONTRACTS, InstalledPage, location_name, start_of

_LARGEST_PAGE: Final = 100
_DEFAULT_PAGE: Final = 20
_MOST_DIGITS: Final = 15
_OTHER_NAMES: Final = {
    "clientId": "client_id",
    "clientSecret": "client_secret",
    "grantType": "grant_type",
    "refreshToken": "refresh_token",
    "userType": "user_type",
}
_USER_TYPES: Final = ("Company", "Location")


def _token(call: Call) -> Answer:
    fields, settings = _fields(call.asked), call.state.oauth.settings
    _matching(fields, "clientId", settings.client_id)
    _matching(fields, "clientSecret", settings.client_secret)
    user_type = fields.get("userType", "Location")
    if user_type not in _USER_TYPES:
        raise RefusedError(400, "Invalid parameter: userType")
    match _required(fields, "grantType"):
        case "authorization_code":
            grant = call.state.oauth.exchange(_required(fields, "code"), user_type)
        case "refresh_token":
            grant = call.state.oauth.refresh(_required(fields, "refreshToken"), user_type)
        case _:
            raise RefusedError(400, "Invalid parameter: grantType")
    return 200, TOKEN_CONTRACTS[call.version].token(grant)


def _location_token(call: Call) -> Answer:
    fields = _fields(call.asked)
    _matching(fields, "companyId", call.state.oauth.settings.company_id)
    location_id = _required(fields, "locationId")
    everywhere = call.state.oauth.settings.locations is None
    if everywhere and call.state.location(location_id) is None:
        raise RefusedError(400, "Invalid parameter: locationId")
    grant = call.state.oauth.location_token(location_id)
    return 200, TOKEN_CONTRACTS[call.version].location_token(grant)


def _installed_locations(call: Call) -> Answer:
    settings, query = call.state.oauth.settings, call.query
    _matching(query, "companyId", settings.company_id)
    _matching(query, "appId", settings.app_id)
    is_installed = None
    if "isInstalled" in query:
        is_installed = flag(query, "isInstalled", default=True)
    found = [
        (location_id, here)
        for location_id, here in _company(call).items()
        if is_installed in (None, here)
        and query.get("locationId", location_id) == location_id
        and query.get("query", "").casefold() in location_name(location_id).casefold()
    ]
    start, size = _slice(call)
    page = InstalledPage(found[start : start + size], start, size, len(found), dict(query))
    return 200, TOKEN_CONTRACTS[call.version].installed_locations(page)


def _company(call: Call) -> dict[str, bool]:
    """Tell of all the agency's locations whether the app is installed there."""
    installed = call.state.oauth.settings.locations
    known = dict.fromkeys(call.state.known_ids(), installed is None)
    return known if installed is None else dict.fromkeys(installed, True) | known


def _slice(call: Call) -> tuple[int, int]:
    if call.version != "v3":
        return _count(call, "skip", 0), max(_count(call, "limit", _DEFAULT_PAGE), 1)
    size = _count(call, "pageSize", _DEFAULT_PAGE)
    start = start_of(call.query["pageToken"]) if "pageToken" in call.query else 0
    if not 1 <= size <= _LARGEST_PAGE:
        raise RefusedError(400, "Invalid parameter: pageSize")
    if start is None:
        raise RefusedError(400, "Invalid parameter: pageToken")
    return start, size


def _count(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise RefusedError(400, f"Invalid parameter: {name}")
    return int(text)


def _fields(asked: Asked) -> dict[str, str]:
    """Read a body, a form or JSON, under v3's names; both spellings are taken under both."""
    sent: dict[str, Any]
    if asked.content_type == "application/json":
        sent = json_object(asked.body)
    else:
        sent = dict(parse_qsl(asked.body.decode(errors="replace"), keep_blank_values=True))
    spelled = {new: sent[old] for new, old in _OTHER_NAMES.items() if old in sent} | sent
    for name, value in spelled.items():
        if not isinstance(value, str):
            raise RefusedError(400, f"Invalid parameter: {name}")
    return spelled


def _required(fields: Mapping[str, str], name: str) -> str:
    if not fields.get(name):
        raise RefusedError(400, f"Missing parameter: {name}")
    return fields[name]


def _matching(fields: Mapping[str, str], name: str, expected: str | None) -> None:
    if _required(fields, name) != expected and expected is not None:
        raise RefusedError(400, f"Invalid parameter: {name}")


TOKEN_OPERATIONS: Final = (
    Operation("token", "POST", "/oauth/token", None, _token),
    Operation(
        "location-token", "POST", "/oauth/location-token", "oauth.write", _location_token, "v3"
    ),
    Operation(
        "location-token",
        "POST",
        "/oauth/locationToken",
        "oauth.write",
        _location_token,
        "2021-07-28",
    ),
    Operation(
        "installed-locations",
        "GET",
        "/oauth/installed-locations",
        "oauth.readonly",
        _installed_locations,
        "v3",
    ),
    Operation(
        "installed-locations",
        "GET",
        "/oauth/installedLocations",
        "oauth.readonly",
        _installed_locations,
        "2021-07-28",
    ),
)
