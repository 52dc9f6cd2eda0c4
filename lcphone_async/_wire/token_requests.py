"""The token endpoints as `Request` values, under both contracts.

v3 takes JSON in camelCase where 2021-07-28 takes a form in snake_case.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve, frozen

from .._internal import checks
from .._internal.secrets import Secret
from .names import camel
from .requests import Request
from .requests import _query as encoded

MAX_PAGE_SIZE = 100

# The response to a refresh that comes late is no use: it is asked for again, while the service
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


def reconnect(
    client_id: str, client_secret: str, location_id: str | None, company_id: str | None
) -> Request:
    """`POST /oauth/reconnect` for the code of a lost installation, as the vendor's help has it."""
    lost = {"locationId": location_id} if location_id else {"companyId": company_id}
    return Request(
        "POST",
        "/oauth/reconnect",
        "/oauth/reconnect",
        client_id,
        None,
        json={"clientKey": client_id, "clientSecret": Secret(client_secret), **lost},
        timeout=_TIMEOUT,
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


@frozen
class LocationsQuery:
    """A list of an agency's locations, whose pages are requests."""

    api_version: str
    company_id: str
    app_id: str
    page_size: int
    is_installed: bool | None
    filters: Mapping[str, str | bool]
    """The others, by their names on the wire."""

    @property
    def path(self) -> str:
        """The list's path under this contract."""
        return "/oauth/installed-locations" if self.by_token else "/oauth/installedLocations"

    @property
    def by_token(self) -> bool:
        """Whether each page tells where the next one starts; otherwise pages are by offset."""
        return self.api_version == _V3

    def page(self, start: str) -> Request:
        """The request for the page at a start: a page token, an offset, or "" for the first."""
        size, begin = ("pageSize", "pageToken") if self.by_token else ("limit", "skip")
        query = encoded(
            companyId=self.company_id,
            appId=self.app_id,
            isInstalled=self.is_installed,
            **self.filters,
            **{size: str(self.page_size), begin: start or (None if self.by_token else "0")},
        )
        return Request("GET", self.path, self.path, self.company_id, "oauth.readonly", query=query)

    def of_all(self, *, is_installed: bool) -> LocationsQuery:
        """The list of all the agency's locations with the app, or without it."""
        return evolve(self, is_installed=is_installed, filters={})


def locations(
    api_version: str,
    company_id: str,
    app_id: str,
    *,
    query: str | None = None,
    is_installed: bool | None = True,
    location_id: str | None = None,
    version_id: str | None = None,
    plan_id: str | None = None,
    on_trial: bool | None = None,
    restrict_to_user_locations: bool | None = None,
    page_size: int = MAX_PAGE_SIZE,
) -> LocationsQuery:
    """`GET /oauth/installed-locations`, or `/oauth/installedLocations`, with its filters."""
    if restrict_to_user_locations is not None and api_version != _V3:
        raise ValueError("restrict_to_user_locations is a filter of the api_version 'v3' alone")
    filters = {
        "query": checks.optional_text("query", query),
        "locationId": checks.optional_text("location_id", location_id),
        "versionId": checks.optional_text("version_id", version_id),
        "planId": checks.optional_text("plan_id", plan_id),
        "onTrial": checks.flag("on_trial", on_trial),
        "restrictToUserLocations": checks.flag(
            "restrict_to_user_locations", restrict_to_user_locations
        ),
    }
    return LocationsQuery(
        api_version,
        checks.identifier("company_id", company_id),
        checks.identifier("app_id", app_id),
        checks.whole_number("page_size", page_size, 1, MAX_PAGE_SIZE),
        checks.flag("is_installed", is_installed),
        {name: value for name, value in filters.items() if value is not None},
    )


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
