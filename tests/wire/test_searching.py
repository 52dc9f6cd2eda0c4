"""`wire.md`: Searching."""

import pytest

from lcphone_async import LCPhoneClient, NotFoundError

from .raw_server import RawRequest, RawServer, http_json

LOCATION = "loc1"
EMPTY = {"fingerprintId": "f1", "numbers": []}
FOUND = {"fingerprintId": "f1", "numbers": [{"phoneNumber": "+18305551234"}]}


async def test_every_filter_is_sent(client: LCPhoneClient, raw_server: RawServer):
    """`firstPart`, `lastPart`, `anywhere`, `numberTypes`, the capabilities and `countryCode`."""
    raw_server.reply(http_json(EMPTY))
    await client.search_available(
        LOCATION,
        "US",
        number_types=["tollFree", "mobile", "local"],
        first_part="830",
        last_part="825",
        anywhere="82",
        sms_enabled=True,
        mms_enabled=False,
        voice_enabled=True,
    )
    assert raw_server.request.parameters == {
        "countryCode": "US",
        "numberTypes": "tollFree,mobile,local",
        "firstPart": "830",
        "lastPart": "825",
        "anywhere": "82",
        "smsEnabled": "true",
        "mmsEnabled": "false",
        "voiceEnabled": "true",
    }


async def test_a_country_alone_searches_local_and_toll_free(
    client: LCPhoneClient, raw_server: RawServer
):
    """The document's own default is `local,tollFree`."""
    raw_server.reply(http_json(EMPTY))
    await client.search_available(LOCATION, "US")
    assert raw_server.request.parameters == {"countryCode": "US", "numberTypes": "local,tollFree"}


async def test_number_types_may_be_left_to_the_service(
    client: LCPhoneClient, raw_server: RawServer
):
    """2021-07-28 requires only `countryCode`; what is `None` is not sent."""
    raw_server.reply(http_json(EMPTY))
    await client.search_available(LOCATION, "US", number_types=None)
    assert raw_server.request.parameters == {"countryCode": "US"}


@pytest.mark.parametrize("name", ["first_part", "last_part", "anywhere"])
async def test_an_empty_filter_is_sent(client: LCPhoneClient, raw_server: RawServer, name):
    """`""` is sent."""
    wire_name = {"first_part": "firstPart", "last_part": "lastPart"}.get(name, name)
    raw_server.reply(http_json(EMPTY))
    await client.search_available(LOCATION, "US", **{name: ""})
    assert raw_server.request.parameters[wire_name] == ""


@pytest.mark.parametrize(
    ("name", "wire_name"),
    [
        ("sms_enabled", "smsEnabled"),
        ("mms_enabled", "mmsEnabled"),
        ("voice_enabled", "voiceEnabled"),
    ],
)
@pytest.mark.parametrize(("value", "sent"), [(True, "true"), (False, "false")])
async def test_bools_go_out_in_lower_case(
    client: LCPhoneClient, raw_server: RawServer, name, wire_name, value, sent
):
    """Bool parameters go out as `true` and `false`."""
    raw_server.reply(http_json(EMPTY))
    await client.search_available(LOCATION, "US", **{name: value})
    assert raw_server.request.parameters[wire_name] == sent


@pytest.mark.parametrize("value", ["8&lastPart=1", "8#1", "8+1", "8%31", "8=1", "8 1", "ü"])
async def test_a_filter_stays_one_parameter(client: LCPhoneClient, raw_server: RawServer, value):
    """No value leaves its parameter."""
    raw_server.reply(http_json(EMPTY))
    await client.search_available(LOCATION, "US", number_types=None, first_part=value)
    assert raw_server.request.parameters == {"countryCode": "US", "firstPart": value}


@pytest.mark.parametrize("body", [EMPTY, {"numbers": []}, {"data": {"numbers": []}}, []], ids=str)
async def test_a_search_may_find_nothing(client: LCPhoneClient, raw_server: RawServer, body):
    """A search answers 200 with an empty list."""
    raw_server.reply(http_json(body))
    assert (await client.search_available(LOCATION, "US")).numbers == ()


async def test_a_search_is_one_request(client: LCPhoneClient, raw_server: RawServer):
    """A search is not pageable and is short."""
    numbers = [{"phoneNumber": f"+1830555{n:04}"} for n in range(30)]
    raw_server.reply(http_json({"fingerprintId": "f1", "numbers": numbers}))
    found = await client.search_available(LOCATION, "US")
    assert [n.phone_number for n in found.numbers] == [n["phoneNumber"] for n in numbers]
    assert not raw_server.request.parameters.keys() & {"page", "pageSize", "limit", "offset"}


async def test_the_fingerprint_goes_into_the_purchase(client: LCPhoneClient, raw_server: RawServer):
    """`fingerprintId` identifies the result and goes into the purchase."""
    bought = {"number": "+18305551234", "locationId": LOCATION, "id": "a", "underLcAccount": True}
    raw_server.reply(http_json(FOUND), http_json({"data": bought}, 201))
    found = await client.search_available(LOCATION, "US")
    await client.purchase(LOCATION, found.numbers[0], fingerprint_id=found.fingerprint_id)
    assert raw_server.requests[1].json == {"phoneNumber": "+18305551234", "fingerprintId": "f1"}


async def test_countries_are_each_searched_once(client: LCPhoneClient, raw_server: RawServer):
    """`search_countries` takes duplicates and lower case in its list."""
    raw_server.reply(http_json(EMPTY))
    searches = client.search_countries(LOCATION, ["US", "us", "CA", "US", "ca"], anywhere="1")
    assert sorted([search.country_code async for search in searches]) == ["CA", "US"]
    assert sorted(r.parameters["countryCode"] for r in raw_server.requests) == ["CA", "US"]
    assert all(r.parameters["anywhere"] == "1" for r in raw_server.requests)


async def test_a_failed_country_never_loses_the_others(
    client: LCPhoneClient, raw_server: RawServer
):
    """Each country comes with its result or its error."""

    def answer(request: RawRequest) -> bytes:
        if request.parameters["countryCode"] == "CA":
            return http_json({"message": "No such country", "statusCode": 404}, 404)
        return http_json(FOUND)

    raw_server.reply(answer)
    codes = ["US", "CA", "GB"]
    searches = {s.country_code: s async for s in client.search_countries(LOCATION, codes)}
    assert searches.keys() == set(codes)
    assert isinstance(searches["CA"].error, NotFoundError)
    assert searches["CA"].result is None
    for code in ("US", "GB"):
        assert searches[code].error is None
        assert searches[code].result.fingerprint_id == "f1"


@pytest.mark.parametrize("code", ["", "U", "USA", "U1", "U ", "12", "U/", "ÜS", "\u017fs"])
async def test_a_country_code_is_two_letters(client: LCPhoneClient, raw_server: RawServer, code):
    """A country code that is not two letters: `ValueError` before anything is sent."""
    with pytest.raises(ValueError):  # noqa: PT011
        await client.search_available(LOCATION, code)
    with pytest.raises(ValueError):  # noqa: PT011
        [s async for s in client.search_countries(LOCATION, ["US", code])]
    assert not raw_server.connections
