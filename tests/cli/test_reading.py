"""`lcphone numbers`, `search` and `pools`: tables and JSON."""

import asyncio
from datetime import datetime

import pytest
from msgspec.structs import replace

from support.raw_server import http, http_json

HOSTILE = "[red]Sales[/red] \x1b[31m\x1b]0;title\x07\u202e\x9b1m :smile:"


def test_numbers_as_json(lcphone, lcphone_sandbox):
    """Prints one line per number, in order, with the models' names and ISO dates."""
    listed = lcphone.run("numbers", "--pools", "--page-size", "50", "--json").lines
    owned = lcphone_sandbox.location("loc1").numbers
    assert [each["phone_number"] for each in listed] == [each.phone_number for each in owned]
    assert len(listed) == 120
    first = listed[0]
    assert datetime.fromisoformat(first["date_added"]).tzinfo
    assert {"friendly_name", "linked_user", "is_default_number", "extra"} <= first.keys()
    assert first["capabilities"].keys() == {"voice", "sms", "mms", "fax", "extra"}


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("options", "sent"), [([], None), (["--pools"], "false"), (["--no-pools"], "true")]
)
def test_numbers_leaves_pools_to_the_service(lcphone, lcphone_sandbox, options, sent):
    """Asks for pools, or for none, only if an option is set."""
    lcphone.run("numbers", "--filter", "+1", *options, "--json")
    (request,) = lcphone_sandbox.requests
    assert request.query.get("skipNumberPool") == sent
    assert request.query["searchFilter"] == "+1"


def test_numbers_as_a_table(lcphone, lcphone_sandbox):
    """Shows every number, under one header for all pages, in lines of one width, and a count."""
    shown = lcphone.run("numbers", "--page-size", "7").out
    *rows, empty, count = shown.splitlines()
    assert (empty, count) == ("", "90 numbers")
    assert sum("Number" in row for row in rows) == 1
    assert len({len(row) for row in rows}) == 1
    listing = lcphone_sandbox.location("loc1").listing(skip_pools=True)
    assert [row.split()[0] for row in rows[2:]] == [number.phone_number for number in listing]


@pytest.mark.exhaustive
def test_hostile_names_are_text(lcphone, lcphone_sandbox):
    """Escapes control characters and markup in a name."""
    location = lcphone_sandbox.location("loc1")
    location.add(replace(location.numbers[0], phone_number="+13125550000", friendly_name=HOSTILE))
    table = lcphone.run("numbers", "--filter", "+13125550000", COLUMNS="200", FORCE_COLOR="1")
    as_json = lcphone.run("numbers", "--filter", "+13125550000", "--json")
    assert as_json.lines[0]["friendly_name"] == HOSTILE
    assert as_json.out.isascii()
    assert r"[red]Sales[/red] \x1b[31m\x1b]0;title\x07\u202e\x9b1m :smile:" in table.out
    assert "\x1b]" not in table.out


def test_search_of_several_countries_as_json(lcphone):
    """Prints one line per country, with prices as strings."""
    found = lcphone.run("search", "us", "CA", "gb", "US", "--type", "local", "--json").lines
    assert sorted(each["country_code"] for each in found) == ["CA", "GB", "US"]
    for country in found:
        assert country["error"] is None
        assert country["result"]["fingerprint_id"]
        assert {n["price"]["price"] for n in country["result"]["numbers"]} == {"1.15"}


@pytest.mark.exhaustive
def test_search_passes_its_filters_on(lcphone, lcphone_sandbox):
    """Sends each filter that was given and none that was not."""
    lcphone.run("search", "US", "--type", "local", "--type", "tollFree", "--first-part", "312")
    lcphone.run("search", "US", "--last-part", "0", "--anywhere", "1", "--sms", "--mms", "--voice")
    first, second = (request.query for request in lcphone_sandbox.requests)
    assert dict(first) == {
        "countryCode": "US",
        "numberTypes": "local,tollFree",
        "firstPart": "312",
    }
    assert dict(second) == {
        "countryCode": "US",
        "numberTypes": "local,tollFree",
        "lastPart": "0",
        "anywhere": "1",
        "smsEnabled": "true",
        "mmsEnabled": "true",
        "voiceEnabled": "true",
    }


def test_search_cleans_its_filters(lcphone, lcphone_sandbox):
    """Accepts spaces, brackets, the calling code, and types in any spelling."""
    options = ("--type", "TOLL_FREE", "--type", "toll-free", "--last-part", "0-0")
    lcphone.run("search", "us", "--first-part", "+1 (312)", *options)
    (request,) = lcphone_sandbox.requests
    assert dict(request.query) == {
        "countryCode": "US",
        "numberTypes": "tollFree",
        "firstPart": "312",
        "lastPart": "00",
    }


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["UK"], "no country has the code UK: did you mean GB?"),
        (["US", "XX"], "no country has the code XX"),
        (["US", "--first-part", "+44 20"], "country code"),
        (["US", "--last-part", "FLOWERS"], "last_part must be digits"),
        (["US", "--anywhere", "555*"], "anywhere must be digits"),
    ],
)
def test_search_refuses_what_finds_nothing(lcphone, lcphone_sandbox, arguments, reason):
    """Prints one line for an error, before anything is sent."""
    assert reason in lcphone.run("search", *arguments).complaint
    assert lcphone_sandbox.requests == []


def test_search_as_tables(lcphone):
    """Shows a table for each country, with place, price and fingerprint."""
    shown = lcphone.run("search", "US", "CA").out
    assert "US: 30 numbers found, fingerprint " in shown
    assert "CA: 30 numbers found, fingerprint " in shown
    assert "Chicago, IL" in shown
    assert "2.15 USD" in shown


@pytest.mark.parametrize("options", [[], ["--json"]])
async def test_a_failed_country_does_not_hide_the_others(lcphone_raw, raw_server, options):
    """Shows the country that was found, prints one line for the failed one, and exits 1."""

    def answer(request):
        if request.parameters["countryCode"] == "GB":
            return http_json({"message": "no\x1b[31m such\ncountry", "statusCode": 422}, 422)
        return http_json({"fingerprintId": "f1", "numbers": [{"phoneNumber": "+13125550000"}]})

    raw_server.reply(answer)
    search = await asyncio.to_thread(lcphone_raw.run, "search", "GB", "US", *options)
    assert search.complaint.startswith("Error: GB: ")
    assert search.complaint.endswith("422: no[31m such country")
    assert "+13125550000" in search.out
    if options:
        errors = {line["country_code"]: line["error"] for line in search.lines}
        assert errors["US"] is None
        assert (errors["GB"]["type"], errors["GB"]["status"]) == ("UnprocessableError", 422)


@pytest.mark.exhaustive
def test_pools(lcphone, lcphone_sandbox):
    """Shows each pool with its count of numbers; JSON has all of them."""
    pools = lcphone_sandbox.location("loc1").pools
    assert [pool["id"] for pool in lcphone.run("pools", "--json").lines] == [p.id for p in pools]
    shown = lcphone.run("pools").out
    for pool in pools:
        assert pool.name in shown


async def test_redirects(lcphone_raw, raw_server):
    """Follows none, to another host or the same, and prints one line."""
    raw_server.reply(http(b"", 307, {"Location": f"{raw_server.url}/elsewhere"}))
    pools = await asyncio.to_thread(lcphone_raw.run, "pools")
    assert (pools.code, pools.out) == (1, "")
    assert "307: " in pools.complaint
    assert "redirects are not followed" in pools.complaint
    assert raw_server.request.path == "/phone-system/number-pools"
