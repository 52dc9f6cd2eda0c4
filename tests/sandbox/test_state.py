"""What a test's author reads and steers, and that it is grown the same every time."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lcphone_async.sandbox import LocationSettings, Sandbox
from lcphone_async.sandbox.inventory.generator import MAX_NUMBERS
from lcphone_async.sandbox.inventory.listing import Remaining
from lcphone_async.sandbox.inventory.plans import PLANS, is_even

SHOW = """
from lcphone_async.sandbox import Sandbox
sandbox = Sandbox(seed=5)
print(sandbox.location("loc1").numbers[7], sandbox.location("loc1").pools[0].id)
"""


def phones(sandbox, location="loc1"):
    return [number.phone_number for number in sandbox.location(location).numbers]


@pytest.mark.exhaustive
def test_the_same_in_every_process():
    """Seed and id decide all, whatever the process's hash seed is."""
    runs = {
        subprocess.run(
            [sys.executable, "-c", SHOW],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
    assert runs != {b""}


def test_seed_and_id_tell_locations_apart():
    """Another id or another seed gives other numbers."""
    assert phones(Sandbox(seed=1)) == phones(Sandbox(seed=1))
    assert not set(phones(Sandbox(seed=1))) & set(phones(Sandbox(seed=2)))
    assert not set(phones(Sandbox())) & set(phones(Sandbox(), "loc2"))


def test_more_numbers_are_the_same_and_more():
    """How many numbers there are does not change those that were there."""
    assert phones(Sandbox(numbers_per_location=300))[:120] == phones(Sandbox())


async def test_a_million_numbers(call):
    """Serves the last page of a million numbers like the first, and none of them twice."""
    async with Sandbox(numbers_per_location=1_000_000) as sandbox:
        caller = call(sandbox)
        first = await caller.page("loc1", pageSize=1000, skipNumberPool="false")
        last = await caller.page("loc1", page=999, pageSize=1000, skipNumberPool="false")
    assert first["total"] == 1_000_000
    assert len(last["numbers"]) == 1000
    grown = {number["phoneNumber"] for page in (first, last) for number in page["numbers"]}
    assert len(grown) == 2000


def test_a_location_can_be_steered():
    """Numbers that are added come last, those that are released are gone."""
    location = Sandbox(numbers_per_location=10).location("loc1")
    before = [number.phone_number for number in location.numbers]
    location.add("+18305551234")
    location.release(before[0])
    location.release(before[5])
    assert [n.phone_number for n in location.numbers] == [
        *before[1:5], *before[6:], "+18305551234",
    ]  # fmt: skip
    location.release("+18305551234")
    assert len(location.numbers) == 8
    for gone in (before[0], "+18305551234", before[1][:-1]):
        with pytest.raises(LookupError):
            location.release(gone)


def test_a_number_of_ones_own_making():
    """A number may be added whole, as the author wants it."""
    location = Sandbox().location("loc1")
    mine = replace(location.numbers[0], phone_number="+15005550006", friendly_name="Mine")
    location.add(mine)
    assert location.numbers[-1] == mine
    with pytest.raises(ValueError, match="of no plan"):
        location.add("12")


async def test_released_numbers_leave_pools(caller, sandbox):
    """A number that is released is in its pool no more."""
    location = sandbox.location("loc1")
    pooled = location.pool_numbers(location.pools[0])[0].phone_number
    location.release(pooled)
    pools = (await caller.pools(locationId="loc1")).body["data"]
    assert pooled not in {number["phoneNumber"] for pool in pools for number in pool["numbers"]}
    assert len((await caller.page("loc1", pageSize=1000, skipNumberPool="false"))["numbers"]) == 119


async def test_account_status_can_be_changed(caller, sandbox):
    """What a test sets on a location is what the service says."""
    sandbox.location("loc1").account_status = "closed"
    assert (await caller.page("loc1"))["accountStatus"] == "closed"


async def test_requests_are_recorded(call, version):
    """The record says method, path, query and status, keeps the last ones, and no token."""
    async with Sandbox(keep_requests=3) as sandbox:
        caller = call(sandbox, version=version, token="pit-secret")
        await caller.active("gone")
        await caller.active("a%2Fb", page="1", searchFilter="+1")
        await caller.purchase("loc1")
        await caller.available("loc1", countryCode="US", numberTypes="local")
        first, second, third = sandbox.requests
    assert (first.method, first.status) == ("GET", 200)
    assert first.path == "/phone-system/numbers/location/a%2Fb"
    assert dict(first.query) == {"page": "1", "searchFilter": "+1"}
    assert (second.method, second.status) == ("POST", 400)
    assert third.query["numberTypes"] == "local"
    assert "pit-secret" not in repr(sandbox.requests)


async def test_refused_requests_are_recorded(session, sandbox):
    """A request that got no further than the door is in the record too."""
    async with session.get(sandbox.url + "/nowhere"):
        pass
    assert [(record.path, record.status) for record in sandbox.requests] == [("/nowhere", 404)]


@pytest.mark.parametrize(
    "options",
    [
        {"numbers_per_location": -1},
        {"numbers_per_location": MAX_NUMBERS + 1},
        {"max_requests": 0},
        {"period": 0},
        {"daily_quota": -1},
        {"keep_requests": -1},
    ],
)
def test_options_that_make_no_sense(options):
    """Refuses them when the sandbox is made."""
    with pytest.raises(ValueError, match="must be"):
        Sandbox(**options)


@pytest.mark.parametrize("options", [{"numbers": -1}, {"numbers": MAX_NUMBERS + 1}, {"pools": -1}])
def test_settings_that_make_no_sense(options):
    """Refuses them when the settings are made."""
    with pytest.raises(ValueError, match="must be"):
        LocationSettings(**options)


def test_options_do_not_change():
    """An option that could no longer take effect cannot be set."""
    with pytest.raises(AttributeError):
        Sandbox().max_requests = 5


@given(st.integers(0, 60), st.sets(st.integers(0, 59)), st.slices(60))
def test_remaining_is_a_range_without_the_excluded(stop, excluded, part):
    """Behaves as the list that it stands for."""
    excluded = sorted(index for index in excluded if index < stop)
    expected = [index for index in range(stop) if index not in excluded]
    remaining = Remaining(stop, excluded)
    assert list(remaining) == expected
    assert list(remaining[part]) == expected[part]
    assert [remaining[k] for k in range(len(expected))] == expected
    assert [remaining[k - len(expected)] for k in range(len(expected))] == expected


@given(
    st.integers(0, 12),
    st.lists(st.sampled_from(["+18305551234", "+12125551236", "+447412345678"]), unique=True),
    st.slices(16),
)
def test_a_listing_is_a_sequence(grown, added, part):
    """A slice of a location's numbers is that slice of all of them."""
    location = Sandbox(numbers_per_location=grown).location("loc1")
    for phone in added:
        location.add(phone)
    everything = list(location.numbers)
    assert len(everything) == len(location.numbers) == grown + len(added)
    assert list(location.numbers[part]) == everything[part]
    assert [location.numbers[k] for k in range(-len(everything), 0)] == everything
    with pytest.raises(IndexError):
        location.numbers[len(everything)]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.country}-{plan.kind}")
def test_plans_grow_their_own_numbers(plan):
    """A plan's inventory numbers are its own, are never in the stock, and do not repeat."""
    ends = (*range(300), *range(plan.capacity - 300, plan.capacity))
    numbers = [plan.inventory_number(position) for position in ends]
    assert len(set(numbers)) == 600
    for number in numbers:
        national = plan.national(number)
        assert national is not None
        assert not is_even(national)


def test_plans_do_not_overlap():
    """A number is of one plan, so its digits tell its country and type."""
    for plan in PLANS:
        number = plan.inventory_number(12345)
        assert [other for other in PLANS if other.national(number)] == [plan]


def test_locations_have_room():
    """The largest location does not exhaust any plan that its numbers are of."""
    location = Sandbox(numbers_per_location=2000).location("loc1")
    mixed = {plan for plan in PLANS for n in location.numbers if plan.national(n.phone_number)}
    assert min(plan.capacity for plan in mixed) >= MAX_NUMBERS
