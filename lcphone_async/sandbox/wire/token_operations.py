"""The token endpoints, as pure steps from a call to a status and a body."""

from typing import Final

from ..refusals import AipRefusedError, RefusedError
from ..state import State
from .operations import Asked, Call, Operation, Response
from .parameters import check_single, flag, json_object
from .token_bodies import TOKEN_CONTRACTS, InstalledPage, location_name
from .token_parameters import check_equal, field_of, required, slice_of, token_fields

_USER_TYPES: Final = ("Company", "Location")
_FLAGS: Final = ("isInstalled", "onTrial", "restrictToUserLocations")


def _token(call: Call) -> Response:
    oauth, fields = call.state.oauth, token_fields(call)
    check_equal(fields, "clientId", oauth.settings.client_id)
    check_equal(fields, "clientSecret", oauth.settings.client_secret)
    user_type = fields.get("userType")
    if user_type not in {*_USER_TYPES, None}:
        raise RefusedError(400, "Invalid parameter: userType")
    match required(fields, "grantType"):
        case "authorization_code":
            grant = oauth.exchange(required(fields, "code"), user_type)
        case "refresh_token":
            grant = oauth.refresh(required(fields, "refreshToken"), user_type)
        case _:
            raise RefusedError(400, "Invalid parameter: grantType")
    return 200, TOKEN_CONTRACTS[call.version].token(grant)


def _reconnect(call: Call) -> Response:
    oauth, sent = call.state.oauth, json_object(call.asked.body)
    settings = oauth.settings
    if not settings.reconnects:
        raise RefusedError(400, "API endpoint has been removed")
    for name, value in sent.items():
        if not isinstance(value, str):
            raise RefusedError(400, f"Invalid parameter: {name}")
    check_equal(sent, "clientKey", settings.client_id)
    check_equal(sent, "clientSecret", settings.client_secret)
    if "locationId" not in sent:
        check_equal(sent, "companyId", settings.company_id)
    elif settings.locations is not None and sent["locationId"] not in settings.locations:
        raise RefusedError(400, "Invalid parameter: locationId")
    return 200, {"authorizationCode": oauth.authorize(sent.get("locationId"))}


def _location_token(call: Call) -> Response:
    oauth, fields = call.state.oauth, token_fields(call)
    check_equal(fields, "companyId", oauth.settings.company_id)
    location_id = required(fields, "locationId")
    if oauth.settings.locations is None and call.state.location(location_id) is None:
        raise RefusedError(400, "Invalid parameter: locationId")
    grant = oauth.location_token(location_id)
    return 200, TOKEN_CONTRACTS[call.version].location_token(grant)


def _installed_locations(call: Call) -> Response:
    try:
        return 200, TOKEN_CONTRACTS[call.version].installed_locations(_installed_page(call))
    except RefusedError as refusal:
        if call.is_v3:
            raise AipRefusedError(refusal.status, refusal.message) from None
        raise


def _installed_page(call: Call) -> InstalledPage:
    settings, query = call.state.oauth.settings, call.query
    if call.is_strict:
        check_single(query)
    for name in _FLAGS:
        flag(query, name, default=False)
    check_equal(query, "companyId", settings.company_id)
    app_id = required(query, "appId")
    if call.is_v3 and settings.app_id not in (None, app_id):
        raise RefusedError(404, f"The requested App '{app_id}' was not found.")
    check_equal(query, "appId", settings.app_id)
    is_installed = query["isInstalled"] == "true" if "isInstalled" in query else None
    company = _company(call.state)
    found = [
        (location_id, here)
        for location_id, here in company.items()
        if is_installed in (None, here)
        and query.get("locationId", location_id) == location_id
        and query.get("query", "").casefold() in location_name(location_id).casefold()
    ]
    start, size = slice_of(call)
    total = len(found)
    count = len(company) if call.wire.counts_all else total
    return InstalledPage(found[start : start + size], start, size, total, count, dict(query))


def _company(state: State) -> dict[str, bool]:
    """Tell of all the agency's locations whether the app is installed there."""
    installed = state.oauth.settings.locations
    if installed is None:
        return dict.fromkeys(state.known_ids(), True)
    here = dict.fromkeys(installed, True)
    return here | dict.fromkeys(state.known_ids(), False) | here


def _location_of_token(state: State, asked: Asked) -> str:
    return state.oauth.location_of(field_of(asked, "refreshToken", "code")) or ""


def _location_asked_for(_: State, asked: Asked) -> str:
    return field_of(asked, "locationId")


def _everywhere(_: State, __: Asked) -> str:
    return ""


def _of_the_agency(version: str, token: str, locations: str) -> tuple[Operation, Operation]:
    """Give the two operations of an agency, whose paths differ with the contract."""
    return (
        Operation(
            "location-token",
            "POST",
            token,
            "oauth.write",
            _location_token,
            version,
            _location_asked_for,
        ),
        Operation(
            "installed-locations",
            "GET",
            locations,
            "oauth.readonly",
            _installed_locations,
            version,
            _everywhere,
        ),
    )


TOKEN_OPERATIONS: Final = (
    Operation("token", "POST", "/oauth/token", None, _token, location_id=_location_of_token),
    Operation(
        "reconnect", "POST", "/oauth/reconnect", None, _reconnect, location_id=_location_asked_for
    ),
    *_of_the_agency("v3", "/oauth/location-token", "/oauth/installed-locations"),
    *_of_the_agency("2021-07-28", "/oauth/locationToken", "/oauth/installedLocations"),
)
