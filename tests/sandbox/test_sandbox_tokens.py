"""The token endpoints: grants, rotation, expiry, agencies, and what the tokens open."""

import pytest
from vendor_documents import TOKEN_OPERATIONS, check

from lcphone_async.sandbox import Fault, LocationSettings, OAuthSettings, Sandbox, TokenSettings

APP = {"client_id": "app-1", "client_secret": "s3cret"}
LOCATIONS = [f"loc{n}" for n in range(45)]
BAD_TOKEN = (401, "Invalid token: access token is invalid")
BAD_REFRESH = (400, "Invalid grant: refresh token is invalid")
CAMEL = {
    "client_id": "clientId",
    "client_secret": "clientSecret",
    "grant_type": "grantType",
    "refresh_token": "refreshToken",
    "user_type": "userType",
}


class Clock:
    now = 1_750_000_000.0

    def __call__(self):
        return self.now


class App:
    """An app that calls the token endpoints of one contract, and holds the answers to it."""

    def __init__(self, session, sandbox, version):
        self.session, self.sandbox, self.version = session, sandbox, version

    async def token(self, grant_type, *, as_json=False, **fields):
        """The status, and the answer by the names of v3, or a refusal's message."""
        sent = {**APP, "grant_type": grant_type, **fields}
        if self.version == "v3":
            sent = {CAMEL.get(name, name): value for name, value in sent.items()}
        body = {"json": sent} if as_json else {"data": sent}
        return await self._call("token", **body)

    async def refresh(self, refresh_token, **fields):
        return await self.token("refresh_token", refresh_token=refresh_token, **fields)

    async def location_token(self, bearer, location, company="company"):
        return await self._call(
            "location-token", bearer, data={"companyId": company, "locationId": location}
        )

    async def installed(self, bearer, **params):
        """The status, the page's ids, and the whole answer."""
        params = {"companyId": "company", "appId": "app", **params}
        status, body = await self._call("installed-locations", bearer, params=params)
        ids = [found["_id"] for found in body.get("locations", body.get("items", ()))]
        return status, ids, body

    async def installed_refused(self, bearer, **params):
        """The status, and the refusal: v3's own envelope, or the usual message."""
        params = {"companyId": "company", "appId": "app", **params}
        status, refusal = await self._call("installed-locations", bearer, params=params)
        return status, refusal

    async def active(self, bearer, location="loc1"):
        """The status of a phone operation, and a refusal's message."""
        url = f"{self.sandbox.url}/phone-system/numbers/location/{location}"
        headers = {"Authorization": f"Bearer {bearer}", "Version": self.version}
        async with self.session.get(url, headers=headers) as response:
            body = await response.json()
            return response.status, body.get("message") if response.status > 299 else None

    async def _call(self, operation, bearer="", **options):
        method, path = TOKEN_OPERATIONS[self.version][operation]
        headers = {"Version": self.version} | (
            {"Authorization": f"Bearer {bearer}"} if bearer else {}
        )
        url = self.sandbox.url + path
        async with self.session.request(method, url, headers=headers, **options) as response:
            body = await response.json()
        check(self.version, operation, response.status, body)
        if response.status > 299:
            return response.status, body["message"] if "message" in body else body["error"]
        spelled = {new: body[old] for old, new in SNAKE.items() if old in body}
        return response.status, body | spelled


SNAKE = {
    "access_token": "accessToken",
    "refresh_token": "refreshToken",
    "expires_in": "expiresIn",
    "token_type": "tokenType",
}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def sandbox(clock):
    settings = OAuthSettings(**APP, expires_in=60, locations=LOCATIONS)
    async with Sandbox(oauth_app=settings, clock=clock) as running:
        yield running


@pytest.fixture
def app(session, sandbox, version):
    return App(session, sandbox, version)


def outcomes(sandbox):
    return [(e.grant_type, e.location_id, e.outcome) for e in sandbox.oauth.ledger]


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


async def test_an_agency_gets_tokens_of_its_locations(app, sandbox):
    """The agency's token gets a location's, which opens that location and no other."""
    agency = sandbox.oauth.install()
    status, got = await app.location_token(agency.access_token, "loc2")
    assert (status, got["locationId"]) == (200, "loc2")
    assert ("refreshToken" in got) == (app.version == "v3")
    assert await app.active(got["accessToken"], "loc2") == (200, None)
    refused = (403, "token does not have access to this location")
    assert await app.active(got["accessToken"], "loc3") == refused
    assert outcomes(sandbox) == [("location", "loc2", "issued")]


async def test_kinds_of_token(app, sandbox):
    """Phone operations refuse the agency's token, and the agency's operations a location's."""
    refused = (401, "This authClass type is not allowed to access this scope.")
    agency, location = sandbox.oauth.install(), sandbox.oauth.install("loc1")
    assert await app.active(agency.access_token) == refused
    assert await app.location_token(location.access_token, "loc1") == refused
    assert await app.location_token("unknown", "loc1") == BAD_TOKEN


async def test_locations_without_the_app(app, sandbox):
    """There is no token for a location where the app is not installed, nor of another agency."""
    agency = sandbox.oauth.install().access_token
    assert await app.location_token(agency, "elsewhere") == (400, "Invalid parameter: locationId")
    assert await app.location_token(agency, "") == (400, "Missing parameter: locationId")


async def test_only_known_locations_have_tokens(session, version):
    """Where locations are named, others have no tokens, and other agencies none at all."""
    settings = OAuthSettings(company_id="acme")
    async with Sandbox(oauth_app=settings, locations={"loc1": LocationSettings()}) as sandbox:
        app, agency = App(session, sandbox, version), sandbox.oauth.install().access_token
        assert (await app.location_token(agency, "loc1", "acme"))[0] == 200
        refused = (400, "Invalid parameter: locationId")
        assert await app.location_token(agency, "loc2", "acme") == refused
        refused = (400, "Invalid parameter: companyId")
        assert await app.location_token(agency, "loc1", "other") == refused


async def test_scopes(session, version):
    """A token may do what the app was granted."""
    settings = OAuthSettings(scopes=["phonenumbers.read"])
    async with Sandbox(oauth_app=settings) as sandbox:
        app = App(session, sandbox, version)
        assert await app.active(sandbox.oauth.install("loc1").access_token) == (200, None)
        agency = sandbox.oauth.install().access_token
        assert await app.location_token(agency, "loc1") == (401, "not authorized for this scope")


async def test_a_private_token_of_the_agency(session, version):
    """A named token can be the agency's."""
    tokens = {"pit-agency": TokenSettings(kind="agency")}
    async with Sandbox(tokens=tokens) as sandbox:
        app = App(session, sandbox, version)
        _, got = await app.location_token("pit-agency", "loc1")
        assert await app.active(got["accessToken"]) == (200, None)
        assert (await app.active("pit-agency"))[0] == 401


async def test_anybody_gets_tokens_unless_told_otherwise(session, version):
    """Without settings any code and any refresh token is good, and so is what they give."""
    async with Sandbox() as sandbox:
        app = App(session, sandbox, version)
        for grant in ({"code": "any"}, {"refresh_token": "any"}):
            kind = "authorization_code" if "code" in grant else "refresh_token"
            status, got = await app.token(kind, user_type="Company", **grant)
            assert (status, got["userType"]) == (200, "Company")
            assert await app.active(got["accessToken"]) == (200, None)
        assert await app.refresh("any") == BAD_REFRESH  # it was used above


async def test_a_version_has_its_own_paths(session, sandbox):
    """A path of the other contract refuses the version."""
    bearer = {"Authorization": f"Bearer {sandbox.oauth.install().access_token}"}
    for path, version in (("installed-locations", "2021-07-28"), ("installedLocations", "v3")):
        url = f"{sandbox.url}/oauth/{path}"
        async with session.get(url, headers={"Version": version} | bearer) as response:
            assert response.status == 401
            assert (await response.json())["message"] == "version header is invalid"


async def test_all_installed_locations(app, sandbox):
    """The pages together are all the locations, in order, each once."""
    agency, found, more = sandbox.oauth.install().access_token, [], {}
    while True:
        status, ids, body = await app.installed(agency, **more)
        assert status == 200
        assert len(ids) <= 20
        found += ids
        if app.version == "v3":
            token = body["pagination"].get("nextPageToken")
            assert body["pagination"]["hasNextPage"] == (token is not None)
            assert body["pagination"]["totalRecords"] == 45
            more = {"pageToken": token}
        else:
            assert body["count"] == 45
            token = len(found) < body["count"]
            more = {"skip": len(found)}
        if not token:
            break
    assert found == LOCATIONS


async def test_back_to_the_page_before(session, sandbox):
    """v3 has a token for the page before, and for none before the first."""
    app, agency = App(session, sandbox, "v3"), sandbox.oauth.install().access_token
    _, first, body = await app.installed(agency, pageSize=7)
    assert "prevPageToken" not in body["pagination"]
    _, _, body = await app.installed(
        agency, pageSize=7, pageToken=body["pagination"]["nextPageToken"]
    )
    assert body["pagination"]["hasPrevPage"]
    _, back, _ = await app.installed(
        agency, pageSize=7, pageToken=body["pagination"]["prevPageToken"]
    )
    assert back == first == LOCATIONS[:7]


async def test_filters_of_installed_locations(app, sandbox):
    """Locations are found by id, by a part of the name, and by whether the app is there."""
    agency = sandbox.oauth.install().access_token
    sandbox.location("other")
    assert (await app.installed(agency, locationId="loc7"))[1] == ["loc7"]
    assert (await app.installed(agency, query="LOC44"))[1] == ["loc44"]
    assert (await app.installed(agency, isInstalled="false"))[1] == ["other"]


@pytest.mark.parametrize(
    ("version", "params", "status"),
    [
        ("v3", {"pageSize": "0"}, 400),
        ("v3", {"pageSize": "101"}, 400),
        ("v3", {"pageToken": "made-up"}, 400),
        ("v3", {"isInstalled": "yes"}, 400),
        ("2021-07-28", {"skip": "-1"}, 400),
        ("2021-07-28", {"limit": "many"}, 400),
        ("2021-07-28", {"companyId": ""}, 400),
        ("v3", {"appId": ""}, 400),
    ],
)
async def test_bad_lists_of_locations(session, sandbox, version, params, status):
    """A page or a filter that cannot be is refused, in v3 in its own envelope."""
    app = App(session, sandbox, version)
    got, refusal = await app.installed_refused(sandbox.oauth.install().access_token, **params)
    assert got == status
    assert version != "v3" or refusal["code"] == "INVALID_ARGUMENT"


async def test_another_app(session):
    """v3 has 404 for an app that there is not, 2021-07-28 refuses the parameter."""
    async with Sandbox(oauth_app=OAuthSettings(app_id="mine")) as sandbox:
        agency = sandbox.oauth.install().access_token
        app = App(session, sandbox, "v3")
        status, refusal = await app.installed_refused(agency, appId="theirs")
        assert (status, refusal["code"]) == (404, "RESOURCE_NOT_FOUND")
        app = App(session, sandbox, "2021-07-28")
        refused = await app.installed_refused(agency, appId="theirs")
        assert refused == (400, "Invalid parameter: appId")


async def test_an_agency_has_a_budget_of_its_own(session, version):
    """The agency's operations count for the agency, and the token endpoint for nobody."""
    settings = OAuthSettings(**APP, locations=LOCATIONS)
    async with Sandbox(oauth_app=settings, max_requests=2) as sandbox:
        app, agency = App(session, sandbox, version), sandbox.oauth.install().access_token
        statuses = [(await app.location_token(agency, f"loc{n}"))[0] for n in range(3)]
        assert statuses == [200, 200, 429]
        for _ in range(3):
            assert (await app.refresh(sandbox.oauth.install("loc1").refresh_token))[0] == 200


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
