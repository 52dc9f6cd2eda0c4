"""The agency's endpoints: tokens for its locations, and the list of where its app is installed."""

import pytest

from lcphone_async.sandbox import LocationSettings, OAuthSettings, Sandbox, TokenSettings
from support.token_caller import APP, BAD_REFRESH, BAD_TOKEN, LOCATIONS, App, outcomes


@pytest.fixture
async def sandbox():
    """A sandbox whose app is installed in 45 locations of an agency."""
    settings = OAuthSettings(**APP, expires_in=60, locations=LOCATIONS)
    async with Sandbox(oauth_app=settings) as running:
        yield running


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


async def test_the_type_of_token_that_is_asked_for(app, sandbox):
    """A code gives tokens of the type that is asked for, or none; a location's code no agency's."""
    for user_type, location in (("Company", None), ("Location", "loc0"), (None, None)):
        asked = {} if user_type is None else {"user_type": user_type}
        code = sandbox.oauth.authorize()
        status, got = await app.token("authorization_code", code=code, **asked)
        kind = "Company" if location is None else "Location"
        assert (status, got["userType"], got.get("locationId")) == (200, kind, location)
    code = sandbox.oauth.authorize("loc7")
    refused = (401, "Token's user type mismatch!")
    assert await app.token("authorization_code", code=code, user_type="Company") == refused
    status, got = await app.token("authorization_code", code=code, user_type="Location")
    assert (status, got["userType"], got["locationId"]) == (200, "Location", "loc7")
    assert outcomes(sandbox) == [
        ("authorization_code", None, "issued"),
        ("authorization_code", "loc0", "issued"),
        ("authorization_code", None, "issued"),
        ("authorization_code", "loc7", "Token's user type mismatch!"),
        ("authorization_code", "loc7", "issued"),
    ]


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


@pytest.mark.parametrize(
    ("version", "params", "found"),
    [
        ("2021-07-28", {"skip": "4e1", "limit": " 3.0 "}, LOCATIONS[40:43]),
        ("2021-07-28", {"skip": "", "limit": "0x3"}, LOCATIONS[:3]),
        ("v3", {"pageSize": "3.0"}, LOCATIONS[:3]),
    ],
)
async def test_numbers_as_node_reads_them(session, sandbox, version, params, found):
    """A page of locations and its size are read as JavaScript's `Number()` reads them."""
    agency = sandbox.oauth.install().access_token
    assert (await App(session, sandbox, version).installed(agency, **params))[1] == found


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
