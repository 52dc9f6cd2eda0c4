"""The walk: every number of every location, and how far each was seen."""

import asyncio

import attrs
import pytest

from lcphone_async import ActiveNumber, LCPhoneClient, Location, NumberPool, RateLimiter
from lcphone_async.audit import Coverage, audit, tables
from lcphone_async.sandbox import Fault, Sandbox
from support.agency import Place, number, pool


@pytest.mark.exhaustive
async def test_every_number_once(take, rows):
    """Has every number of every location exactly once, those in pools included."""
    async with Sandbox(numbers_per_location=1_203) as sandbox:
        ids = [f"loc{i}" for i in range(7)]
        summary = await take(sandbox, ids)
        there = {(i, n.phone_number) for i in ids for n in sandbox.location(i).numbers}
        pooled = {
            (i, n.phone_number)
            for i in ids
            for p in sandbox.location(i).pools
            for n in sandbox.location(i).pool_numbers(p)
        }
    found = rows("SELECT location_id, phone_number FROM numbers")
    assert len(found) == len(there) == summary.numbers
    assert set(found) == there
    assert set(rows("SELECT location_id, phone_number FROM pool_numbers")) == pooled
    assert summary.coverage == {Coverage.COMPLETE: 7}
    assert summary.is_complete


async def test_fields_come_back_as_they_were(take, rows, agency):
    """Keeps every field of a number under its Python name, and other keys in `extra`."""
    agency.places["a"] = Place(
        [
            number(
                "+12125550001",
                friendlyName="Café <b>\u202e\u0000 𝄞",
                linkedRingAllUsers=["u1", "u2"],
                inboundCallService={"type": "ivr", "value": {"flow": 7}, "since": "x"},
                newField={"b": [1, 2], "a": None},
                type="toll-free",
            )
        ],
        status="suspended",
        senders=[{"number": "rcs-1", "friendlyName": "Brand", "rcsMeta": {"brandId": "b"}}],
    )
    await take(agency, ["a"])
    ((*values, extra),) = rows(
        "SELECT friendly_name, sid, country_code, capabilities, type, is_default_number,"
        " linked_user, linked_ring_all_users, inbound_call_service, forwarding_number,"
        " strftime(date_added, '%Y-%m-%d %H:%M:%S'), origin, extra FROM numbers"
    )
    assert values == [
        "Café <b>\u202e\u0000 𝄞",
        "PN+12125550001",
        "US",
        {"voice": True, "sms": True, "mms": True, "fax": False},
        "tollFree",
        False,
        "user-1",
        ["u1", "u2"],
        {"type": "ivr", "value": '{"flow": 7}'},
        None,
        "2026-02-23 22:00:52",
        "twilio",
    ]
    assert extra == '{"inboundCallService": {"since": "x"}, "newField": {"a": null, "b": [1, 2]}}'
    assert rows("SELECT account_status, is_under_lc, numbers FROM locations") == [
        ("suspended", True, 1)
    ]
    assert rows("SELECT number, friendly_name, rcs_meta FROM rcs_sender_ids") == [
        ("rcs-1", "Brand", '{"brandId": "b"}')
    ]


def test_every_field_of_a_model_has_a_column():
    """Fails when a model has a field that the store would lose."""
    assert {f.name for f in attrs.fields(ActiveNumber)} <= set(tables.NUMBERS.names)
    own = {f.name for f in attrs.fields(NumberPool)} - {"id", "numbers"}
    assert own | {"pool_id"} <= set(tables.POOLS.names)


async def test_pools_are_asked_for(take, agency):
    """Asks the service not to leave out the numbers in pools, which it does by itself."""
    agency.places["a"] = Place([number("+12125550001")])
    await take(agency, ["a"])
    assert agency.skipped_pools == ["false"]


async def test_a_bad_location_stops_no_other(take, rows, agency):
    """Records the coverage and error of each location, and continues with the others."""
    good = Place([number("+12125550001")], [pool("p", "+12125550001")])
    agency.places |= {"good": good, "empty": Place()}
    agency.errors |= {"off": 404, "forbidden": 403, "down": 503, "refused": 401}
    order = ["down", "off", "forbidden", "refused", "..", "empty", "good"]
    summary = await take(agency, order, concurrency=2)
    found = {
        place: (state, why)
        for place, state, why in rows(
            "SELECT location_id, coverage, coalesce(reason, '') FROM locations"
        )
    }
    assert {place: state for place, (state, _) in found.items()} == {
        "good": "complete",
        "empty": "complete",
        "off": "not connected",
        "forbidden": "failed",
        "down": "failed",
        "refused": "failed",
        "..": "failed",
    }
    assert "403" in found["forbidden"][1]
    assert "503" in found["down"][1]
    assert "location_id" in found[".."][1]
    assert summary.coverage == {
        Coverage.COMPLETE: 2,
        Coverage.FAILED: 4,
        Coverage.NOT_CONNECTED: 1,
    }
    assert not summary.is_complete
    assert [one.location_id for one in summary.incomplete] == ["down", "forbidden", "refused", ".."]


async def test_what_came_before_a_failure_is_partial(take, rows):
    """Keeps the pages before a failed page, as partial, with the reason."""
    gone = [Fault(operation="active", location="a", nth=n, status=404) for n in range(3, 99)]
    async with Sandbox(numbers_per_location=4_500, faults=gone) as sandbox:
        await take(sandbox, ["a", "b"])
    (a, b) = rows("SELECT coverage, numbers, reason FROM locations ORDER BY location_id")
    assert a[0] == "partial"
    assert 0 < a[1] < 4_500
    assert "404" in a[2]
    assert b == ("complete", 4_500, None)
    assert rows("SELECT count(*) FROM numbers WHERE location_id = 'a'") == [(a[1],)]


async def test_numbers_without_their_pools_are_partial(take, rows):
    """Counts a location as partial whose pools could not be read."""
    async with Sandbox(faults=[Fault(operation="pools", status=400)]) as sandbox:
        await take(sandbox, ["a"])
    ((state, numbers, reason),) = rows("SELECT coverage, numbers, reason FROM locations")
    assert (state, numbers) == ("partial", 120)
    assert "number-pools" in reason


async def test_a_garbled_answer_is_asked_for_again(take, rows):
    """Walks a location again whose answer was garbled on its way."""
    garbled = Fault(operation="active", damage="corrupted", point="after", times=2)
    async with Sandbox(faults=[garbled]) as sandbox:
        await take(sandbox, ["a"])
    assert rows("SELECT coverage, numbers FROM locations") == [("complete", 120)]
    assert rows("SELECT count(*), count(DISTINCT phone_number) FROM numbers") == [(120, 120)]


@pytest.mark.exhaustive
async def test_side_by_side_with_a_bound(store):
    """Walks at most `concurrency` locations at a time."""
    under_way, most = 0, 0

    class Counting(LCPhoneClient):
        async def number_pools(self, location_id):
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.01)
            under_way -= 1
            return await super().number_pools(location_id)

    async with (
        Sandbox(numbers_per_location=3) as sandbox,
        Counting("t", base_url=sandbox.url) as client,
    ):
        await audit(client, map(str, range(40)), store, concurrency=5)
    assert most == 5


async def test_a_bound_beyond_all_locations(take):
    """Makes no more tasks than there are locations to visit, however many it may have."""
    tasks = []

    async with Sandbox() as sandbox:
        idle = len(asyncio.all_tasks())
        summary = await take(
            sandbox,
            ["a", "b"],
            concurrency=1_000,
            on_progress=lambda _: tasks.append(len(asyncio.all_tasks()) - idle),
        )
    assert summary.is_complete
    assert max(tasks) < 50


async def test_each_location_has_its_own_budget(take, rows):
    """Visits many locations at once although each allows two requests in a long time."""
    async with Sandbox(max_requests=2, period=60) as sandbox:
        await take(sandbox, map(str, range(30)), limiter=RateLimiter(2, 60))
        assert {request.status for request in sandbox.requests} == {200}
    assert rows("SELECT count(*) FROM locations WHERE coverage = 'complete'") == [(30,)]


@pytest.mark.exhaustive
async def test_progress_is_told(take):
    """Reports the done locations, the numbers received, and errors during the audit."""
    told = []
    faults = [Fault(location="b", status=403), Fault(location="c", delay=0.5)]
    async with Sandbox(faults=faults) as sandbox:
        await take(sandbox, ["a", "b", "c"], on_progress=lambda now: told.append(attrs.evolve(now)))
    assert (told[-1].locations, told[-1].done) == (3, 3)
    assert (told[-1].numbers, told[-1].errors) == (240, 1)
    assert [now.done for now in told] == sorted(now.done for now in told)
    assert told[0].seconds_left is None
    assert told[-1].seconds_left == 0
    assert told[-1].rate > 0


async def test_locations_come_from_anywhere(take, rows):
    """Takes ids and locations, listed or streamed, each once, in their order."""

    async def streamed():
        for location in (Location("b", "Bakery"), "a", Location("b", "again")):
            yield location

    async with Sandbox(numbers_per_location=1) as sandbox:
        await take(sandbox, streamed())
    assert rows("SELECT location_id, location_name FROM locations ORDER BY position") == [
        ("b", "Bakery"),
        ("a", None),
    ]


async def test_a_listed_location_that_is_none(take):
    """Notes a location whose id cannot be one as failed, and visits the others."""

    async def listed():
        for one in ("a", " ", "", "b\0", "x" * 9_000, ".."):
            yield Location(one)

    async with Sandbox() as sandbox:
        summary = await take(sandbox, listed())
    assert summary.coverage == {Coverage.COMPLETE: 1, Coverage.FAILED: 5}
    assert [place.location_id for place in summary.incomplete][:3] == [" ", "", "b\0"]
    assert all("location_id" in place.reason for place in summary.incomplete)


@pytest.mark.parametrize(
    ("locations", "error"),
    [("abc", TypeError), ([1], TypeError), ([], ValueError), (None, ValueError)],
)
async def test_locations_that_are_none(take, locations, error, store):
    """Refuses a bad list of locations, and creates no file."""
    with pytest.raises(error):
        await take(_Nowhere(), locations)
    assert not store.exists()


class _Nowhere:
    url = "http://127.0.0.1:9"


async def test_numbers_that_were_not_seen_are_not_none(take, agency, rows):
    """Has NULL numbers for a list that failed, and 0 for an empty list."""
    agency.places = {"empty": Place(), "failed": Place([number("+12125550001")])}
    agency.errors = {"failed": 403}
    await take(agency, [*agency.places])
    query = "SELECT location_id, numbers FROM locations ORDER BY position"
    assert rows(query) == [("empty", 0), ("failed", None)]
    await take(agency, [*agency.places], resume=True)
    assert rows(query) == [("empty", 0), ("failed", None)]
