"""The token endpoints as `Request` values, under both contracts.

v3 takes JSON in camelCase where 2021-07-28 takes a form in snake_case.
"""

from __future__ import annotations

from urllib.parse import urlencode

from .. import _checks as checks
from .._secrets import Secret
from .names import camel
from .requests import Request

MAX_PAGE_SIZE = 100

# The answer to a refresh that comes late is no use: it is asked for again, while the service
# still gives the same one.
_TIMEOUT = 10.0

_V3 = "v3"


def refresh(api_version: str, client_id: str, client_secret: str, refresh_token: str) -> Request:
    """`POST /oauth/token` with a refresh token."""
    return _token(
        api_version,
        client_id=client_id,
        client_secret=Secret(client_secret),
        grant_type="refresh_token",
        refresh_token=Secret(refresh_token),
    )


def exchange(
    api_version: str,
    client_id: str,
    client_secret: str,
    code: str,
    *,
    redirect_uri: str | None,
    user_type: str | None,
) -> Request:
    """`POST /oauth/token` with the code of an authorization."""
    return _token(
        api_version,
        client_id=client_id,
        client_secret=Secret(client_secret),
        grant_type="authorization_code",
        code=Secret(code),
        redirect_uri=redirect_uri,
        user_type=user_type,
    )


def location_token(api_version: str, company_id: str, location_id: str) -> Request:
    """`POST /oauth/location-token`, or `/oauth/locationToken`, for the agency's token."""
    path = "/oauth/location-token" if api_version == _V3 else "/oauth/locationToken"
    company = checks.identifier("company_id", company_id)
    return Request(
        "POST",
        path,
        path,
        company,
        "oauth.write",
        form={"companyId": company, "locationId": checks.identifier("location_id", location_id)},
        is_safe=True,
        timeout=_TIMEOUT,
    )


def locations(
    api_version: str, company_id: str, app_id: str, *, query: str | None, page_size: int, start: str
) -> Request:
    """`GET /oauth/installed-locations`, or `/oauth/installedLocations`, from a page on.

    `start` is where the page before it said to go on, and empty for the first.
    """
    is_v3 = api_version == _V3
    path = "/oauth/installed-locations" if is_v3 else "/oauth/installedLocations"
    company = checks.identifier("company_id", company_id)
    size = str(checks.whole_number("page_size", page_size, 1, MAX_PAGE_SIZE))
    parameters = {
        "companyId": company,
        "appId": checks.identifier("app_id", app_id),
        "isInstalled": "true",
        "query": checks.optional_text("query", query),
        "pageSize" if is_v3 else "limit": size,
        "pageToken" if is_v3 else "skip": start or (None if is_v3 else "0"),
    }
    sent = {name: value for name, value in parameters.items() if value is not None}
    return Request("GET", path, path, company, "oauth.readonly", query=urlencode(sent))


def _token(api_version: str, *, client_id: str, **fields: str | None) -> Request:
    sent = {"client_id": client_id, **fields}
    body = {name: value for name, value in sent.items() if value is not None}
    is_v3, is_refresh = api_version == _V3, fields["grant_type"] == "refresh_token"
    return Request(
        "POST",
        "/oauth/token",
        "/oauth/token",
        client_id,
        None,
        json={camel(name): value for name, value in body.items()} if is_v3 else None,
        form=None if is_v3 else body,
        is_safe=is_refresh,
        timeout=_TIMEOUT if is_refresh else None,
    )
