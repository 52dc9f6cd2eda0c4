"""`docs/wire.md`: Searching."""

from contextlib import suppress

import phonenumbers
import pytest

from lcphone_async import LCPhoneClient, NotFoundError, NumberType
from lcphone_async._internal import checks
from lcphone_async._internal.calling_codes import COUNTRY_CODES
from support.raw_server import RawRequest, RawServer, http_json

FIXED_LINE = phonenumbers.PhoneNumberType.FIXED_LINE
MOBILE = phonenumbers.PhoneNumberType.MOBILE
TOLL_FREE = phonenumbers.PhoneNumberType.TOLL_FREE
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
    """The documented default is `local,tollFree`."""
    raw_server.reply(http_json(EMPTY))
    await client.search_available(LOCATION, "US")
    assert raw_server.request.parameters == {"countryCode": "US", "numberTypes": "local,tollFree"}


async def test_number_types_may_be_left_to_the_service(
    client: LCPhoneClient, raw_server: RawServer
):
    """2021-07-28 requires only `countryCode`; `None` is not sent."""
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
async def test_bools_are_lower_case(
    client: LCPhoneClient, raw_server: RawServer, name, wire_name, value, sent
):
    """Booleans are sent as `true` and `false`."""
    raw_server.reply(http_json(EMPTY))
    await client.search_available(LOCATION, "US", **{name: value})
    assert raw_server.request.parameters[wire_name] == sent


NO_DIGITS = [
    *("8&lastPart=1", "8#1", "8%31", "8=1", "ü", "831*", "*831", "FLOWERS", "831x", "831?", "8_1"),
    *(
        "8+31",
        "++1",
        "+",
        "()",
        "- -",
        "8,1",
        "8;1",
        "\u0668\u0661\u0663",
        "\uff18\uff11\uff13",
        "813\n",
    ),
]


@pytest.mark.parametrize("name", ["first_part", "last_part", "anywhere"])
@pytest.mark.parametrize("value", NO_DIGITS)
async def test_a_part_is_digits(client: LCPhoneClient, raw_server: RawServer, name, value):
    """Letters, `*` and the like match nothing: `ValueError` before anything is sent."""
    with pytest.raises(ValueError, match=name):
        await client.search_available(LOCATION, "US", **{name: value})
    with pytest.raises(ValueError, match=name):
        client.search_countries(LOCATION, ["US"], **{name: value})
    assert not raw_server.connections


@pytest.mark.parametrize("name", ["first_part", "last_part", "anywhere"])
@pytest.mark.parametrize(
    "value",
    [
        *(
            "813555",
            "813-555",
            "(813) 555",
            "813 555",
            " 813555 ",
            "813.555",
            "813/555",
            "[813]555",
        ),
        *("813\u2011555", "813\u2013555", "813\u2212555", "813\u00a0555", "\u202a813555\u202c"),
    ],
)
async def test_a_part_is_sent_as_digits(client: LCPhoneClient, raw_server: RawServer, name, value):
    """Spaces, dashes and brackets are removed."""
    wire_name = {"first_part": "firstPart", "last_part": "lastPart"}.get(name, name)
    raw_server.reply(http_json(EMPTY))
    await client.search_available(LOCATION, "US", number_types=None, **{name: value})
    assert raw_server.request.parameters == {"countryCode": "US", wire_name: "813555"}


FIRST_PARTS = [
    *(("US", value, "813") for value in ("813", "1813", "+1813", "+1 (813)", "1-813", "001 813")),
    ("US", "1 813 555 1234", "8135551234"),
    *(("CA", value, "416") for value in ("416", "1416", "+1416")),
    *(("JM", value, "876") for value in ("876", "1876", "+1 876")),
    *(("GB", value, "20") for value in ("20", "020", "4420", "+4420", "+44 (0)20", "0044 20")),
    ("GB", "1813", "1813"),  # the area code 01813
    *(("DE", value, "30") for value in ("30", "030", "+4930", "0049 30")),
    ("DE", "4921", "4921"),  # the area code 04921
    ("DE", "+49 4921", "4921"),
    *(("FR", value, "140") for value in ("140", "0140", "+33140")),
    ("FR", "331", "331"),
    *(("IT", value, "06") for value in ("06", "+3906")),  # its zero belongs to the number
    ("IN", "9122", "9122"),
    ("IN", "91 98123 45678", "9812345678"),
    ("AU", "+61 4", "4"),
    ("MX", "+52 55", "55"),
    ("RU", "812", "812"),
    *(("US", value, "813") for value in ("011 1 813", "0111813", "+1813")),  # 011: the exit code
    *(("AU", value, "4") for value in ("0011 61 4", "00614", "04")),
    *(("JP", value, "3") for value in ("010 81 3", "03")),
    *(("KR", value, "2") for value in ("001 82 2", "00822", "02")),
    *(("HK", value, "2") for value in ("001 852 2", "008522")),
    *(("AQ", value, value) for value in ("0", "67", "6721")),  # no calling code of its own
]


@pytest.mark.parametrize(("country", "given", "sent"), FIRST_PARTS)
async def test_the_calling_code_is_removed(
    client: LCPhoneClient, raw_server: RawServer, country, given, sent
):
    """`firstPart` is national: `813` finds numbers, `1813` and `+1813` find none."""
    raw_server.reply(http_json(EMPTY))
    await client.search_available(LOCATION, country, first_part=given)
    assert raw_server.request.parameters["firstPart"] == sent


@pytest.mark.parametrize(
    ("country", "given"),
    [
        *(
            ("US", value)
            for value in ("+44", "+4420", "1", "+0", "011", "011813", "0114420", "00813")
        ),
        *(("GB", value) for value in ("+1813", "+4", "001813", "00")),
        *(("AU", value) for value in ("0011 1 813", "001181")),
        *((country, "+672") for country in ("AQ", "BV", "GS", "HM", "PN", "TF", "UM")),
        ("JM", "+1"),
    ],
)
async def test_another_country_s_code_is_refused(
    client: LCPhoneClient, raw_server: RawServer, country, given
):
    """Another country's calling code, or only a calling code, is a `ValueError`."""
    with pytest.raises(ValueError, match=r"first_part .* country code"):
        await client.search_available(LOCATION, country, first_part=given)
    assert not raw_server.connections


async def test_each_country_has_its_own_first_part(client: LCPhoneClient, raw_server: RawServer):
    """The calling code of one country may be ordinary digits in another."""
    raw_server.reply(http_json(EMPTY))
    searches = client.search_countries(LOCATION, ["US", "CA", "GB"], first_part="1813")
    assert len([search async for search in searches]) == 3
    sent = {r.parameters["countryCode"]: r.parameters["firstPart"] for r in raw_server.requests}
    assert sent == {"US": "813", "CA": "813", "GB": "1813"}


async def test_a_code_must_suit_each_country(client: LCPhoneClient, raw_server: RawServer):
    """`+1813` belongs to the US and not to GB: nothing is sent."""
    with pytest.raises(ValueError, match="GB, \\+44"):
        client.search_countries(LOCATION, ["US", "GB"], first_part="+1813")
    assert not raw_server.connections


@pytest.mark.parametrize("given", ["+6721", "+1", "+0"])
async def test_a_country_without_a_calling_code(client: LCPhoneClient, given):
    """Antarctica has no calling code: the error says to leave it out, and names no `+0`."""
    with pytest.raises(ValueError, match="AQ has none of its own: leave it out"):
        await client.search_available(LOCATION, "AQ", first_part=given)


@pytest.mark.exhaustive
def test_every_country_takes_digits():
    """Digits raise nothing but a clear error, whatever the country's numbering plan."""
    for country in checks.COUNTRY_CODES:
        for start in ("0", "00", "011", "1", "5", "813", "+1813", "0111813", "00441"):
            with suppress(ValueError):
                assert checks.first_digits("first_part", start, country), country


def test_national_digits_are_kept():
    """Digits that begin a national number are kept, even if they resemble a calling code."""
    for country in phonenumbers.SUPPORTED_REGIONS:
        for kind in (FIXED_LINE, MOBILE, TOLL_FREE):
            example = phonenumbers.example_number_for_type(country, kind)
            if example is None:
                continue
            national = phonenumbers.national_significant_number(example)
            for length in range(1, len(national) + 1):
                start = national[:length]
                for given in (start, f"+{example.country_code}{start}"):
                    assert checks.first_digits("first_part", given, country) == start, country


SPELLINGS = {
    "tollFree": ["tollFree", "toll-free", "TOLL_FREE", "toll free", "Toll-Free", "TOLLFREE"],
    "local": ["local", "LOCAL", " Local "],
    "mobile": ["mobile", "MOBILE", NumberType.MOBILE],
    "national": ["national", "National"],
}


@pytest.mark.parametrize(
    ("given", "sent"), [(given, sent) for sent, each in SPELLINGS.items() for given in each]
)
async def test_number_types_in_any_known_spelling(
    client: LCPhoneClient, raw_server: RawServer, given, sent
):
    """`local`, `tollFree`, `mobile` in searches and purchases; `toll-free` in the list."""
    raw_server.reply(http_json(EMPTY))
    await client.search_available(LOCATION, "US", number_types=[given])
    assert raw_server.request.parameters["numberTypes"] == sent


async def test_an_unknown_number_type_is_sent(client: LCPhoneClient, raw_server: RawServer):
    """Other types may follow."""
    raw_server.reply(http_json(EMPTY))
    await client.search_available(LOCATION, "US", number_types=["voIP-New"])
    assert raw_server.request.parameters["numberTypes"] == "voIP-New"


@pytest.mark.parametrize(
    ("code", "meant"), [("UK", "GB"), ("uk", "GB"), ("EN", "GB"), ("EL", "GR"), ("XX", None)]
)
async def test_a_country_is_one_of_the_list(
    client: LCPhoneClient, raw_server: RawServer, code, meant
):
    """An unknown code is a `ValueError` that suggests the right one; nothing is sent."""
    message = f"no country has the code {code.upper()}" + (
        f": did you mean {meant}" if meant else "$"
    )
    with pytest.raises(ValueError, match=f"country_code: {message}"):
        await client.search_available(LOCATION, code)
    with pytest.raises(ValueError, match=f"country_codes: {message}"):
        client.search_countries(LOCATION, ["US", code])
    with pytest.raises(ValueError, match=f"country_code: {message}"):
        await client.purchase(LOCATION, "+18305551234", country_code=code)
    assert not raw_server.connections


def test_every_country_with_phone_numbers_is_in_the_list():
    """Every country of the numbering plans is accepted."""
    assert phonenumbers.SUPPORTED_REGIONS <= COUNTRY_CODES


@pytest.mark.parametrize("body", [EMPTY, {"numbers": []}, {"data": {"numbers": []}}, []], ids=str)
async def test_a_search_may_find_nothing(client: LCPhoneClient, raw_server: RawServer, body):
    """A search returns 200 with an empty list."""
    raw_server.reply(http_json(body))
    assert (await client.search_available(LOCATION, "US")).numbers == ()


async def test_a_search_is_one_request(client: LCPhoneClient, raw_server: RawServer):
    """A search has no pages and is short."""
    numbers = [{"phoneNumber": f"+1830555{n:04}"} for n in range(30)]
    raw_server.reply(http_json({"fingerprintId": "f1", "numbers": numbers}))
    found = await client.search_available(LOCATION, "US")
    assert [n.phone_number for n in found.numbers] == [n["phoneNumber"] for n in numbers]
    assert not raw_server.request.parameters.keys() & {"page", "pageSize", "limit", "offset"}


async def test_the_fingerprint_goes_into_the_purchase(client: LCPhoneClient, raw_server: RawServer):
    """`fingerprintId` identifies the result and is sent with the purchase."""
    bought = {"number": "+18305551234", "locationId": LOCATION, "id": "a", "underLcAccount": True}
    raw_server.reply(http_json(FOUND), http_json({"data": bought}, 201))
    found = await client.search_available(LOCATION, "US")
    await client.purchase(LOCATION, found.numbers[0], fingerprint_id=found.fingerprint_id)
    assert raw_server.requests[1].json == {"phoneNumber": "+18305551234", "fingerprintId": "f1"}


async def test_countries_are_each_searched_once(client: LCPhoneClient, raw_server: RawServer):
    """`search_countries` accepts duplicates and lower case."""
    raw_server.reply(http_json(EMPTY))
    searches = client.search_countries(LOCATION, ["US", "us", "CA", "US", "ca"], anywhere="1")
    assert sorted([search.country_code async for search in searches]) == ["CA", "US"]
    assert sorted(r.parameters["countryCode"] for r in raw_server.requests) == ["CA", "US"]
    assert all(r.parameters["anywhere"] == "1" for r in raw_server.requests)


async def test_a_failed_country_never_loses_the_others(
    client: LCPhoneClient, raw_server: RawServer
):
    """Each country is returned with its result or its error."""

    def respond(request: RawRequest) -> bytes:
        if request.parameters["countryCode"] == "CA":
            return http_json({"message": "No such country", "statusCode": 404}, 404)
        return http_json(FOUND)

    raw_server.reply(respond)
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
    """Any other length is a `ValueError` before anything is sent."""
    with pytest.raises(ValueError):  # noqa: PT011
        await client.search_available(LOCATION, code)
    with pytest.raises(ValueError):  # noqa: PT011
        [s async for s in client.search_countries(LOCATION, ["US", code])]
    assert not raw_server.connections
