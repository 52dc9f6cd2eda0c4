"""Lists that change while they are walked, and lists that contradict themselves."""

import pytest

from lcphone_async.audit import Coverage
from support.agency import Place, number, pool

SENDERS = [{"number": "rcs-1", "friendlyName": "Brand"}]


def listed(count, start=1):
    return [number(f"+1212{n:07}") for n in range(start, start + count)]


def names(numbers):
    return [each["phoneNumber"] for each in numbers]


@pytest.fixture(params=[True, False], ids=["v3", "2021-07-28"])
def moving(agency, request):
    """An agency whose location `a` has 2,500 numbers, with and without a total."""
    agency.tells_total = request.param
    agency.places["a"] = Place(listed(2_500))
    return agency


def released_before_page_1(agency, times=1):
    """Releases the sixth number whenever page 1 is asked for, so often."""

    def on_page(_, page):
        nonlocal times
        if page == 1 and times:
            times -= 1
            del agency.places["a"].numbers[5]

    agency.on_page = on_page


async def test_a_release_during_the_walk(take, rows, moving):
    """Is noticed by a second walk that differs, so that no number is missing that is there."""
    released_before_page_1(moving)
    summary = await take(moving, ["a"])
    assert summary.coverage == {Coverage.COMPLETE: 1}
    found = rows("SELECT phone_number FROM numbers ORDER BY ALL")
    assert [phone_number for (phone_number,) in found] == names(moving.places["a"].numbers)


async def test_a_release_that_an_addition_hides(take, rows, moving):
    """Is noticed although the total stays: the new number is counted for the one not seen."""

    def on_page(_, page):
        numbers = moving.places["a"].numbers
        if page == 1 and len(numbers) == 2_500 and numbers[5]["phoneNumber"] == "+12120000006":
            del numbers[5]
            numbers.extend(listed(1, 9_000))

    moving.on_page = on_page
    summary = await take(moving, ["a"])
    assert summary.coverage == {Coverage.COMPLETE: 1}
    found = rows("SELECT phone_number FROM numbers ORDER BY ALL")
    assert [phone_number for (phone_number,) in found] == names(moving.places["a"].numbers)


async def test_a_list_that_never_rests(take, rows, moving):
    """Is partial after four walks, with the reason; all numbers seen are kept."""
    released_before_page_1(moving, times=99)
    moving.places["a"].pools = [pool("p", "+12120000001")]
    summary = await take(moving, ["a"])
    ((coverage, reason, numbers, pools),) = rows(
        "SELECT coverage, reason, numbers, pools FROM locations"
    )
    assert summary.coverage == {Coverage.PARTIAL: 1}
    assert coverage == "partial"
    assert "changed during" in reason or "ended after" in reason
    assert numbers > 2_490
    assert pools == 1
    assert moving.requests.count(("a", 0)) == 4
    assert moving.requests.count(("a", "pools")) == 1


async def test_a_garbled_walk_between_two_that_agree(take, agency):
    """Does not count: the walks before and after it prove the list."""
    agency.places["a"] = Place(listed(1_500))
    walks = 0

    def on_page(_, page):
        nonlocal walks
        walks += page == 0
        agency.errors.pop("a", None)
        if walks == 2 and page == 1:
            agency.errors["a"] = 200
            agency.bodies["a"] = {"data": "garbled"}

    agency.on_page = on_page
    summary = await take(agency, ["a"])
    assert summary.coverage == {Coverage.COMPLETE: 1}
    assert walks == 3


@pytest.mark.parametrize(
    ("count", "tells_total", "pages"),
    [
        (0, True, [0]),
        (999, True, [0]),
        (1_000, True, [0]),
        (2_500, True, [0, 1, 2, 0, 1, 2]),
        (999, False, [0]),
    ],
)
async def test_requests(take, agency, count, tells_total, pages):
    """Asks once for a list of one page, and twice for each page of a longer one."""
    agency.tells_total = tells_total
    agency.places["a"] = Place(listed(count))
    summary = await take(agency, ["a"])
    assert summary.is_complete
    asked = [page for _, page in agency.requests if page != "pools"]
    assert sorted(asked) == sorted(pages)


async def test_requests_without_a_total(take, agency):
    """Are twelve at the most for three pages, as some are asked for on a chance."""
    agency.tells_total = False
    agency.places["a"] = Place(listed(2_500))
    summary = await take(agency, ["a"])
    assert summary.is_complete
    asked = [page for _, page in agency.requests if page != "pools"]
    assert 6 <= len(asked) <= 12
    assert set(asked) >= {0, 1, 2}


@pytest.mark.sample(1)
@pytest.mark.parametrize("at", [1, 999, 1_000, 1_500, 2_499])
async def test_a_number_that_is_listed_twice(take, rows, moving, at):
    """Is kept once and listed as repeated; the location is complete, with pools and senders."""
    place = moving.places["a"]
    place.numbers.insert(at, number("+12120000001"))
    place.pools, place.senders = [pool("p", "+12120000001")], SENDERS
    summary = await take(moving, ["a"])
    assert summary.coverage == {Coverage.COMPLETE: 1}
    assert rows("SELECT phone_number, times FROM repeated_numbers") == [("+12120000001", 2)]
    assert rows("SELECT numbers, pools, rcs_sender_ids FROM locations") == [(2_500, 1, 1)]
    assert rows("SELECT count(*), count(DISTINCT phone_number) FROM numbers") == [(2_500, 2_500)]
    assert moving.requests.count(("a", 0)) == 2


async def test_a_short_list_with_a_number_three_times(take, rows, agency):
    """Needs one walk, as one response has all of it."""
    agency.places["a"] = Place([*listed(2), *listed(2), *listed(1)])
    summary = await take(agency, ["a"])
    assert summary.coverage == {Coverage.COMPLETE: 1}
    found = rows("SELECT phone_number, times FROM repeated_numbers ORDER BY ALL")
    assert found == [("+12120000001", 3), ("+12120000002", 2)]
    assert len(agency.requests) == 2


async def test_a_total_that_is_never_reached(take, rows, moving):
    """Is partial after two walks that agree, with the pools."""
    moving.tells_total = True
    moving.places["a"].pools = [pool("p", "+12120000001")]
    moving.hidden = 3
    summary = await take(moving, ["a"])
    assert summary.coverage == {Coverage.PARTIAL: 1}
    assert rows("SELECT numbers, pools FROM locations") == [(2_500, 1)]
    assert moving.requests.count(("a", 0)) == 2


async def test_disconnected_after_pages(take, rows, moving):
    """Is partial: the pages before the 404 count."""

    def on_page(_, page):
        if page == 1:
            moving.errors["a"] = 404

    moving.on_page = on_page
    summary = await take(moving, ["a"])
    assert summary.coverage == {Coverage.PARTIAL: 1}
    ((coverage, reason, numbers),) = rows("SELECT coverage, reason, numbers FROM locations")
    assert (coverage, numbers) == ("partial", 1_000)
    assert "not connected" in reason


async def test_disconnected_at_once(take, rows, moving):
    """Is not connected if the first response is that error."""
    moving.errors["a"] = 404
    summary = await take(moving, ["a"])
    assert summary.coverage == {Coverage.NOT_CONNECTED: 1}
    assert summary.is_complete


@pytest.mark.parametrize("status", ["suspended", "closed"])
async def test_an_error_that_tells_the_account_status(take, rows, agency, status):
    """Keeps the status of an account whose every call ends in 500, and stops no other location."""
    told = {"msg": "Account is not active", "accountStatus": status}
    places = [f"bad{n}" for n in range(30)]
    agency.errors |= dict.fromkeys(places, 500)
    agency.bodies |= dict.fromkeys(places, told)
    agency.places["good"] = Place(listed(1))
    summary = await take(agency, [*places, "good"])
    assert summary.error is None
    assert summary.coverage == {Coverage.COMPLETE: 1, Coverage.FAILED: 30}
    assert rows("SELECT DISTINCT account_status FROM locations WHERE coverage = 'failed'") == [
        (status,)
    ]


async def test_pools_that_tell_the_account_status(take, rows, agency):
    """Keeps the status even if only the pools state it."""
    agency.places["a"] = Place(listed(1))
    agency.pool_errors["a"] = 500
    agency.pool_bodies["a"] = {"msg": "no", "accountStatus": "suspended"}
    await take(agency, ["a"])
    assert rows("SELECT coverage, account_status, numbers FROM locations") == [
        ("partial", "suspended", 1)
    ]


async def test_an_error_within_a_200(take, rows, agency):
    """Fails the location; the list is not empty."""
    agency.errors["a"] = 200
    agency.bodies["a"] = {"status": "error", "message": "broken", "numbers": [], "data": []}
    summary = await take(agency, ["a"])
    assert summary.coverage == {Coverage.FAILED: 1}
    assert "broken" in summary.incomplete[0].reason


@pytest.mark.parametrize("body", [{"error": "broken", "numbers": []}, {"errors": ["broken"]}])
async def test_a_200_with_only_an_error(take, agency, body):
    """Fails the location, as `status: error` does."""
    agency.errors["a"] = 200
    agency.bodies["a"] = body
    summary = await take(agency, ["a"])
    assert summary.coverage == {Coverage.FAILED: 1}
    assert "broken" in summary.incomplete[0].reason


async def test_a_200_with_an_account_status_and_no_list(take, rows, agency):
    """Keeps the account status, as of a 500."""
    agency.errors["a"] = 200
    agency.bodies["a"] = {"msg": "Account is not active", "accountStatus": "suspended"}
    await take(agency, ["a"])
    assert rows("SELECT coverage, account_status FROM locations") == [("failed", "suspended")]


@pytest.mark.exhaustive
async def test_a_worse_partial(take, rows, agency):
    """Replaces no better one when the run is resumed; the reason kept is the newest."""
    agency.places["a"] = Place(listed(3_500), [pool("p", "+12120000001")], senders=SENDERS)
    fails_at = 2

    def on_page(_, page):
        agency.errors.pop("a", None)
        if page == fails_at:
            agency.errors["a"] = 403

    agency.on_page = on_page
    await take(agency, ["a"])
    agency.errors.clear()
    fails_at, agency.pool_errors["a"] = 1, 400
    await take(agency, None, resume=True)
    query = "SELECT coverage, numbers, pools, rcs_sender_ids FROM locations"
    assert rows(query) == [("partial", 2_000, 1, 1)]
    agency.errors["a"] = 500
    agency.bodies["a"] = {"msg": "gone", "accountStatus": "suspended"}
    agency.on_page = lambda *_: None
    await take(agency, None, resume=True)
    assert rows(query) == [("partial", 2_000, 1, 1)]
    ((reason, status),) = rows("SELECT reason, account_status FROM locations")
    assert "500" in reason
    assert status == "suspended"
    assert rows("SELECT count(*) FROM numbers") == [(2_000,)]
    assert rows("SELECT count(*) FROM pools") == [(1,)]
    fails_at = 3
    agency.errors.clear()
    agency.pool_errors.clear()
    agency.on_page = on_page
    await take(agency, None, resume=True)
    assert rows(query) == [("partial", 3_000, 1, 1)]
