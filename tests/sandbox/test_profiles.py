"""What each profile does to an answer, as plain HTTP sees it; and what strict mode asks for."""

import json
from email.utils import parsedate_to_datetime

import pytest
from attrs import evolve

from lcphone_async.sandbox import Fault, Sandbox
from lcphone_async.sandbox.wire.profiles import PROFILES, named
from support.vendor_documents import corrected, needs_documents

LIST = "/phone-system/numbers/location/loc1"
EVERYTHING = {"pageSize": "1000", "skipNumberPool": "false"}
SEARCH = {"countryCode": "US", "numberTypes": "local"}
POOLS = {"locationId": "loc1"}


class Speaker:
    """Asks one sandbox, and gives bodies as they come."""

    def __init__(self, session, sandbox, version):
        self.session, self.sandbox, self.version = session, sandbox, version

    async def get(self, path=LIST, params=(), **headers):
        headers = {"Authorization": "Bearer x", "Version": self.version, **headers}
        url = self.sandbox.url + path
        async with self.session.get(url, params=dict(params), headers=headers) as response:
            text = await response.text()
            body = json.loads(text) if text.startswith(("{", "[")) else text
            return response.status, body, response.headers

    async def body(self, path=LIST, params=EVERYTHING):
        return (await self.get(path, params))[1]

    async def numbers(self):
        body = await self.body()
        return (body["data"] if self.version == "v3" else body)["numbers"]

    async def buy(self, number="+18305551234"):
        headers = {"Authorization": "Bearer x", "Version": self.version}
        url = f"{self.sandbox.url}{LIST}/purchase"
        async with self.session.post(
            url, json={"phoneNumber": number}, headers=headers
        ) as response:
            return response.status, await response.json()


async def bare_list(it):
    assert len(await it.body()) == 120


async def phone_numbers(it):
    body = await it.body()
    assert len((body["data"] if it.version == "v3" else body)["phoneNumbers"]) == 120


async def data_list(it):
    body = await it.body()
    assert len(body["data"]) == 120
    assert body["page"] == 0


async def other_envelope(it):
    body = await it.body()
    assert ("data" in body) == (it.version != "v3")


async def short_empty_list(it):
    assert await it.body(params={"searchFilter": "x"}) == {"numbers": [], "total": 0}
    assert len(await it.numbers()) == 120


async def no_total(it):
    body = await it.body()
    assert "total" not in (body["data"] if it.version == "v3" else body)


async def rfc2822_dates(it):
    for number in await it.numbers():
        assert number["dateAdded"].endswith(" +0000")
        assert parsedate_to_datetime(number["dateAdded"]).utcoffset().seconds == 0


async def date_created(it):
    assert all("dateCreated" in n and "dateAdded" not in n for n in await it.numbers())


async def no_dates(it):
    assert not any(name.startswith("date") for n in await it.numbers() for name in n)


async def toll_free_type(it):
    types = {number["type"] for number in await it.numbers()}
    assert "tollFree" in types
    assert "toll-free" not in types


async def new_types(it):
    number = (await it.numbers())[0]
    assert (number["type"], number["origin"]) == ("shared-cost", "satellite")
    assert "carrier" in number


async def absent_missing(it):
    assert not any(value in (None, "") for n in await it.numbers() for value in n.values())


async def absent_null(it):
    numbers = await it.numbers()
    assert not any(value == "" for n in numbers for value in n.values())
    assert any(number["linkedUser"] is None for number in numbers)


async def absent_empty(it):
    numbers = await it.numbers()
    assert not any(value is None for number in numbers for value in number.values())
    assert any(number["inboundCallService"] == "" for number in numbers)


async def fractions(it):
    body = await it.body()
    page = (body["data"] if it.version == "v3" else body)["pageSize"]
    assert isinstance(page, float)
    assert page == 1000


async def pages_of(it, *pages):
    found = []
    for page in pages:
        body = await it.body(params={**EVERYTHING, "pageSize": "50", "page": str(page)})
        body = body["data"] if it.version == "v3" else body
        assert body["page"] == page
        found.append(len(body["numbers"]))
    return found


async def one_based_pages(it):
    assert await pages_of(it, 0, 1, 2, 3, 4) == [50, 50, 50, 20, 0]


async def clamped_pages(it):
    assert await pages_of(it, 0, 2, 3, 9) == [50, 20, 20, 20]


async def ignored_pages(it):
    assert await pages_of(it, 0, 1, 9) == [50, 50, 50]


async def newest_first(it):
    await it.buy("+18305551234")
    await it.buy("+18305551243")
    first = [number["phoneNumber"] for number in (await it.numbers())[:2]]
    assert first == ["+18305551243", "+18305551234"]


async def default_number_types(it):
    body = await it.body(f"{LIST}/available", {"countryCode": "US"})
    kinds = {number["price"]["number_type"] for number in body["numbers"]}
    assert kinds == {"local", "toll free"}


async def search_envelope(it):
    assert len((await it.body(f"{LIST}/available", SEARCH))["data"]["numbers"]) == 30


async def no_prices(it):
    found = await it.body(f"{LIST}/available", SEARCH)
    assert not any("price" in number for number in found["numbers"])


async def pools(it):
    return await it.body("/phone-system/number-pools", POOLS)


async def bare_pools(it):
    assert len(await pools(it)) == 2


async def pools_key(it):
    assert len((await pools(it))["pools"]) == 2


async def number_pools_key(it):
    assert len((await pools(it))["numberPools"]) == 2


async def pools_envelope(it):
    assert (await pools(it))["data"]["total"] == 2


async def gone_with(it, expected):
    await it.buy()
    status, body = await it.buy()
    assert status == body["statusCode"] == expected
    assert body["message"] == "Phone number is no longer available"
    assert (await it.buy("12"))[0] == expected


async def gone_404(it):
    await gone_with(it, 404)


async def gone_409(it):
    await gone_with(it, 409)


async def gone_410(it):
    await gone_with(it, 410)


async def message_list(it):
    assert (await it.body(f"{LIST}/available", ()))["message"] == ["countryCode is required"]


async def no_trace_id(it):
    assert "traceId" not in await it.body(f"{LIST}/available", ())


async def msg_500(it):
    it.sandbox.faults.append(Fault(status=500))
    assert (await it.body()).keys() == {"msg", "accountStatus"}


async def retry_after(it):
    it.sandbox.faults.append(Fault(status=429))
    assert (await it.get())[2]["Retry-After"] == "1"


async def other_token_names(it):
    form = {"clientId": "a", "clientSecret": "b", "grantType": "authorization_code", "code": "c"}
    headers = {"Version": it.version}
    async with it.session.post(
        f"{it.sandbox.url}/oauth/token", data=form, headers=headers
    ) as response:
        assert ("access_token" in await response.json()) == (it.version == "v3")


async def location_token_201(it):
    path = "location-token" if it.version == "v3" else "locationToken"
    headers = {"Authorization": "Bearer x", "Version": it.version}
    form = {"companyId": "c", "locationId": "loc1"}
    async with it.session.post(
        f"{it.sandbox.url}/oauth/{path}", data=form, headers=headers
    ) as response:
        assert response.status == 201


async def count_of_all(it):
    it.sandbox.location("loc1")
    path = "installed-locations" if it.version == "v3" else "installedLocations"
    asked = {"companyId": "c", "appId": "a", "isInstalled": "false"}
    body = await it.body(f"/oauth/{path}", asked)
    assert body.get("locations", body.get("items")) == []
    count = body["pagination"]["totalRecords"] if it.version == "v3" else body["count"]
    assert count == (0 if it.version == "v3" else 1)


async def cloudflare(it):
    for agent in ("Python/3.13 aiohttp/3.12", "python-requests/2.32", "Python-urllib/3.13"):
        status, body, headers = await it.get(**{"User-Agent": agent})
        assert (status, body) == (403, "error code: 1010")
        assert headers["Content-Type"].startswith("text/plain")
    assert (await it.get(**{"User-Agent": "my-app/1.0"}))[0] == 200


SHOWN = {
    name.replace("_", "-"): show
    for name, show in globals().items()
    if name.replace("_", "-") in {profile.name for profile in PROFILES}
}


def test_every_profile_is_shown():
    """No profile is without a test of what it does."""
    assert SHOWN.keys() == {profile.name for profile in PROFILES}
    assert all(profile.summary and profile.about for profile in PROFILES)


@pytest.mark.parametrize("profile", SHOWN)
async def test_a_profile_does_what_it_says(session, version, profile):
    """What a profile changes is changed, on both contracts."""
    async with Sandbox(profile=profile) as sandbox:
        await SHOWN[profile](Speaker(session, sandbox, version))


# What only the documents' texts have, or only one contract's schema.
BEYOND_THE_SCHEMAS = {"other-envelope", "short-empty-list"}
BY_THE_SCHEMAS = [
    profile.name
    for profile in PROFILES
    if profile.ground == "documented" and profile.name not in BEYOND_THE_SCHEMAS
]


@pytest.mark.parametrize("profile", BY_THE_SCHEMAS)
async def test_what_is_documented_fits_the_documents(call, profile, version):
    """What a profile says is documented is valid by its contract's document."""
    async with Sandbox(profile=profile) as sandbox:
        caller = call(sandbox, version=version)
        await caller.active("loc1", **EVERYTHING)
        await caller.active("loc1", searchFilter="x")
        await caller.available("loc1", **SEARCH)


def test_profiles_that_do_not_go_together():
    """Two that are about the same thing are refused, and names that are none."""
    with pytest.raises(ValueError, match="bare-list and data-list"):
        Sandbox(profile=["bare-list", "data-list"])
    with pytest.raises(ValueError, match="no profile 'bear-list'"):
        Sandbox(profile="bear-list")
    assert [one.name for one in named(["bare-list", "no-total"])] == ["no-total", "bare-list"]


SEARCH_V3 = {
    "countryCode": "US",
    "numberTypes": "local",
    "firstPart": "",
    "lastPart": "",
    "anywhere": "",
    "smsEnabled": "false",
    "mmsEnabled": "false",
    "voiceEnabled": "true",
}
ORDER_V3 = {
    "phoneNumber": "+18305551234",
    "addressSid": "",
    "bundleSid": "",
    "countryCode": "US",
    "numberType": "local",
    "paymentIntentId": "",
    "stripeAccountId": "",
    "paymentMethodId": "",
    "locality": "",
    "region": "",
    "fingerprintId": "1",
    "skipLocationKYC": False,
}


@pytest.fixture
async def strict(call):
    async with Sandbox(strict=True) as sandbox:
        yield call(sandbox)


@pytest.mark.parametrize("name", SEARCH_V3)
async def test_strict_searches(strict, name):
    """Strictly, v3 wants every parameter of a search that its document requires."""
    assert (await strict.available("loc1", **SEARCH_V3)).status == 200
    answer = await strict.available("loc1", **{k: v for k, v in SEARCH_V3.items() if k != name})
    assert (answer.status, answer.body["message"]) == (400, f"{name} is required")


@pytest.mark.parametrize("name", ORDER_V3)
async def test_strict_purchases(strict, name):
    """Strictly, v3 wants every field of a purchase that its document requires."""
    answer = await strict.purchase("loc1", **{k: v for k, v in ORDER_V3.items() if k != name})
    assert (answer.status, answer.body["message"]) == (400, f"{name} is required")
    assert (await strict.purchase("loc1", **ORDER_V3)).status == 201


async def test_strict_2021(strict):
    """2021-07-28 requires only the country of a search and the number of a purchase."""
    legacy = evolve(strict, version="2021-07-28")
    assert (await legacy.available("loc1", countryCode="US")).status == 200
    assert (await legacy.purchase("loc1", phoneNumber="+18305551234")).status == 201
    order = {"phoneNumber": "+18305551243", "region": None}
    assert (await legacy.purchase("loc1", **order, countryCode=None)).status == 400
    assert (await legacy.purchase("loc1", **order, numberType="planet")).status == 400
    assert (await legacy.purchase("loc1", **order, numberType="mobile")).status == 201
    assert (await legacy.available("loc1")).status == 400
    assert (await legacy.purchase("loc1")).status == 400


@needs_documents
def test_strict_is_what_the_document_requires():
    """The two lists above are those of v3's document."""
    found = corrected("v3")
    path = found["paths"]["/phone-system/numbers/location/{locationId}/available"]["get"]
    required = {p["name"] for p in path["parameters"] if p["required"] and p["in"] == "query"}
    assert required == SEARCH_V3.keys()
    body = found["components"]["schemas"]["PurchasePhoneNumberBodyDto"]
    assert set(body["required"]) == ORDER_V3.keys()


async def test_strict_queries(session):
    """Strictly, a country has a code of two letters, and no parameter is there twice."""
    async with Sandbox(strict=True) as sandbox:
        speaker = Speaker(session, sandbox, "2021-07-28")
        for country in ("us", "USA", "U1", "ÅÄ"):
            status, body, _ = await speaker.get(f"{LIST}/available", {"countryCode": country})
            assert (status, body["message"]) == (
                400, "countryCode must be an ISO 3166-1 alpha-2 code",
            )  # fmt: skip
        status, body, _ = await speaker.get(f"{LIST}?page=1&page=2")
        assert (status, body["message"]) == (400, "page must be one value")
        types = f"{LIST}/available?countryCode=US&numberTypes=local&numberTypes=mobile"
        assert (await speaker.get(types))[0] == 200
