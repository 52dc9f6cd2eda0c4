"""`docs/wire.md`: Two contracts."""

import pytest

from lcphone_async import LCPhoneClient, RcsSenderId
from support.raw_server import RawServer, http_json

LOCATION = "loc1"
NUMBER = "+18305551234"
POOL = {"id": "pool1", "name": "Sales", "numbers": [{"phoneNumber": NUMBER}]}
FOUND = {"fingerprintId": "f1", "numbers": [{"phoneNumber": NUMBER, "isoCountry": "US"}]}
ACCOUNT = {
    "id": "acc1",
    "account_sid": "AC1",
    "under_ghl_account": True,
    "validate_sms": True,
    "location_id": LOCATION,
    "migration_numbers": [],
    "assigned_to_numbers": {},
    "numbers": {NUMBER: "conversation"},
    "number_name": {NUMBER: "My Number"},
    "new_account_sid": "",
}


def wrapped(data: object, status: int = 200) -> dict[str, object]:
    return {"status": "success", "data": data, "message": "OK", "statusCode": status}


async def test_each_contract_has_its_version_header(
    client: LCPhoneClient, raw_server: RawServer, contract: str
):
    """Header `Version`: `v3` or `2021-07-28`, and `Authorization: Bearer …`."""
    raw_server.reply(http_json({"numbers": []}))
    await client.active_numbers_page(LOCATION)
    assert raw_server.request.headers["version"] == contract
    assert raw_server.request.headers["authorization"] == "Bearer pit-secret"


async def test_v3_is_the_default(v3: LCPhoneClient, raw_server: RawServer):
    """`v3` is the default."""
    raw_server.reply(http_json({"numbers": []}))
    await v3.active_numbers_page(LOCATION)
    assert raw_server.request.headers["version"] == "v3"


async def test_other_versions_are_refused(raw_server: RawServer, new_client):
    """Only the two contracts are accepted."""
    with pytest.raises(ValueError, match=r"^api_version must be v3 or 2021-07-28$"):
        new_client(api_version="v4")
    assert not raw_server.connections


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda c: c.number_pools("loc1"), "GET /phone-system/number-pools?locationId=loc1"),
        (
            lambda c: c.search_available("loc1", "US", number_types=None),
            "GET /phone-system/numbers/location/loc1/available?countryCode=US",
        ),
        (
            lambda c: c.purchase("loc1", NUMBER),
            "POST /phone-system/numbers/location/loc1/purchase",
        ),
        (
            lambda c: c.active_numbers_page("loc1", page=2, page_size=7),
            "GET /phone-system/numbers/location/loc1?page=2&pageSize=7",
        ),
    ],
)
async def test_each_operation_has_its_request_line(
    client: LCPhoneClient, raw_server: RawServer, call, line
):
    """The table of operations."""
    raw_server.reply(http_json(wrapped({"numbers": [], "data": [], "number": NUMBER, "id": "a"})))
    try:
        await call(client)
    finally:
        assert raw_server.request.head.split(b"\r\n")[0].decode() == line + " HTTP/1.1"


async def test_v3_wraps_the_purchase(v3: LCPhoneClient, raw_server: RawServer):
    """V3 wraps a purchase (201): `data: {number, locationId, id, underLcAccount}`."""
    data = {"number": NUMBER, "locationId": LOCATION, "id": "acc1", "underLcAccount": False}
    raw_server.reply(http_json(wrapped(data, 201), 201))
    bought = await v3.purchase(LOCATION, NUMBER)
    assert (bought.number, bought.location_id, bought.id) == (NUMBER, LOCATION, "acc1")
    assert bought.under_lc_account is False
    assert bought.confirmed_by == "answer"
    assert bought.extra == {}


async def test_2021_returns_the_account_for_a_purchase(v2021: LCPhoneClient, raw_server: RawServer):
    """An account record in snake_case, whose `numbers` is an object."""
    raw_server.reply(http_json(ACCOUNT, 201))
    bought = await v2021.purchase(LOCATION, NUMBER)
    assert (bought.number, bought.location_id, bought.id) == (NUMBER, LOCATION, "acc1")
    assert bought.under_lc_account is True
    known = {"id", "under_ghl_account", "location_id"}
    assert bought.extra == {key: value for key, value in ACCOUNT.items() if key not in known}


async def test_the_account_lists_every_number_of_the_location(
    v2021: LCPhoneClient, raw_server: RawServer
):
    """`numbers` holds all numbers of the account; the purchased number is the requested one."""
    numbers = {"+18305550001": "conversation", NUMBER: "conversation", "+18305550002": ""}
    raw_server.reply(http_json({**ACCOUNT, "numbers": numbers}, 201))
    bought = await v2021.purchase(LOCATION, NUMBER)
    assert bought.number == NUMBER


@pytest.mark.parametrize("body", [ACCOUNT, wrapped(ACCOUNT, 201)], ids=["flat", "wrapped"])
async def test_either_contract_reads_the_account(
    client: LCPhoneClient, raw_server: RawServer, body
):
    """The account record is decoded under either contract, bare or wrapped."""
    raw_server.reply(http_json(body, 201))
    bought = await client.purchase(LOCATION, NUMBER)
    assert (bought.number, bought.id, bought.under_lc_account) == (NUMBER, "acc1", True)


async def test_v3_wraps_the_active_numbers(v3: LCPhoneClient, raw_server: RawServer):
    """V3 wraps active numbers (200): `isUnderLc`, optional `total` and `rcsSenderIds`."""
    sender = {
        "number": "rcs-1",
        "numberType": "rcsSenderId",
        "friendlyName": "Brand",
        "rcsMeta": {"brandId": "b1"},
    }
    data = {
        "numbers": [{"phoneNumber": NUMBER}],
        "isUnderLc": True,
        "pageSize": 50,
        "page": 3,
        "accountStatus": "active",
        "rcsSenderIds": [sender],
        "total": 151,
    }
    raw_server.reply(http_json(wrapped(data)))
    page = await v3.active_numbers_page(LOCATION, page=3)
    assert [number.phone_number for number in page.numbers] == [NUMBER]
    assert (page.is_under_lc, page.page_size, page.page, page.total) == (True, 50, 3, 151)
    assert page.account_status == "active"
    assert page.rcs_sender_ids == (RcsSenderId("rcs-1", "rcsSenderId", "Brand", {"brandId": "b1"}),)
    assert page.extra == {}


async def test_v3_may_leave_out_total_and_senders(v3: LCPhoneClient, raw_server: RawServer):
    """`total` and `rcsSenderIds` are optional."""
    raw_server.reply(http_json(wrapped({"numbers": [{"phoneNumber": NUMBER}], "isUnderLc": False})))
    page = await v3.active_numbers_page(LOCATION)
    assert (page.total, page.rcs_sender_ids, page.is_under_lc) == (None, None, False)


async def test_2021_is_not_wrapped(v2021: LCPhoneClient, raw_server: RawServer):
    """`{numbers[], isUnderGhl, pageSize, page, accountStatus}`, without `total`."""
    body = {
        "numbers": [{"phoneNumber": NUMBER}],
        "isUnderGhl": True,
        "pageSize": 100,
        "page": 0,
        "accountStatus": "suspended",
    }
    raw_server.reply(http_json(body))
    page = await v2021.active_numbers_page(LOCATION, page_size=100)
    assert [number.phone_number for number in page.numbers] == [NUMBER]
    assert (page.is_under_lc, page.page_size, page.page, page.total) == (True, 100, 0, None)
    assert page.account_status == "suspended"
    assert page.extra == {}


@pytest.mark.parametrize("wrap", [wrapped, lambda body: body], ids=["wrapped", "bare"])
async def test_available_numbers_come_bare_or_wrapped(
    client: LCPhoneClient, raw_server: RawServer, wrap
):
    """V3 has no response schema for a search: the 2021 body, bare or wrapped."""
    raw_server.reply(http_json(wrap(FOUND)))
    found = await client.search_available(LOCATION, "US")
    assert found.fingerprint_id == "f1"
    assert [(n.phone_number, n.iso_country) for n in found.numbers] == [(NUMBER, "US")]
    assert found.extra == {}


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "data": [POOL], "total": 1},
        [POOL],
        {"pools": [POOL]},
        {"numberPools": [POOL]},
        {"success": True, "pools": [POOL], "total": 1.0},
        {"success": True, "numberPools": [POOL], "total": 1},
        wrapped({"success": True, "data": [POOL], "total": 1}),
        wrapped([POOL]),
        wrapped({"pools": [POOL]}),
        wrapped({"numberPools": [POOL]}),
    ],
    ids=str,
)
async def test_pools_come_in_four_shapes(client: LCPhoneClient, raw_server: RawServer, body):
    """`{success, data: [pool], total}`, a bare list, `pools` or `numberPools`."""
    raw_server.reply(http_json(body))
    (pool,) = await client.number_pools(LOCATION)
    assert (pool.id, pool.name) == ("pool1", "Sales")
    assert [number.phone_number for number in pool.numbers] == [NUMBER]


@pytest.mark.parametrize(
    "body",
    [{"success": True, "data": [], "total": 0}, [], {"pools": []}, {"numberPools": []}],
    ids=str,
)
async def test_a_location_may_have_no_pools(client: LCPhoneClient, raw_server: RawServer, body):
    """Every shape of the pools may be empty."""
    raw_server.reply(http_json(body))
    assert await client.number_pools(LOCATION) == []


async def test_unknown_keys_beside_the_payload_are_kept(v3: LCPhoneClient, raw_server: RawServer):
    """Unknown keys are kept in `extra`."""
    raw_server.reply(http_json({**wrapped({"numbers": [], "inner": 1}), "traceId": "t1"}))
    page = await v3.active_numbers_page(LOCATION)
    assert page.extra == {"inner": 1, "traceId": "t1"}
