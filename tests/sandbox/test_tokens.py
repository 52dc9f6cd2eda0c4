"""The token endpoints: grants, rotation, expiry, and what the tokens open."""

import pytest

from lcphone_async.sandbox import Fault, OAuthSettings, Sandbox
from support.token_caller import APP, BAD_REFRESH, BAD_TOKEN, CAMEL, LOCATIONS, App, outcomes


class Clock:
    now = 1_750_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def sandbox(clock):
    settings = OAuthSettings(**APP, expires_in=60, locations=LOCATIONS)
    async with Sandbox(oauth_app=settings, clock=clock) as running:
        yield running


async def test_a_code_buys_tokens_once(app, sandbox):
    """A code gives the first tokens, as a form; the second time it is refused."""
    code = sandbox.oauth.authorize("loc1")
    status, got = await app.token("authorization_code", code=code, redirect_uri="http://x")
    assert status == 200
    assert (got["locationId"], got["userType"], got["tokenType"]) == ("loc1", "Location", "Bearer")
    assert got["expiresIn"] == 60
    assert "phonenumbers.read" in got["scope"].split()
    assert await app.active(got["accessToken"]) == (200, None)
    again = await app.token("authorization_code", code=code)
    assert again == (400, "Invalid grant: authorization code is invalid")


async def test_tokens_of_the_agency(app, sandbox):
    """The agency's tokens name no location."""
    code = sandbox.oauth.authorize()
    _, got = await app.token("authorization_code", code=code)
    assert (got["userType"], got["companyId"]) == ("Company", "company")
    assert "locationId" not in got


async def test_names_are_those_of_the_contract(app, sandbox):
    """2021-07-28 writes OAuth's own names in snake_case, v3 in camelCase."""
    grant = sandbox.oauth.install("loc1")
    _, got = await app.refresh(grant.refresh_token)
    own = {"access_token", "refresh_token", "expires_in", "token_type"}
    assert own & got.keys() == (set() if app.version == "v3" else own)


async def test_json_in_v3(session, sandbox):
    """v3 takes JSON too, in camelCase."""
    grant = sandbox.oauth.install("loc1")
    app = App(session, sandbox, "v3")
    status, got = await app.refresh(grant.refresh_token, as_json=True)
    assert (status, got["locationId"]) == (200, "loc1")


async def test_no_version_is_2021(session, sandbox):
    """The token endpoint's older document has no version header: without one it answers so."""
    sent = {**APP, "grant_type": "authorization_code", "code": sandbox.oauth.authorize("loc1")}
    async with session.post(f"{sandbox.url}/oauth/token", data=sent) as response:
        assert response.status == 200
        assert "access_token" in await response.json()


async def test_rotation(app, sandbox):
    """A refresh gives a new pair; the old access token lives on to its end."""
    first = sandbox.oauth.install("loc1")
    _, second = await app.refresh(first.refresh_token)
    assert {second["accessToken"], second["refreshToken"]}.isdisjoint(
        {first.access_token, first.refresh_token}
    )
    assert await app.active(first.access_token) == (200, None)
    assert await app.active(second["accessToken"]) == (200, None)


async def test_a_used_refresh_token_ends_the_installation(app, sandbox):
    """The old refresh token used again is refused, and nothing of the installation is left."""
    first = sandbox.oauth.install("loc1")
    other = sandbox.oauth.install("loc1")
    _, second = await app.refresh(first.refresh_token)
    assert await app.refresh(first.refresh_token) == BAD_REFRESH
    assert await app.refresh(second["refreshToken"]) == BAD_REFRESH
    assert await app.active(second["accessToken"]) == BAD_TOKEN
    assert await app.active(other.access_token) == (200, None)
    refused = ("refresh_token", "loc1", "Invalid grant: refresh token is invalid")
    assert outcomes(sandbox) == [("refresh_token", "loc1", "issued"), refused, refused]


async def test_grace(session, clock, version):
    """Within the grace the last answer comes again; after it the installation ends."""
    async with Sandbox(oauth_app=OAuthSettings(**APP, grace=30), clock=clock) as sandbox:
        app = App(session, sandbox, version)
        first = sandbox.oauth.install("loc1")
        _, second = await app.refresh(first.refresh_token)
        clock.now += 29.9
        assert await app.refresh(first.refresh_token) == (200, second)
        assert outcomes(sandbox)[-1] == ("refresh_token", "loc1", "repeated")
        clock.now += 0.1
        assert await app.refresh(first.refresh_token) == BAD_REFRESH
        assert await app.active(second["accessToken"]) == BAD_TOKEN


async def test_expiry(app, sandbox, clock):
    """An access token is good for `expires_in` seconds, and not one longer."""
    grant = sandbox.oauth.install("loc1")
    clock.now += 59.9
    assert await app.active(grant.access_token) == (200, None)
    clock.now += 0.1
    assert await app.active(grant.access_token) == BAD_TOKEN
    assert (await app.refresh(grant.refresh_token))[0] == 200


async def test_refresh_tokens_expire(session, clock, version):
    """A refresh token is good for a year, or as long as it was told."""
    settings = OAuthSettings(**APP, refresh_expires_in=100)
    async with Sandbox(oauth_app=settings, clock=clock) as sandbox:
        grant = sandbox.oauth.install("loc1")
        clock.now += 100
        assert await App(session, sandbox, version).refresh(grant.refresh_token) == BAD_REFRESH


async def test_revoked_tokens(app, sandbox):
    """A token that was taken back is invalid, and only that one; an uninstalled app has none."""
    first, second = sandbox.oauth.install("loc1"), sandbox.oauth.install("loc1")
    sandbox.oauth.revoke(first.access_token)
    sandbox.oauth.revoke(second.refresh_token)
    assert await app.active(first.access_token) == BAD_TOKEN
    assert await app.active(second.access_token) == (200, None)
    assert await app.refresh(second.refresh_token) == BAD_REFRESH
    sandbox.oauth.uninstall(second.access_token)
    assert await app.active(second.access_token) == BAD_TOKEN
    with pytest.raises(LookupError):
        sandbox.oauth.uninstall("unknown")


async def test_a_private_token_can_be_revoked(session, version):
    """A private token can be taken back too, also where any token is good."""
    for tokens in (None, ["pit-a"]):
        async with Sandbox(tokens=tokens) as sandbox:
            app = App(session, sandbox, version)
            assert await app.active("pit-a") == (200, None)
            sandbox.oauth.revoke("pit-a")
            assert await app.active("pit-a") == BAD_TOKEN


async def test_suspended_locations(app, sandbox):
    """A suspended location gets no tokens, and its refresh token is good again afterwards."""
    grant, agency = sandbox.oauth.install("loc1"), sandbox.oauth.install()
    sandbox.oauth.suspended.add("loc1")
    assert await app.refresh(grant.refresh_token) == (400, "Location is not active")
    assert await app.location_token(agency.access_token, "loc1") == (400, "Location is not active")
    sandbox.oauth.suspended.discard("loc1")
    assert (await app.refresh(grant.refresh_token))[0] == 200


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"client_id": "app-2"}, "Invalid parameter: clientId"),
        ({"client_secret": "wrong"}, "Invalid parameter: clientSecret"),
        ({"client_secret": ""}, "Missing parameter: clientSecret"),
        ({"grant_type": ""}, "Missing parameter: grantType"),
        ({"grant_type": "password"}, "Invalid parameter: grantType"),
        ({"grant_type": "client_credentials"}, "Invalid parameter: grantType"),
        ({"refresh_token": ""}, "Missing parameter: refreshToken"),
        ({"refresh_token": "made-up"}, "Invalid grant: refresh token is invalid"),
        ({"user_type": "Planet"}, "Invalid parameter: userType"),
    ],
)
async def test_bad_token_requests(app, sandbox, fields, message):
    """A request for tokens that is not right is refused, and uses nothing up."""
    good = sandbox.oauth.install("loc1").refresh_token
    sent = {"grant_type": "refresh_token", "refresh_token": good, **fields}
    assert await app.token(**sent) == (400, message)
    assert (await app.refresh(good))[0] == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"clientId": 1}'])
async def test_bad_json(session, sandbox, body):
    """JSON that is none, no object, or of other types is refused."""
    headers = {"Version": "v3", "Content-Type": "application/json"}
    sandbox.faults.append(Fault(location="loc1", status=503))
    async with session.post(f"{sandbox.url}/oauth/token", data=body, headers=headers) as response:
        assert response.status == 400


async def test_faults_of_the_token_endpoints(app, sandbox):
    """Faults strike token requests by operation and location; after it, the token is used up."""
    sandbox.faults.append(Fault(operation="token", location="loc1", point="after", status=502))
    sandbox.faults.append(Fault(operation="location-token", location="loc3", status=503))
    grant, agency = sandbox.oauth.install("loc1"), sandbox.oauth.install()
    assert (await app.refresh(sandbox.oauth.install("loc2").refresh_token))[0] == 200
    assert (await app.refresh(grant.refresh_token))[0] == 502
    sandbox.faults.remove(sandbox.faults.struck[0])
    assert await app.refresh(grant.refresh_token) == BAD_REFRESH
    assert (await app.location_token(agency.access_token, "loc2"))[0] == 200
    assert (await app.location_token(agency.access_token, "loc3"))[0] == 503
    sandbox.faults.append(Fault(operation="installed-locations", status=504))
    assert (await app.installed_refused(agency.access_token))[0] == 504


async def test_strict_token_requests(session, version):
    """In strict mode only the contract's own names and media types are taken."""
    async with Sandbox(oauth_app=OAuthSettings(**APP), strict=True) as sandbox:
        good = sandbox.oauth.install("loc1").refresh_token
        sent = {**APP, "grant_type": "refresh_token", "refresh_token": good}
        other = {CAMEL[name]: value for name, value in sent.items()}
        if version == "v3":
            sent, other = other, sent
        url, headers = f"{sandbox.url}/oauth/token", {"Version": version}
        async with session.post(url, data=other, headers=headers) as response:
            assert response.status == 400
        async with session.post(url, json=sent, headers=headers) as response:
            assert response.status == (200 if version == "v3" else 400)


async def reconnect(session, sandbox, **fields):
    """The status, and the answer."""
    sent = {"clientKey": "app-1", "clientSecret": "s3cret", **fields}
    async with session.post(f"{sandbox.url}/oauth/reconnect", json=sent) as response:
        return response.status, await response.json()


async def test_reconnecting_was_removed(session, sandbox):
    """Refuses to reconnect, in the words that were reported of the service."""
    status, body = await reconnect(session, sandbox, locationId="loc1")
    assert (status, body["message"]) == (400, "API endpoint has been removed")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"clientSecret": "another", "locationId": "loc1"}, "Invalid parameter: clientSecret"),
        ({"clientKey": 5, "locationId": "loc1"}, "Invalid parameter: clientKey"),
        ({"locationId": "elsewhere"}, "Invalid parameter: locationId"),
        ({"companyId": "another"}, "Invalid parameter: companyId"),
        ({}, "Missing parameter: companyId"),
    ],
)
async def test_reconnecting_refuses(session, fields, message):
    """Names what is wrong."""
    settings = OAuthSettings(**APP, company_id="company", locations=["loc1"], reconnects=True)
    async with Sandbox(oauth_app=settings) as sandbox:
        status, body = await reconnect(session, sandbox, **fields)
    assert (status, body["message"]) == (400, message)


@pytest.mark.parametrize("fields", [{"locationId": "loc1"}, {"companyId": "company"}])
async def test_reconnecting(session, fields):
    """Gives a code that buys tokens of the location, or of the agency."""
    settings = OAuthSettings(**APP, company_id="company", reconnects=True)
    async with Sandbox(oauth_app=settings) as sandbox:
        status, body = await reconnect(session, sandbox, **fields)
        assert status == 200
        grant = sandbox.oauth.exchange(body["authorizationCode"])
    assert grant.location_id == fields.get("locationId")
