"""`docs/wire.md`: Tokens, as bytes that are sent and received."""

import json

import pytest

from lcphone_async import (
    AgencyTokens,
    AuthenticationError,
    AuthorizationLostError,
    LCPhoneClient,
    OAuthTokens,
    RetryPolicy,
    TokenUnavailableError,
)
from lcphone_async.auth import MemoryTokenStore
from support.oauth_app import HOUR
from support.raw_server import http_json

EMPTY = http_json({"numbers": [], "total": 0})
REMOVED = http_json({"message": "API endpoint has been removed", "statusCode": 400}, 400)
INVALID = http_json({"error": "invalid_grant", "error_description": "Invalid grant"}, 400)
INACTIVE = http_json({"message": "Location is not active", "statusCode": 400}, 400)


def client_of(raw_server, source, contract):
    one_try = RetryPolicy(max_tries=1)
    return LCPhoneClient(source, base_url=raw_server.url, api_version=contract, retry=one_try)


def app(**options):
    given = {"client_id": "app 1", "client_secret": "a&b=c+d/é", "refresh_token": "r1%&="}
    return OAuthTokens(**{**given, **options})


def tokens(number, lives=86399, **rest):
    named = {"access_token": f"a{number}", "refresh_token": f"r{number}", "expires_in": lives}
    return http_json({**named, **rest})


def bearers(raw_server):
    return [request.headers.get("authorization") for request in raw_server.requests]


async def test_a_private_integration_token_is_static(raw_server, contract):
    """Sends it with each call and never refreshes it, even if the service calls it invalid."""
    refused = http_json({"message": "Invalid token: access token is invalid"}, 401)
    raw_server.reply(EMPTY, EMPTY, refused)
    async with client_of(raw_server, "pit-1", contract) as client:
        await client.active_numbers_page("loc1")
        await client.active_numbers_page("loc2")
        with pytest.raises(AuthenticationError):
            await client.active_numbers_page("loc1")
    assert bearers(raw_server) == ["Bearer pit-1"] * 3
    assert not any("oauth" in request.path for request in raw_server.requests)


async def test_a_refresh_token_is_rotated_at_each_use(raw_server, contract, clock):
    """Uses an access token for 24 hours, and sends each refresh token once."""
    raw_server.reply(tokens(2), EMPTY, EMPTY, tokens(3), EMPTY, tokens(4), EMPTY)
    store = MemoryTokenStore()
    async with client_of(raw_server, app(store=store), contract) as client:
        for passing in (0, 23 * HOUR, HOUR, 24 * HOUR):
            clock.now += passing
            await client.active_numbers_page("loc1")
    refreshes = [request for request in raw_server.requests if request.path == "/oauth/token"]
    sent = [
        request.json["refreshToken"] if contract == "v3" else request.form["refresh_token"]
        for request in refreshes
    ]
    assert sent == ["r1%&=", "r2", "r3"]
    assert json.loads(await store.load())["refresh_token"] == "r4"


async def refreshed(raw_server, contract):
    """The request of a refresh, which has the version and no token."""
    raw_server.reply(tokens(2), EMPTY)
    async with client_of(raw_server, app(), contract) as client:
        await client.active_numbers_page("loc1")
    refresh = raw_server.requests[0]
    assert (refresh.method, refresh.target) == ("POST", "/oauth/token")
    assert refresh.headers["version"] == contract
    assert "authorization" not in refresh.headers
    return refresh


async def test_a_refresh_under_2021(raw_server):
    """The refresh is a form in snake_case, form-encoded, without an Authorization header."""
    refresh = await refreshed(raw_server, "2021-07-28")
    assert refresh.headers["content-type"] == "application/x-www-form-urlencoded"
    assert refresh.body == (
        b"client_id=app+1&client_secret=a%26b%3Dc%2Bd%2F%C3%A9"
        b"&grant_type=refresh_token&refresh_token=r1%25%26%3D"
    )


async def test_a_refresh_under_v3(raw_server):
    """The refresh is JSON in camelCase."""
    refresh = await refreshed(raw_server, "v3")
    assert refresh.headers["content-type"] == "application/json"
    assert refresh.json == {
        "clientId": "app 1",
        "clientSecret": "a&b=c+d/é",
        "grantType": "refresh_token",
        "refreshToken": "r1%&=",
    }


async def test_a_code(raw_server, contract):
    """A code is sent in the same way, with the user type and the redirect URI."""
    raw_server.reply(tokens(1))
    async with client_of(raw_server, "unused", contract) as client:
        await client.exchange_code(
            "c/1",
            client_id="app",
            client_secret="s",
            redirect_uri="https://a.example/?b=c",
            user_type="Company",
        )
    request = raw_server.request
    assert request.path == "/oauth/token"
    assert "authorization" not in request.headers
    names = ("client_id", "client_secret", "grant_type", "code", "redirect_uri", "user_type")
    values = ("app", "s", "authorization_code", "c/1", "https://a.example/?b=c", "Company")
    if contract == "v3":
        names = ("clientId", "clientSecret", "grantType", "code", "redirectUri", "userType")
        assert request.json == dict(zip(names, values, strict=True))
    else:
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert request.form == dict(zip(names, values, strict=True))


@pytest.mark.parametrize(
    "response",
    [
        {"access_token": "a1", "refresh_token": "r1", "location_id": "l", "company_id": "c"},
        {"accessToken": "a1", "refreshToken": "r1", "locationId": "l", "companyId": "c"},
        {"access_token": "a1", "refresh_token": "r1", "locationId": "l", "companyId": "c"},
    ],
    ids=["snake_case", "camelCase", "both"],
)
async def test_both_spellings(raw_server, contract, response):
    """Accepts either spelling under either contract."""
    raw_server.reply(http_json(response))
    async with client_of(raw_server, "unused", contract) as client:
        grant = await client.exchange_code("c", client_id="a", client_secret="b")
    assert (grant.access_token, grant.refresh_token) == ("a1", "r1")
    assert (grant.location_id, grant.company_id) == ("l", "c")


async def test_a_phone_call_requires_the_location_s_token(raw_server, contract):
    """Requests the location's token with a form, and sends calls with that token only."""
    raw_server.reply(tokens("-of-loc1"), EMPTY, tokens("-of-loc2"), EMPTY)
    source = AgencyTokens(company_id="company 1", source="agency-token")
    async with client_of(raw_server, source, contract) as client:
        await client.active_numbers_page("loc1")
        await client.active_numbers_page("loc2")
    asked, called, *_ = raw_server.requests
    path = "/oauth/location-token" if contract == "v3" else "/oauth/locationToken"
    assert (asked.method, asked.target) == ("POST", path)
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.body == b"companyId=company+1&locationId=loc1"
    assert called.path == "/phone-system/numbers/location/loc1"
    own = "Bearer agency-token"
    assert bearers(raw_server) == [own, "Bearer a-of-loc1", own, "Bearer a-of-loc2"]


async def test_the_locations_of_an_app_require_the_agency_s_token(raw_server):
    """Requests the pages with each contract's parameters."""
    source = AgencyTokens(company_id="c", source="agency-token")
    paging = {"pagination": {"hasNextPage": False}}
    for contract in ("v3", "2021-07-28"):
        raw_server.reply(http_json({"items": [], "locations": [], **paging}))
        async with client_of(raw_server, source, contract) as client:
            assert [each async for each in client.locations("c", "a")] == []
    new, old = raw_server.requests[0], raw_server.requests[-1]
    given = {"companyId": "c", "appId": "a", "isInstalled": "true"}
    assert (new.path, new.parameters) == (
        "/oauth/installed-locations",
        {**given, "pageSize": "100"},
    )
    assert (old.path, old.parameters) == (
        "/oauth/installedLocations",
        {**given, "limit": "100", "skip": "0"},
    )
    assert set(bearers(raw_server)) == {"Bearer agency-token"}


async def test_a_location_that_is_not_active(raw_server, contract):
    """The error is final: the refresh token is sent once, and the error has a hint."""
    raw_server.reply(INACTIVE)
    one = LCPhoneClient(app(), base_url=raw_server.url, api_version=contract)
    async with one as client:
        with pytest.raises(TokenUnavailableError, match="until the agency activates it") as caught:
            await client.active_numbers_page("loc1")
    assert caught.value.status == 400
    assert not isinstance(caught.value, AuthorizationLostError)
    assert len(raw_server.requests) == 1


async def test_a_token_without_a_location(raw_server, contract):
    """An empty `locationId` with `userType: Company`: the tokens of an agency."""
    raw_server.reply(tokens(1, locationId="", userType="Company", companyId="c"))
    async with client_of(raw_server, "unused", contract) as client:
        grant = await client.exchange_code("c", client_id="a", client_secret="b")
    assert (grant.user_type, grant.location_id, grant.company_id) == ("Company", None, "c")


WHOSE = [
    ({"locationId": "loc1", "companyId": "c"}, {"locationId": "loc1"}),
    ({"locationId": "", "companyId": "c"}, {"companyId": "c"}),
]


@pytest.mark.parametrize(("granted", "whose"), WHOSE)
async def test_an_endpoint_that_has_been_removed(raw_server, contract, clock, granted, whose):
    """Tries `/oauth/reconnect` once for a lost refresh token; the error says to authorize again."""
    raw_server.reply(tokens(2, **granted), EMPTY, INVALID, REMOVED)
    async with client_of(raw_server, app(failure_cooldown=0.001), contract) as client:
        await client.active_numbers_page("loc1")
        clock.now += 24 * HOUR
        for _ in range(3):
            with pytest.raises(AuthorizationLostError, match="authorize the app again"):
                await client.active_numbers_page("loc1")
    *_, reconnect = raw_server.requests
    assert (reconnect.method, reconnect.target) == ("POST", "/oauth/reconnect")
    assert reconnect.headers["content-type"] == "application/json"
    assert reconnect.json == {"clientKey": "app 1", "clientSecret": "a&b=c+d/é", **whose}
    assert len(raw_server.requests) == 4


@pytest.mark.parametrize(("granted", "whose"), WHOSE)
async def test_a_reconnect(raw_server, contract, clock, granted, whose):
    """Exchanges the returned code for new tokens of the same user type."""
    code = http_json({"authorizationCode": "code-1"})
    raw_server.reply(tokens(2, **granted), EMPTY, INVALID, code, tokens(3), EMPTY)
    async with client_of(raw_server, app(), contract) as client:
        await client.active_numbers_page("loc1")
        clock.now += 24 * HOUR
        await client.active_numbers_page("loc1")
    exchange, called = raw_server.requests[-2:]
    sent = exchange.json if contract == "v3" else exchange.form
    kind = sent["userType" if contract == "v3" else "user_type"]
    assert (sent["code"], kind) == ("code-1", "Location" if "locationId" in whose else "Company")
    assert called.headers["authorization"] == "Bearer a3"
