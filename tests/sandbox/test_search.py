"""Available numbers: countries, types, patterns, capabilities."""

import pytest

TYPES = "local,tollFree,mobile"


def phones(answer):
    return [number["phoneNumber"] for number in answer.body["numbers"]]


async def test_country_is_required(caller):
    """Gives 400 "countryCode is required" without one."""
    for params in ({}, {"countryCode": ""}):
        answer = await caller.available("loc1", numberTypes="local", **params)
        assert (answer.status, answer.body["message"]) == (400, "countryCode is required")


async def test_no_types_no_numbers(caller):
    """A country alone finds nothing, as the live service was seen to answer."""
    answer = await caller.available("loc1", countryCode="US")
    assert (answer.status, answer.body["numbers"]) == (200, [])
    assert answer.body["fingerprintId"]


@pytest.mark.parametrize("country", ["XX", "us", "USA"])
async def test_unknown_country(caller, country):
    """A country without a numbering plan finds nothing."""
    answer = await caller.available("loc1", countryCode=country, numberTypes=TYPES)
    assert (answer.status, answer.body["numbers"]) == (200, [])


async def test_unknown_type(caller):
    """A type that a search does not know finds nothing."""
    for types in ("toll-free", "national", ""):
        answer = await caller.available("loc1", countryCode="GB", numberTypes=types)
        assert (answer.status, answer.body["numbers"]) == (200, [])


@pytest.mark.parametrize(
    ("country", "dial"),
    [
        ("US", "+1"),
        ("CA", "+1"),
        ("GB", "+44"),
        ("AU", "+61"),
        ("DE", "+49"),
        ("FR", "+33"),
        ("NL", "+31"),
        ("SE", "+46"),
    ],
)
async def test_countries(caller, country, dial):
    """A country's numbers bear its dial code, and there are at most 30 of them, none twice."""
    answer = await caller.available("loc1", countryCode=country, numberTypes=TYPES)
    found = phones(answer)
    assert len(set(found)) == len(found) == 30
    assert all(phone.startswith(dial) for phone in found)
    assert {number["isoCountry"] for number in answer.body["numbers"]} == {country}


async def test_an_area_code(caller):
    """`firstPart` 830 gives 30 numbers of that area code, even with toll-free asked for."""
    answer = await caller.available(
        "loc1", countryCode="US", numberTypes="local,tollFree", firstPart="830"
    )
    assert len(phones(answer)) == 30
    assert all(phone.startswith("+1830") for phone in phones(answer))
    assert {number["region"] for number in answer.body["numbers"]} == {"TX"}


@pytest.mark.parametrize(
    "parts",
    [
        {"firstPart": "8305"},
        {"firstPart": "8"},
        {"lastPart": "825"},
        {"anywhere": "825"},
        {"firstPart": "830", "lastPart": "77"},
        {"firstPart": "415", "lastPart": "9", "anywhere": "23"},
    ],
)
async def test_patterns(caller, parts):
    """Patterns hold of the national digits of all that is found, and find 30."""
    answer = await caller.available("loc1", countryCode="US", numberTypes="local", **parts)
    national = [phone.removeprefix("+1") for phone in phones(answer)]
    assert len(national) == 30
    assert all(digits.startswith(parts.get("firstPart", "")) for digits in national)
    assert all(digits.endswith(parts.get("lastPart", "")) for digits in national)
    assert all(parts.get("anywhere", "") in digits for digits in national)


@pytest.mark.parametrize(
    "parts", [{"firstPart": "000"}, {"lastPart": "12345678901"}, {"anywhere": "abc"}]
)
async def test_patterns_that_no_number_has(caller, parts):
    """A pattern that fits no number finds none."""
    answer = await caller.available("loc1", countryCode="US", numberTypes="local", **parts)
    assert (answer.status, answer.body["numbers"]) == (200, [])


async def test_a_whole_number(caller):
    """A pattern that is a whole number finds that number."""
    answer = await caller.available(
        "loc1", countryCode="US", numberTypes="local", anywhere="8305551234"
    )
    assert phones(answer) == ["+18305551234"]


@pytest.mark.parametrize(
    ("name", "capability"),
    [("smsEnabled", "SMS"), ("mmsEnabled", "MMS"), ("voiceEnabled", "voice")],
)
async def test_capabilities(caller, name, capability):
    """A capability that is asked for is one that all numbers have."""
    answer = await caller.available("loc1", countryCode="US", numberTypes="local", **{name: "true"})
    assert len(phones(answer)) == 30
    assert all(number["capabilities"][capability] for number in answer.body["numbers"])


async def test_capabilities_that_a_type_lacks(caller):
    """German local numbers carry no texts, so asking for texts finds none."""
    params = {"countryCode": "DE", "numberTypes": "local"}
    assert phones(await caller.available("loc1", **params, smsEnabled="false"))
    assert not phones(await caller.available("loc1", **params, smsEnabled="true"))


async def test_bad_booleans(caller):
    """Takes `true` and `false` and nothing else."""
    answer = await caller.available("loc1", countryCode="US", numberTypes="local", smsEnabled="1")
    assert (answer.status, answer.body["message"]) == (400, "smsEnabled must be a boolean value")


async def test_types_are_mixed(caller):
    """Types that are asked for together are all there; their order is that of the request."""
    answer = await caller.available("loc1", countryCode="US", numberTypes="tollFree,local")
    kinds = [number["price"]["number_type"] for number in answer.body["numbers"]]
    assert kinds == ["toll free", "local"] * 15


async def test_types_may_be_repeated(caller):
    """The parameter repeated is the same as one value with commas."""
    commas = await caller.available("loc1", countryCode="US", numberTypes="local,tollFree")
    url = f"{caller.base}/phone-system/numbers/location/loc1/available"
    query = "?countryCode=US&numberTypes=local&numberTypes=tollFree"
    headers = {"Authorization": "Bearer x", "Version": caller.version}
    async with caller.session.get(url + query, headers=headers) as response:
        assert (await response.json()) == commas.body


async def test_a_search_is_repeatable(caller):
    """The same question has the same answer, fingerprint and all; another has another."""
    ask = {"countryCode": "US", "numberTypes": "local"}
    first = await caller.available("loc1", **ask)
    assert (await caller.available("loc1", **ask)).body == first.body
    other = await caller.available("loc1", **ask, firstPart="212")
    assert other.body["fingerprintId"] != first.body["fingerprintId"]


async def test_prices(caller):
    """A price has its amount, its unit and its type; Swedish numbers come without one."""
    local = await caller.available("loc1", countryCode="US", numberTypes="local")
    assert local.body["numbers"][0]["price"] == {
        "number_type": "local", "price": 1.15, "price_unit": "USD",
    }  # fmt: skip
    swedish = await caller.available("loc1", countryCode="SE", numberTypes="local")
    assert not any("price" in number for number in swedish.body["numbers"])


async def test_places_and_addresses(caller):
    """American local numbers say where they are and need no address; German ones the reverse."""
    american = await caller.available("loc1", countryCode="US", numberTypes="local")
    german = await caller.available("loc1", countryCode="DE", numberTypes="local")
    assert all(number["locality"] and number["latitude"] for number in american.body["numbers"])
    assert {number["addressRequirements"] for number in american.body["numbers"]} == {"none"}
    assert {number["locality"] for number in german.body["numbers"]} == {None}
    assert {number["addressRequirements"] for number in german.body["numbers"]} == {"local"}
