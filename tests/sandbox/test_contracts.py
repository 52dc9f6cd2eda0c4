"""Holds the sandbox's answers to the vendor's documents. (`Caller` checks each of them.)"""

import pytest

from support.vendor_documents import corrected, needs_documents

pytestmark = needs_documents


async def test_active_numbers_fit(caller):
    """Every number of a varied inventory fits the schema of its contract."""
    answer = await caller.active("loc1", pageSize=1000, skipNumberPool="false")
    assert answer.status == 200
    assert len((await caller.page("loc1", pageSize=1000))["numbers"]) > 50


async def test_search_fits(caller):
    """What a search gives fits the schema, in every country."""
    for country in ("US", "CA", "GB", "AU", "DE", "FR", "NL", "SE"):
        answer = await caller.available(
            "loc1", countryCode=country, numberTypes="local,tollFree,mobile"
        )
        assert answer.status == 200
        assert answer.body["numbers"]


async def test_pools_fit(caller):
    """Pools fit the schema, and hold numbers."""
    answer = await caller.pools(locationId="loc1")
    assert answer.status == 200
    assert all(pool["numbers"] for pool in answer.body["data"])


async def test_the_documents_own_purchase(caller):
    """The purchase that the document gives as its example is answered with 201."""
    schema = corrected("2021-07-28")["paths"][
        "/phone-system/numbers/location/{locationId}/purchase"
    ]["post"]["requestBody"]["content"]["application/json"]
    answer = await caller.purchase("loc1", **schema["examples"]["purchase-local-number"]["value"])
    assert answer.status == 201


@pytest.mark.parametrize(
    ("version", "schema", "sent"),
    [
        ("v3", "ListNumberItemResponseDto", "active"),
        ("2021-07-28", "DetailedPhoneNumberDto", "active"),
        ("2021-07-28", "AvailablePhoneNumberDto", "available"),
        ("2021-07-28", "NumberPoolDto", "pools"),
    ],
)
async def test_nothing_is_made_up(call, sandbox, version, schema, sent):
    """No answer has a field that its document does not name, but the legacy `dateCreated`."""
    caller = call(sandbox, version=version)
    items = {
        "active": (await caller.page("loc1", pageSize=1000))["numbers"],
        "available": (
            await caller.available("loc1", countryCode="US", numberTypes="local,tollFree")
        ).body["numbers"],
        "pools": (await caller.pools(locationId="loc1")).body["data"],
    }[sent]
    named = corrected(version)["components"]["schemas"][schema]["properties"].keys()
    assert set().union(*items) <= named | {"dateCreated"}


async def test_v3_wraps_the_list(call, sandbox):
    """v3 puts the list in an envelope, with `isUnderLc` and `total`."""
    body = (await call(sandbox).active("loc1")).body
    assert (body["status"], body["message"], body["statusCode"]) == ("success", "OK", 200)
    assert body["data"].keys() == {
        "numbers", "isUnderLc", "pageSize", "page", "accountStatus", "total",
    }  # fmt: skip


async def test_legacy_list_is_flat(call, sandbox):
    """2021-07-28 answers flat, with `isUnderGhl` and without `total`."""
    body = (await call(sandbox, version="2021-07-28").active("loc1")).body
    assert body.keys() == {"numbers", "isUnderGhl", "pageSize", "page", "accountStatus"}


async def test_v3_purchase_is_slim(call, sandbox):
    """v3 answers a purchase with four fields in an envelope."""
    answer = await call(sandbox).purchase("loc1", phoneNumber="+18305551234")
    assert answer.body["message"] == "Number purchase successful"
    assert answer.body["statusCode"] == answer.status == 201
    assert answer.body["data"].keys() == {"number", "locationId", "id", "underLcAccount"}
    assert answer.body["data"]["number"] == "+18305551234"


async def test_legacy_purchase_is_an_account(call, sandbox):
    """2021-07-28 answers a purchase with the account, whose numbers are the keys of a dict."""
    owned = sandbox.location("loc1").numbers[0].phone_number
    answer = await call(sandbox, version="2021-07-28").purchase("loc1", phoneNumber="+18305551234")
    assert answer.status == 201
    assert answer.body["location_id"] == "loc1"
    assert answer.body["numbers"]["+18305551234"] == "conversation"
    assert owned in answer.body["numbers"]


async def test_both_contracts_name_the_same_account(call, sandbox):
    """The account's id does not depend on the contract."""
    v3 = await call(sandbox).purchase("loc1", phoneNumber="+18305551234")
    legacy = await call(sandbox, version="2021-07-28").purchase("loc1", phoneNumber="+18305551243")
    assert v3.body["data"]["id"] == legacy.body["id"]
