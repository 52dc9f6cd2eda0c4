"""The JSON of the token endpoints, by the names and shapes of the vendor's OAuth documents."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from attrs import frozen

from ..inventory.numbers import digest
from ..tokens.oauth import Grant

JSON = dict[str, Any]

_SNAKE_CASE: Final = {
    "accessToken": "access_token",
    "tokenType": "token_type",
    "expiresIn": "expires_in",
    "refreshToken": "refresh_token",
}
"""2021-07-28 writes these four in snake_case, and the rest in camelCase like v3."""


@frozen
class InstalledPage:
    """A page of the locations where the app may be installed."""

    locations: Sequence[tuple[str, bool]]
    """Ids, and whether it is installed there."""
    start: int
    size: int
    total: int
    count: int
    """The total as 2021-07-28 has it."""
    filters: JSON


class TokenContract(Protocol):
    """How one contract words the answers of the token endpoints."""

    def token(self, grant: Grant) -> JSON:
        """Write the tokens of an installation (200)."""

    def location_token(self, grant: Grant) -> JSON:
        """Write the tokens that the agency gets for a location (200)."""

    def installed_locations(self, page: InstalledPage) -> JSON:
        """Write a page of locations (200)."""


@frozen
class V3Tokens:
    """`Version: v3`: camelCase throughout, and lists with page tokens."""

    def token(self, grant: Grant) -> JSON:
        """Say whose tokens they are, and how long they live."""
        body = _lifetime(grant) | {
            "refreshToken": grant.refresh_token,
            "userType": "Company" if grant.location_id is None else "Location",
            "companyId": grant.company_id,
            "userId": _id("user", grant.company_id),
            "isBulkInstallation": grant.location_id is None,
        }
        return body if grant.location_id is None else body | {"locationId": grant.location_id}

    def location_token(self, grant: Grant) -> JSON:
        """Say also which app they are of."""
        return _location(grant) | {"refreshToken": grant.refresh_token}

    def installed_locations(self, page: InstalledPage) -> JSON:
        """Say with opaque tokens which pages come before and after."""
        end = page.start + len(page.locations)
        pagination: JSON = {
            "totalRecords": page.total,
            "hasNextPage": end < page.total,
            "hasPrevPage": page.start > 0,
            "currentPageSize": len(page.locations),
        }
        if end < page.total:
            pagination["nextPageToken"] = page_token(end)
        if page.start > 0:
            pagination["prevPageToken"] = page_token(max(page.start - page.size, 0))
        return {
            "items": [_installed(*location) for location in page.locations],
            "pagination": pagination,
            "metadata": {"filterApplied": page.filters, "sortApplied": {}},
            "installToFutureLocations": False,
        }


@frozen
class LegacyTokens:
    """`Version: 2021-07-28`: snake_case where OAuth has names, and lists by `skip` and `limit`."""

    def token(self, grant: Grant) -> JSON:
        """Say the same as v3."""
        return _in_snake_case(V3Tokens().token(grant))

    def location_token(self, grant: Grant) -> JSON:
        """Give no refresh token: the agency asks again."""
        return _in_snake_case(_location(grant))

    def installed_locations(self, page: InstalledPage) -> JSON:
        """Say how many there are."""
        return {
            "locations": [_installed(*location) for location in page.locations],
            "count": page.count,
            "installToFutureLocations": False,
        }


TOKEN_CONTRACTS: Final[dict[str, TokenContract]] = {"v3": V3Tokens(), "2021-07-28": LegacyTokens()}
"""By the value of the `Version` header."""


def page_token(start: int) -> str:
    """Write where a page starts, as a token that says nothing to its bearer."""
    return urlsafe_b64encode(b'{"skip":%d}' % start).decode().rstrip("=")


def start_of(token: str) -> int | None:
    """Read a page token, or `None` where it is none."""
    try:
        text = urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        start = int(text.removeprefix('{"skip":').removesuffix("}"))
    except ValueError:
        return None
    return start if page_token(start) == token else None


def location_name(location_id: str) -> str:
    """Name a location, as a list shows it."""
    return f"Location {location_id}"


def _lifetime(grant: Grant) -> JSON:
    return {
        "accessToken": grant.access_token,
        "tokenType": "Bearer",
        "expiresIn": grant.expires_in,
        "scope": " ".join(grant.scopes),
    }


def _location(grant: Grant) -> JSON:
    return _lifetime(grant) | {
        "locationId": grant.location_id,
        "userId": _id("user", grant.company_id),
        "appId": _id("app", grant.company_id),
        "versionId": _id("version", grant.company_id),
    }


def _installed(location_id: str, is_installed: bool) -> JSON:  # noqa: FBT001  # a pair, unpacked
    day = int.from_bytes(digest("installed", location_id, size=2))
    return {
        "_id": location_id,
        "name": location_name(location_id),
        "address": f"{day} Main Street",
        "isInstalled": is_installed,
    } | (
        {
            "versionId": _id("version", location_id),
            "installedAt": datetime.fromtimestamp(1_700_000_000 + day * 600, UTC),
        }
        if is_installed
        else {}
    )


def _in_snake_case(body: JSON) -> JSON:
    return {_SNAKE_CASE.get(name, name): value for name, value in body.items()}


def _id(*parts: str) -> str:
    return digest(*parts, size=12).hex()
