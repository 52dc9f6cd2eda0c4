"""Active numbers: paging, filters, pools."""

import pytest

from lcphone_async.sandbox import LocationSettings, Sandbox

BAD_PAGE = "Invalid locationId format or pagination parameters"


def phones(page):
    return [number["phoneNumber"] for number in page["numbers"]]


async def test_pages_hold_every_number_once(caller, sandbox):
    """The pages together are the location's numbers, in order, none twice."""
    pages = [
        await caller.page("loc1", page=n, pageSize=50, skipNumberPool="false") for n in (0, 1, 2)
    ]
    listed = [phone for page in pages for phone in phones(page)]
    assert listed == [number.phone_number for number in sandbox.location("loc1").numbers]
    assert len(set(listed)) == 120
    assert [page["page"] for page in pages] == [0, 1, 2]


async def test_default_page(caller):
    """Without parameters it is page 0 of 50."""
    page = await caller.page("loc1")
    assert (page["page"], page["pageSize"], len(page["numbers"])) == (0, 50, 50)


async def test_past_the_end(caller):
    """A page past the last is empty, however far."""
    for number in (3, 10**14):
        assert (await caller.page("loc1", page=number))["numbers"] == []


@pytest.mark.parametrize(
    "params",
    [
        {"page": "-1"},
        {"page": "one"},
        {"page": "1.5"},
        {"page": "9" * 5000},
        {"page": "1e99"},
        {"page": "Infinity"},
        {"page": "1_0"},
        {"page": "\u0661"},
        {"page": "-0x1"},
        {"pageSize": "0"},
        {"pageSize": ""},
        {"pageSize": "1001"},
        {"pageSize": "-5"},
    ],
)
async def test_bad_pages(caller, params):
    """Gives 400 with the documented message for a page or size that there is not."""
    answer = await caller.active("loc1", **params)
    assert (answer.status, answer.body["message"]) == (400, BAD_PAGE)
    assert answer.body["error"] == "Bad Request"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2.0", 2),
        ("2e0", 2),
        ("0.2E1", 2),
        (".2e+1", 2),
        ("20e-1", 2),
        ("2.", 2),
        ("+2", 2),
        (" 2 ", 2),
        ("\ufeff2\n", 2),
        ("002", 2),
        ("0x2", 2),
        ("0B10", 2),
        ("0o2", 2),
        ("", 0),
        (" ", 0),
        ("-0", 0),
    ],
)
async def test_numbers_as_node_reads_them(caller, text, number):
    """Both contracts read a page and its size as JavaScript's `Number()` does."""
    page = await caller.page("loc1", page=text, pageSize="1e1")
    assert phones(page) == phones(await caller.page("loc1", page=number, pageSize=10))
    assert (page["page"], page["pageSize"]) == (number, 10)
    if number:
        assert (await caller.page("loc1", pageSize=text))["pageSize"] == number


@pytest.mark.parametrize("name", ["skipNumberPool", "includeRcsSenderIds"])
@pytest.mark.parametrize("value", ["True", "1", "yes", ""])
async def test_bad_booleans(caller, name, value):
    """Takes `true` and `false` and nothing else."""
    answer = await caller.active("loc1", **{name: value})
    assert (answer.status, answer.body["message"]) == (400, f"{name} must be a boolean value")


async def test_pool_numbers_are_left_out_by_default(caller):
    """Leaves out the numbers of pools, unless it is told not to skip them."""
    pools = (await caller.pools(locationId="loc1")).body["data"]
    pooled = {number["phoneNumber"] for pool in pools for number in pool["numbers"]}
    by_default = phones(await caller.page("loc1", pageSize=1000))
    skipping = phones(await caller.page("loc1", pageSize=1000, skipNumberPool="true"))
    everything = phones(await caller.page("loc1", pageSize=1000, skipNumberPool="false"))
    assert len(pooled) == 30
    assert by_default == skipping == [phone for phone in everything if phone not in pooled]
    assert len(everything) == 120


async def test_a_number_is_in_one_pool(caller):
    """No number is in two pools, and the pools are about as large."""
    pools = (await caller.pools(locationId="loc1")).body["data"]
    held = [{number["phoneNumber"] for number in pool["numbers"]} for pool in pools]
    assert [len(numbers) for numbers in held] == [15, 15]
    assert not held[0] & held[1]


async def test_search_filter_is_a_partial_match(caller, sandbox):
    """`searchFilter` finds its text anywhere in the number."""
    everything = [number.phone_number for number in sandbox.location("loc1").numbers]
    for part in ("+44", "+1", "55", everything[7][3:9], everything[9]):
        found = await caller.page("loc1", pageSize=1000, searchFilter=part, skipNumberPool="false")
        assert phones(found) == [phone for phone in everything if part in phone]


async def test_search_filter_without_a_match(caller):
    """A filter that no number fits gives an empty list."""
    assert (await caller.page("loc1", searchFilter="+999"))["numbers"] == []


async def test_total_counts_what_is_listed(call, sandbox):
    """`total` is the length of the list that the parameters ask for."""
    caller = call(sandbox)
    for params in ({}, {"skipNumberPool": "false"}, {"searchFilter": "5"}):
        whole = await caller.page("loc1", pageSize=1000, **params)
        part = await caller.page("loc1", pageSize=7, **params)
        assert part["total"] == whole["total"] == len(whole["numbers"])


async def test_rcs_sender_ids(call, sandbox):
    """v3 lists RCS sender ids when, and only when, it is asked to."""
    with_ids = await call(sandbox).page("loc1", includeRcsSenderIds="true")
    assert with_ids["rcsSenderIds"][0]["numberType"] == "rcsSenderId"
    assert "rcsSenderIds" not in await call(sandbox).page("loc1", includeRcsSenderIds="false")
    legacy = call(sandbox, version="2021-07-28")
    assert "rcsSenderIds" not in await legacy.page("loc1", includeRcsSenderIds="true")


async def test_inventories_are_varied(call):
    """A few hundred numbers show each of the shapes that the service was seen to send."""
    async with Sandbox(numbers_per_location=400) as sandbox:
        caller = call(sandbox, version="2021-07-28")
        numbers = (await caller.page("loc1", pageSize=1000))["numbers"]

    def values(name):
        return {number[name] for number in numbers}

    assert values("type") == {"local", "toll-free", "mobile", "national"}
    assert values("origin") == {"twilio", "hosted", "ported"}
    assert values("countryCode") > {"US", "CA", "GB"}
    assert {None, ""} < values("linkedUser")
    assert {None, ""} < values("forwardingNumber")
    assert None in values("friendlyName")
    services = {service and service["type"] for service in map(_service, numbers)}
    assert services == {None, "voice_ai", "ivr", "forward"}
    assert {number["capabilities"]["sms"] for number in numbers} == {True, False}
    assert sum(number["isDefaultNumber"] for number in numbers) == 1


def _service(number):
    return number["inboundCallService"]


async def test_settings_of_a_location(call, version):
    """A location is as it was set: how many numbers, whose account, in what state."""
    settings = LocationSettings(numbers=3, pools=0, account_status="suspended", under_lc=False)
    async with Sandbox(locations={"loc1": settings}) as sandbox:
        caller = call(sandbox, version=version)
        page = await caller.page("loc1")
        assert (await caller.pools(locationId="loc1")).body == {
            "success": True, "data": [], "total": 0,
        }  # fmt: skip
    assert len(page["numbers"]) == 3
    assert page["accountStatus"] == "suspended"
    assert page["isUnderLc" if version == "v3" else "isUnderGhl"] is False


async def test_empty_location(call, version):
    """A location without numbers has an empty list and empty pools."""
    async with Sandbox(numbers_per_location=0) as sandbox:
        caller = call(sandbox, version=version)
        assert (await caller.page("loc1"))["numbers"] == []
        pools = (await caller.pools(locationId="loc1")).body["data"]
        assert [pool["numbers"] for pool in pools] == [[], []]


async def test_any_location_id_stays_in_its_segment(caller, sandbox):
    """An id with a slash or a dot is one id when it is escaped."""
    page = await caller.page("a%2F..%2Fb", pageSize=1)
    assert phones(page) == [sandbox.location("a/../b").numbers[0].phone_number]


async def test_pools_need_a_location_in_v3(call, sandbox):
    """v3 refuses a list of pools without a location."""
    answer = await call(sandbox).pools()
    assert (answer.status, answer.body["message"]) == (400, "Invalid locationId format")


async def test_pools_of_all_named_locations(call):
    """2021-07-28 gives the pools of those locations that are connected when none is named."""
    settings = {
        "loc1": LocationSettings(pools=1),
        "loc2": LocationSettings(connected=False),
        "loc3": LocationSettings(pools=1),
    }
    async with Sandbox(locations=settings) as sandbox:
        answer = await call(sandbox, version="2021-07-28").pools()
        assert [pool["locationId"] for pool in answer.body["data"]] == ["loc1", "loc3"]


async def test_pools_of_all_locations(call, sandbox):
    """2021-07-28 gives the pools of the locations it was asked of when none is named."""
    sandbox.location("loc1")
    sandbox.location("loc2")
    answer = await call(sandbox, version="2021-07-28").pools()
    assert [pool["locationId"] for pool in answer.body["data"]] == ["loc1"] * 2 + ["loc2"] * 2
    assert answer.body["total"] == 4
