"""Purchases: what they move, what they refuse, what the ledger says."""

import asyncio
from datetime import UTC, datetime
from io import BytesIO

import pytest

from lcphone_async.sandbox import LedgerEntry, Sandbox

GONE = "Phone number is no longer available"
NUMBER = "+18305551234"


async def find(caller, **params):
    answer = await caller.available("loc1", countryCode="US", numberTypes="local", **params)
    return [number["phoneNumber"] for number in answer.body["numbers"]]


async def listed(caller, location):
    page = await caller.page(location, pageSize=1000)
    return [number["phoneNumber"] for number in page["numbers"]]


async def test_a_purchase_moves_a_number(caller, sandbox):
    """A number that was bought is in the list, and in no later search."""
    found = await find(caller)
    before = await listed(caller, "loc1")
    assert (await caller.purchase("loc1", phoneNumber=found[0])).status == 201
    assert await listed(caller, "loc1") == [*before, found[0]]
    assert found[0] not in await find(caller)
    assert sandbox.location("loc1").bought == [found[0]]


async def test_a_purchase_counts(call, sandbox):
    """`total` grows by one."""
    caller = call(sandbox)
    before = (await caller.page("loc1"))["total"]
    await caller.purchase("loc1", phoneNumber=NUMBER)
    assert (await caller.page("loc1"))["total"] == before + 1


async def test_a_bought_number_keeps_what_it_was_sold_as(caller):
    """What the search said of a number is what the list says of it."""
    offers = (await caller.available("loc1", countryCode="CA", numberTypes="tollFree")).body[
        "numbers"
    ]
    await caller.purchase("loc1", phoneNumber=offers[0]["phoneNumber"])
    [number] = (await caller.page("loc1", searchFilter=offers[0]["phoneNumber"]))["numbers"]
    assert number["type"] == "toll-free"
    assert number["countryCode"] == "CA"
    sold, owned = offers[0]["capabilities"], number["capabilities"]
    assert (sold["voice"], sold["SMS"], sold["MMS"]) == (owned["voice"], owned["sms"], owned["mms"])


async def test_one_number_is_sold_once(caller, sandbox):
    """A number that was bought is gone, for its own location and for others."""
    assert (await caller.purchase("loc1", phoneNumber=NUMBER)).status == 201
    for location in ("loc1", "loc2"):
        answer = await caller.purchase(location, phoneNumber=NUMBER)
        assert (answer.status, answer.body["message"]) == (400, GONE)
    assert [entry.location_id for entry in sandbox.ledger] == ["loc1"]


async def test_a_race_has_one_winner(caller, sandbox):
    """Of ten purchases of one number at once, one takes effect."""
    answers = await asyncio.gather(
        *(caller.purchase(f"loc{n}", phoneNumber=NUMBER) for n in range(10))
    )
    assert sorted(answer.status for answer in answers) == [201] + [400] * 9
    assert len(sandbox.ledger) == 1


async def test_the_fingerprint_is_no_idempotency_key(caller, sandbox):
    """Two purchases with one fingerprint are two purchases."""
    for number in await find(caller, firstPart="212", lastPart="7"):
        await caller.purchase("loc1", phoneNumber=number, fingerprintId="same")
    assert len(sandbox.ledger) == 30


async def test_a_number_taken_meanwhile(caller, sandbox):
    """A number that somebody else took between search and purchase is gone."""
    [number, *_] = await find(caller)
    sandbox.stock.take(number)
    answer = await caller.purchase("loc1", phoneNumber=number)
    assert (answer.status, answer.body["message"]) == (400, GONE)
    assert sandbox.ledger == []


async def test_a_number_that_the_location_has(caller, sandbox):
    """A number that a location has already is gone for it, however it came by it."""
    location = sandbox.location("loc1")
    location.add(NUMBER)
    answer = await caller.purchase("loc1", phoneNumber=NUMBER)
    assert (answer.status, answer.body["message"]) == (400, GONE)
    location.release(NUMBER)
    assert (await caller.purchase("loc1", phoneNumber=NUMBER)).status == 201


async def test_a_list_that_lags(call, version):
    """A number that was bought is in the list, and in its total, so many seconds later."""
    now = 1_750_000_000.0
    async with Sandbox(clock=lambda: now, list_lag=2) as sandbox:
        caller = call(sandbox, version=version)
        before = await listed(caller, "loc1")
        await caller.purchase("loc1", phoneNumber=NUMBER)
        now += 1.9
        page = await caller.page("loc1", pageSize=1000)
        assert [number["phoneNumber"] for number in page["numbers"]] == before
        assert page.get("total", len(before)) == len(before)
        assert (await caller.page("loc1", searchFilter=NUMBER))["numbers"] == []
        assert (await caller.purchase("loc1", phoneNumber=NUMBER)).status == 400
        now += 0.1
        assert await listed(caller, "loc1") == [*before, NUMBER]
    assert sandbox.location("loc1").numbers[-1].phone_number == NUMBER


async def test_only_what_was_bought_lags(call):
    """A number that a test adds is in the list at once."""
    async with Sandbox(list_lag=600) as sandbox:
        sandbox.location("loc1").add(NUMBER)
        assert (await listed(call(sandbox), "loc1"))[-1] == NUMBER


@pytest.mark.parametrize(
    "number", ["+18305551235", "830236932", "18305551234", "+19995551234", "+1830555123", "x", "+1"]
)
async def test_numbers_that_are_not_for_sale(caller, number):
    """What is no number of the stock is "no longer available"."""
    answer = await caller.purchase("loc1", phoneNumber=number)
    assert (answer.status, answer.body["message"]) == (400, GONE)


def test_numbers_of_inventories_are_not_for_sale(sandbox):
    """What a location began with is not in the stock."""
    for number in sandbox.location("loc2").numbers[:40]:
        assert sandbox.stock.find(number.phone_number) is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "phoneNumber is required"),
        ({"phoneNumber": ""}, "phoneNumber is required"),
        ({"phoneNumber": None}, "phoneNumber is required"),
        ({"phoneNumber": 18305551234}, "phoneNumber must be a string"),
        ({"phoneNumber": NUMBER, "region": 7}, "region must be a string"),
        (
            {"phoneNumber": NUMBER, "skipLocationKYC": "no"},
            "skipLocationKYC must be a boolean value",
        ),
    ],
)
async def test_bad_orders(caller, sandbox, fields, message):
    """Gives 400 for an order that is not what the document says, and sells nothing."""
    answer = await caller.purchase("loc1", **fields)
    assert (answer.status, answer.body["message"]) == (400, message)
    assert sandbox.ledger == []


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"\xff", b"[]", b'"x"', b'{"a":' * 9000])
async def test_malformed_bodies(sandbox, session, body):
    """Gives 400 for a body that is not a JSON object."""
    url = f"{sandbox.url}/phone-system/numbers/location/loc1/purchase"
    headers = {"Authorization": "Bearer x", "Version": "v3"}
    async with session.post(url, data=body, headers=headers) as response:
        assert response.status == 400
        assert (await response.json())["error"] == "Bad Request"


async def test_a_body_too_large(sandbox, session):
    """Gives 413 for a body over a megabyte, with the limit headers of every answer."""
    url = f"{sandbox.url}/phone-system/numbers/location/loc1/purchase"
    headers = {"Authorization": "Bearer x", "Version": "v3"}
    async with session.post(url, data=BytesIO(b" " * 2_000_000), headers=headers) as response:
        assert response.status == 413
        assert response.headers["X-RateLimit-Remaining"] == "99"


async def test_the_ledger(call):
    """The ledger says where, what and when, by the sandbox's clock, in order."""
    async with Sandbox(clock=lambda: 1_750_000_000.0) as sandbox:
        caller = call(sandbox)
        await caller.purchase("loc1", phoneNumber=NUMBER)
        await caller.purchase("loc2", phoneNumber="+442072345679")
        await caller.purchase("loc2", phoneNumber="+447412345679")
        time = datetime.fromtimestamp(1_750_000_000, UTC)
        assert sandbox.ledger == [
            LedgerEntry("loc1", NUMBER, time),
            LedgerEntry("loc2", "+447412345679", time),
        ]
        [bought] = (await caller.page("loc2", searchFilter="+447412345679"))["numbers"]
        assert bought["dateAdded"] == "2025-06-15T15:06:40Z"
