"""`docs/wire.md`: Shapes that differ."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from lcphone_async import (
    ActiveNumber,
    ActiveNumbersPage,
    AvailableNumber,
    Capabilities,
    InboundCallService,
    LCPhoneClient,
    NumberType,
    Price,
    ResponseFormatError,
)
from support.raw_server import RawServer, http, http_json

LOCATION = "loc1"
NUMBER = {"phoneNumber": "+18305551234"}
ABSENT = pytest.mark.parametrize("absent", [{}, {"value": None}, {"value": ""}], ids=str)


async def read_page(
    client: LCPhoneClient, raw_server: RawServer, body: object
) -> ActiveNumbersPage:
    raw_server.reply(http_json(body))
    return await client.active_numbers_page(LOCATION)


async def read_number(
    client: LCPhoneClient, raw_server: RawServer, **fields: object
) -> ActiveNumber:
    page = await read_page(client, raw_server, {"data": {"numbers": [{**NUMBER, **fields}]}})
    return page.numbers[0]


async def read_available(
    client: LCPhoneClient, raw_server: RawServer, **fields: object
) -> AvailableNumber:
    raw_server.reply(http_json({"fingerprintId": "f1", "numbers": [{**NUMBER, **fields}]}))
    return (await client.search_available(LOCATION, "US")).numbers[0]


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"numbers": [NUMBER]}},
        {"status": "success", "data": {"numbers": [NUMBER]}, "message": "OK", "statusCode": 200},
        {"numbers": [NUMBER]},
        [NUMBER],
        {"phoneNumbers": [NUMBER]},
        {"data": [NUMBER]},
        {"status": "success", "data": [NUMBER], "message": "OK", "statusCode": 200},
        {"data": {"phoneNumbers": [NUMBER]}},
    ],
    ids=str,
)
async def test_the_active_list_has_many_shapes(client: LCPhoneClient, raw_server: RawServer, body):
    """`numbers` under `data` or at the top; bare list, `phoneNumbers`, `data` as the list."""
    page = await read_page(client, raw_server, body)
    assert [number.phone_number for number in page.numbers] == ["+18305551234"]
    assert page.page == 0
    assert page.extra == {}


@pytest.mark.parametrize("wrap", [lambda b: b, lambda b: {"data": b}], ids=["flat", "wrapped"])
async def test_an_empty_list_may_be_short(client: LCPhoneClient, raw_server: RawServer, wrap):
    """An empty list may be just `{"numbers": [], "total": 0}`."""
    page = await read_page(client, raw_server, wrap({"numbers": [], "total": 0}))
    assert page == ActiveNumbersPage(numbers=(), page=0, total=0)
    assert [n async for n in client.active_numbers(LOCATION)] == []


DATES = {
    "2023-01-15T10:30:00Z": datetime(2023, 1, 15, 10, 30, tzinfo=UTC),
    "2024-01-01T00:00:00.000Z": datetime(2024, 1, 1, tzinfo=UTC),
    "2024-01-01T00:00:00.123Z": datetime(2024, 1, 1, microsecond=123_000, tzinfo=UTC),
    "2024-02-29T23:59:59.999999Z": datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
    "2023-01-15T10:30:00+00:00": datetime(2023, 1, 15, 10, 30, tzinfo=UTC),
    "Mon, 23 Feb 2026 22:00:52 +0000": datetime(2026, 2, 23, 22, 0, 52, tzinfo=UTC),
    "Sun, 01 Mar 2026 00:00:00 -0530": datetime(
        2026, 3, 1, tzinfo=timezone(-timedelta(hours=5, minutes=30))
    ),
}


@pytest.mark.parametrize("field", ["dateAdded", "dateUpdated", "dateCreated"])
@pytest.mark.parametrize("sent", DATES)
async def test_dates_are_iso_8601_or_rfc_2822(
    client: LCPhoneClient, raw_server: RawServer, field, sent
):
    """ISO 8601 with `Z`; RFC 2822 `Mon, 23 Feb 2026 22:00:52 +0000`; always aware."""
    number = await read_number(client, raw_server, **{field: sent})
    read = number.date_updated if field == "dateUpdated" else number.date_added
    assert read == DATES[sent]
    assert read.tzinfo is not None


@ABSENT
async def test_date_created_replaces_date_added(
    client: LCPhoneClient, raw_server: RawServer, absent
):
    """`dateCreated` is an older name of `dateAdded`."""
    added = {"dateAdded": absent["value"]} if absent else {}
    number = await read_number(client, raw_server, dateCreated="2023-01-15T10:30:00Z", **added)
    assert number.date_added == DATES["2023-01-15T10:30:00Z"]


@pytest.mark.parametrize("created", ["2001-01-01T00:00:00Z", None, ""])
async def test_date_added_takes_precedence(client: LCPhoneClient, raw_server: RawServer, created):
    """`dateAdded` takes precedence over `dateCreated`, in either order."""
    for fields in (
        {"dateAdded": "2023-01-15T10:30:00Z", "dateCreated": created},
        {"dateCreated": created, "dateAdded": "2023-01-15T10:30:00Z"},
    ):
        number = await read_number(client, raw_server, **fields)
        assert number.date_added == DATES["2023-01-15T10:30:00Z"]


@pytest.mark.parametrize("sent", ["yesterday", "2023-13-45T10:30:00Z", 1673778600, True, [], {}])
async def test_an_invalid_date_is_located(client: LCPhoneClient, raw_server: RawServer, sent):
    """An invalid date is a `ResponseFormatError` with its path."""
    with pytest.raises(ResponseFormatError) as caught:
        await read_number(client, raw_server, dateAdded=sent)
    assert caught.value.where == "$.data.numbers[0].dateAdded"


@ABSENT
async def test_an_invalid_older_date_is_located(
    client: LCPhoneClient, raw_server: RawServer, absent
):
    """The path is that of the field that was decoded."""
    added = {"dateAdded": absent["value"]} if absent else {}
    with pytest.raises(ResponseFormatError) as caught:
        await read_number(client, raw_server, dateCreated=5, **added)
    assert caught.value.where == "$.data.numbers[0].dateCreated"


async def test_search_spells_capabilities_in_capitals(client: LCPhoneClient, raw_server: RawServer):
    """A search has `{SMS, MMS, voice}`."""
    sent = {"MMS": False, "SMS": True, "voice": True}
    number = await read_available(client, raw_server, capabilities=sent)
    assert number.capabilities == Capabilities(voice=True, sms=True, mms=False, fax=None)


async def test_the_list_spells_capabilities_in_small(client: LCPhoneClient, raw_server: RawServer):
    """The active list has `{voice, sms, mms, fax}`."""
    sent = {"voice": False, "sms": True, "mms": False, "fax": True}
    number = await read_number(client, raw_server, capabilities=sent)
    assert number.capabilities == Capabilities(voice=False, sms=True, mms=False, fax=True)


@pytest.mark.parametrize("read", [read_number, read_available])
@pytest.mark.parametrize("sent", [{}, {"capabilities": None}, {"capabilities": {}}], ids=str)
async def test_capabilities_may_be_absent(client: LCPhoneClient, raw_server: RawServer, read, sent):
    """Absent means a missing key or `null`."""
    assert (await read(client, raw_server, **sent)).capabilities == Capabilities()


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("local", NumberType.LOCAL),
        ("toll-free", NumberType.TOLL_FREE),
        ("tollFree", NumberType.TOLL_FREE),
        ("mobile", NumberType.MOBILE),
        ("national", NumberType.NATIONAL),
    ],
)
async def test_number_types_of_the_list(
    client: LCPhoneClient, raw_server: RawServer, sent, expected
):
    """`local`, `toll-free`, `mobile`, `national` in the active list, and `tollFree` too."""
    number = await read_number(client, raw_server, type=sent)
    assert number.type is expected


@pytest.mark.parametrize("sent", ["local", "tollFree", "mobile"])
async def test_number_types_of_a_search(client: LCPhoneClient, raw_server: RawServer, sent):
    """`local`, `tollFree`, `mobile` in a search."""
    number = await read_available(client, raw_server, price={"number_type": sent})
    assert number.price.number_type is NumberType(sent)


@pytest.mark.parametrize("sent", ["shortCode", "LOCAL", "premium rate"])
async def test_unknown_number_types_are_kept(client: LCPhoneClient, raw_server: RawServer, sent):
    """An unknown number type is returned as the string that was sent."""
    assert (await read_number(client, raw_server, type=sent)).type == sent
    found = await read_available(client, raw_server, price={"number_type": sent})
    assert found.price.number_type == sent


OPTIONAL = {
    "friendlyName": "friendly_name",
    "sid": "sid",
    "countryCode": "country_code",
    "type": "type",
    "isDefaultNumber": "is_default_number",
    "linkedUser": "linked_user",
    "inboundCallService": "inbound_call_service",
    "forwardingNumber": "forwarding_number",
    "isGroupConversationEnabled": "is_group_conversation_enabled",
    "addressSid": "address_sid",
    "bundleSid": "bundle_sid",
    "dateAdded": "date_added",
    "dateUpdated": "date_updated",
    "origin": "origin",
}


@ABSENT
@pytest.mark.parametrize("name", OPTIONAL)
async def test_absent_has_three_forms(client: LCPhoneClient, raw_server: RawServer, name, absent):
    """Absent means a missing key, `null` or `""`."""
    fields = {name: absent["value"]} if absent else {}
    number = await read_number(client, raw_server, **fields)
    assert getattr(number, OPTIONAL[name]) is None
    assert number.extra == {}


AVAILABLE_OPTIONAL = {
    "friendlyName": "friendly_name",
    "isoCountry": "iso_country",
    "lata": "lata",
    "locality": "locality",
    "rateCenter": "rate_center",
    "latitude": "latitude",
    "longitude": "longitude",
    "region": "region",
    "postalCode": "postal_code",
    "addressRequirements": "address_requirements",
    "beta": "beta",
    "price": "price",
}


@ABSENT
@pytest.mark.parametrize("name", AVAILABLE_OPTIONAL)
async def test_absent_in_a_search(client: LCPhoneClient, raw_server: RawServer, name, absent):
    """Absent means a missing key, `null` or `""`."""
    fields = {name: absent["value"]} if absent else {}
    number = await read_available(client, raw_server, **fields)
    assert getattr(number, AVAILABLE_OPTIONAL[name]) is None
    assert number.extra == {}


POOL_OPTIONAL = {
    "name": "name",
    "locationId": "location_id",
    "forwardingNumber": "forwarding_number",
    "whisper": "whisper",
    "whisperMessage": "whisper_message",
    "callRecording": "call_recording",
    "isActive": "is_active",
    "inboundCallService": "inbound_call_service",
}


@ABSENT
@pytest.mark.parametrize("name", POOL_OPTIONAL)
async def test_absent_in_a_pool(client: LCPhoneClient, raw_server: RawServer, name, absent):
    """Absent means a missing key, `null` or `""`."""
    fields = {name: absent["value"]} if absent else {}
    raw_server.reply(http_json({"success": True, "data": [{"id": "p1", **fields}], "total": 1}))
    (pool,) = await client.number_pools(LOCATION)
    assert getattr(pool, POOL_OPTIONAL[name]) is None
    assert pool.numbers == ()
    assert pool.extra == {}


@pytest.mark.parametrize("sent", [{}, {"linkedRingAllUsers": None}, {"linkedRingAllUsers": []}])
async def test_absent_users(client: LCPhoneClient, raw_server: RawServer, sent):
    """A missing key or `null` is an empty list."""
    assert (await read_number(client, raw_server, **sent)).linked_ring_all_users == ()


PAGE_OPTIONAL = {
    "isUnderLc": "is_under_lc",
    "isUnderGhl": "is_under_lc",
    "pageSize": "page_size",
    "accountStatus": "account_status",
    "total": "total",
}


@ABSENT
@pytest.mark.parametrize("name", PAGE_OPTIONAL)
async def test_absent_in_a_page(client: LCPhoneClient, raw_server: RawServer, name, absent):
    """Absent means a missing key, `null` or `""`."""
    fields = {name: absent["value"]} if absent else {}
    page = await read_page(client, raw_server, {"numbers": [], **fields})
    assert getattr(page, PAGE_OPTIONAL[name]) is None
    assert page.extra == {}


@pytest.mark.parametrize("kind", ["voice_ai", "ivr", "forward", "something_new"])
async def test_inbound_call_service_has_a_type(client: LCPhoneClient, raw_server: RawServer, kind):
    """`inboundCallService`: `{type: voice_ai|ivr|forward|…, value}`."""
    number = await read_number(client, raw_server, inboundCallService={"type": kind, "value": "v"})
    assert number.inbound_call_service == InboundCallService(type=kind, value="v")


async def test_inbound_call_service_may_have_more_keys(
    client: LCPhoneClient, raw_server: RawServer
):
    """Further keys are kept."""
    more = {"flowVersion": 3, "nested": {"a": [1, None]}}
    sent = {"type": "ivr", "value": "flow-1", **more}
    number = await read_number(client, raw_server, inboundCallService=sent)
    assert number.inbound_call_service.value == "flow-1"
    assert number.inbound_call_service.extra == more


@pytest.mark.parametrize("sent", ["twilio", "hosted", "ported", "something_new"])
async def test_origins_may_be_new(client: LCPhoneClient, raw_server: RawServer, sent):
    """`origin`: `twilio`, `hosted`, `ported` and unknown ones."""
    assert (await read_number(client, raw_server, origin=sent)).origin == sent


@pytest.mark.parametrize("sent", ["active", "suspended", "closed", "something_new"])
async def test_account_states_may_be_new(client: LCPhoneClient, raw_server: RawServer, sent):
    """`accountStatus`: `active`, `suspended`, `closed` and unknown ones."""
    page = await read_page(client, raw_server, {"numbers": [], "accountStatus": sent})
    assert page.account_status == sent


@pytest.mark.parametrize("text", [b"%d", b"%d.0", b"%d.00", b"%de0"])
async def test_counts_may_have_a_fraction(client: LCPhoneClient, raw_server: RawServer, text):
    """Counts come with or without a fraction (`page: 0` or `0.0`)."""
    body = b'{"numbers": [], "page": P, "pageSize": S, "total": T}'
    for name, value in ((b"P", 0), (b"S", 50), (b"T", 12)):
        body = body.replace(b": " + name, b": " + text % value)
    raw_server.reply(http(body))
    page = await client.active_numbers_page(LOCATION)
    assert (page.page, page.page_size, page.total) == (0, 50, 12)
    assert all(type(value) is int for value in (page.page, page.page_size, page.total))


@pytest.mark.parametrize("sent", [0.5, "0", True, [], {}])
@pytest.mark.parametrize("name", ["page", "pageSize", "total"])
async def test_an_invalid_count_is_located(
    client: LCPhoneClient, raw_server: RawServer, name, sent
):
    """A count that is not a whole number is an error with its path."""
    with pytest.raises(ResponseFormatError) as caught:
        await read_page(client, raw_server, {"data": {"numbers": [], name: sent}})
    assert caught.value.where == f"$.data.{name}"


@pytest.mark.parametrize("sent", ["1.15", "1", "0.0075", "1.150", "0", "1234567.89", "1e2"])
async def test_a_price_is_a_decimal(client: LCPhoneClient, raw_server: RawServer, sent):
    """A price is an exact `Decimal`."""
    price = b'{"number_type": "local", "price": %s, "price_unit": "USD"}' % sent.encode()
    raw_server.reply(http(b'{"numbers": [{"phoneNumber": "+18305551234", "price": %s}]}' % price))
    (number,) = (await client.search_available(LOCATION, "US")).numbers
    assert number.price == Price(NumberType.LOCAL, Decimal(sent), "USD")
    assert isinstance(number.price.price, Decimal)


@pytest.mark.parametrize("missing", ["number_type", "price", "price_unit"])
async def test_a_price_may_be_incomplete(client: LCPhoneClient, raw_server: RawServer, missing):
    """The price and each of its parts are optional."""
    sent = {"number_type": "local", "price": 1.15, "price_unit": "USD"}
    del sent[missing]
    assert getattr((await read_available(client, raw_server, price=sent)).price, missing) is None


async def test_coordinates_are_strings(client: LCPhoneClient, raw_server: RawServer):
    """`latitude` and `longitude` are strings."""
    number = await read_available(client, raw_server, latitude="35.241800", longitude="-90.846000")
    assert (number.latitude, number.longitude) == ("35.241800", "-90.846000")


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("phoneNumber", None),
        ("phoneNumber", ""),
        ("phoneNumber", 18305551234),
        ("friendlyName", 1),
        ("friendlyName", False),
        ("isDefaultNumber", "false"),
        ("isDefaultNumber", 0),
        ("isGroupConversationEnabled", "true"),
        ("linkedUser", {}),
        ("linkedRingAllUsers", "user"),
        ("capabilities", []),
        ("capabilities", "voice"),
        ("inboundCallService", "ivr"),
        ("inboundCallService", []),
        ("type", 1),
        ("origin", True),
    ],
)
async def test_nothing_is_guessed(client: LCPhoneClient, raw_server: RawServer, name, sent):
    """A value of the wrong type is an error with its path, never converted."""
    with pytest.raises(ResponseFormatError) as caught:
        await read_number(client, raw_server, **{name: sent})
    assert caught.value.where == f"$.data.numbers[0].{name}"


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"capabilities": {"sms": "true"}}, "capabilities.sms"),
        ({"inboundCallService": {"type": 1}}, "inboundCallService.type"),
        ({"linkedRingAllUsers": ["u1", None]}, "linkedRingAllUsers[1]"),
        ({"linkedRingAllUsers": ["u1", "u2", 3]}, "linkedRingAllUsers[2]"),
    ],
)
async def test_the_path_is_complete(client: LCPhoneClient, raw_server: RawServer, fields, where):
    """The path of an invalid value includes every level."""
    with pytest.raises(ResponseFormatError) as caught:
        await read_number(client, raw_server, **fields)
    assert caught.value.where == f"$.data.numbers[0].{where}"


@pytest.mark.parametrize(
    ("at", "sent", "text"),
    [
        (17, {"phoneNumber": None}, "[17].phoneNumber: expected a string, got null"),
        (0, {"phoneNumber": 5}, "[0].phoneNumber: expected a string, got "),
        (3, {"friendlyName": "x"}, "[3].phoneNumber: expected "),
        (2, None, "[2]: expected an object, got null"),
        (2, "+18305551234", "[2]: expected an object, got a string"),
        (2, [], "[2]: expected an object, got an array"),
    ],
)
async def test_the_error_has_path_and_types(
    client: LCPhoneClient, raw_server: RawServer, at, sent, text
):
    """E.g. `$.data.numbers[17].phoneNumber: expected a string, got null`."""
    numbers = [NUMBER] * at + [sent] + [NUMBER] * 2
    with pytest.raises(ResponseFormatError) as caught:
        await read_page(client, raw_server, {"data": {"numbers": numbers}})
    assert f"$.data.numbers{text}" in str(caught.value)
    assert "+18305551234" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"numbers": [{}]}, "$.numbers[0].phoneNumber"),
        ([{}], "$[0].phoneNumber"),
        ({"phoneNumbers": [{}]}, "$.phoneNumbers[0].phoneNumber"),
        ({"data": [{}]}, "$.data[0].phoneNumber"),
        ({"numbers": {}}, "$.numbers"),
        ({"numbers": "none"}, "$.numbers"),
        ({"data": "none"}, "$.data"),
        ({"data": {"numbers": 1}}, "$.data.numbers"),
        (None, "$"),
        ("text", "$"),
        (0, "$"),
        (True, "$"),
    ],
    ids=str,
)
async def test_each_shape_has_its_path(client: LCPhoneClient, raw_server: RawServer, body, where):
    """The path is that of the response as sent, in every shape."""
    with pytest.raises(ResponseFormatError) as caught:
        await read_page(client, raw_server, body)
    assert caught.value.where == where


async def test_unknown_fields_are_kept_at_every_level(client: LCPhoneClient, raw_server: RawServer):
    """Unknown fields are kept in `extra`."""
    number = {
        **NUMBER,
        "new": 1,
        "capabilities": {"voice": True, "rcs": True},
        "inboundCallService": {"type": "ivr", "newer": None},
    }
    sender = {"number": "r1", "numberType": "rcsSenderId", "state": "up"}
    body = {"numbers": [number], "rcsSenderIds": [sender], "newest": [1, {"a": ""}]}
    page = await read_page(client, raw_server, body)
    assert page.extra == {"newest": [1, {"a": ""}]}
    assert page.numbers[0].extra == {"new": 1}
    assert page.numbers[0].capabilities.extra == {"rcs": True}
    assert page.numbers[0].inbound_call_service.extra == {"newer": None}
    assert page.rcs_sender_ids[0].extra == {"state": "up"}


async def test_unknown_fields_of_a_search_and_a_pool_are_kept(
    client: LCPhoneClient, raw_server: RawServer
):
    """Unknown fields are kept in `extra`."""
    found = {**NUMBER, "new": 1, "capabilities": {"fax2": True}, "price": {"setup": 2}}
    raw_server.reply(http_json({"fingerprintId": "f", "numbers": [found], "more": 1}))
    search = await client.search_available(LOCATION, "US")
    assert search.extra == {"more": 1}
    assert search.numbers[0].extra == {"new": 1}
    assert search.numbers[0].capabilities.extra == {"fax2": True}
    assert search.numbers[0].price.extra == {"setup": 2}

    pool = {"id": "p1", "new": 1, "numbers": [{**NUMBER, "newer": 2}]}
    raw_server.reply(http_json({"success": True, "data": [pool]}))
    (read,) = await client.number_pools(LOCATION)
    assert read.extra == {"new": 1}
    assert read.numbers[0].extra == {"newer": 2}
