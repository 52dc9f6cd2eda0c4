"""The client's calls over every variant of the wire that the sandbox has, under both contracts.

Results are compared with the sandbox's own state, which no variant changes.
"""

from contextlib import asynccontextmanager

import pytest

from lcphone_async import (
    LCPhoneClient,
    NumberUnavailableError,
    RateLimitedError,
    RepeatedPageError,
    RetryPolicy,
    ServerError,
)
from lcphone_async.sandbox import Fault, Sandbox
from lcphone_async.sandbox.wire.profiles import PROFILES

CONTRACTS = ("v3", "2021-07-28")
LOCATION = "loc1"
NAMES = [profile.name for profile in PROFILES]

every_profile = pytest.mark.parametrize("profile", [(), *NAMES], ids=str)
pytestmark = pytest.mark.parametrize("contract", CONTRACTS)


@asynccontextmanager
async def service(profile, contract, **options):
    """A sandbox with these variants, and a client of it."""
    retry = RetryPolicy(max_tries=1, confirm_timeout=5)
    async with (
        Sandbox(profile=profile, **options) as sandbox,
        LCPhoneClient("any", base_url=sandbox.url, api_version=contract, retry=retry) as client,
    ):
        yield sandbox, client


def listed(sandbox):
    return [number.phone_number for number in sandbox.location(LOCATION).numbers]


async def walked(client, **options):
    numbers = client.active_numbers(LOCATION, skip_number_pool=False, **options)
    return [number async for number in numbers]


@pytest.mark.sample(40)
@every_profile
@pytest.mark.parametrize("page_size", [7, 40, 1000])
async def test_a_walk_yields_every_number_once(profile, contract, page_size):
    """Every number of the location, once, in the service's order."""
    async with service(profile, contract) as (sandbox, client):
        is_stuck = profile == "ignored-pages" and page_size < 120
        # Without a total, a repeated full page does not show that it is the last.
        is_unclear = profile == "clamped-pages" and contract != "v3" and 120 % page_size == 0
        if is_stuck or is_unclear:
            with pytest.raises(RepeatedPageError):
                await walked(client, page_size=page_size)
            return
        numbers = await walked(client, page_size=page_size)
        assert [number.phone_number for number in numbers] == listed(sandbox)


@every_profile
async def test_a_number_equals_the_sandbox_s(profile, contract):
    """A number has the sandbox's values, as far as the variant includes them."""
    async with service(profile, contract) as (sandbox, client):
        for number, true in zip(
            await walked(client), sandbox.location(LOCATION).numbers, strict=True
        ):
            assert number.country_code == true.country_code
            assert number.capabilities.sms == true.capabilities.sms
            assert number.linked_user == (true.linked_user or None)
            assert number.friendly_name == true.friendly_name
            assert number.linked_ring_all_users == true.linked_ring_all_users
            if profile != "new-types":
                assert number.type.replace("toll-free", "tollFree") == true.type.replace(
                    "toll-free", "tollFree"
                )
            else:
                assert number.type == "shared-cost"
                assert number.extra["carrier"]["name"] == "Carrier"
            if profile in ("date-created", "no-dates"):
                assert number.date_added in (None, true.date_added)
            else:
                assert number.date_added == true.date_added


@every_profile
async def test_one_page(profile, contract):
    """A page by its number, and an empty list, decode."""
    async with service(profile, contract) as (sandbox, client):
        page = await client.active_numbers_page(LOCATION, page_size=10, skip_number_pool=False)
        assert [number.phone_number for number in page.numbers] == listed(sandbox)[:10]
        assert page.page == 0
        nothing = await client.active_numbers_page(LOCATION, search_filter="+999")
        assert nothing.numbers == ()
        assert [number async for number in client.active_numbers("loc2", search_filter="x")] == []


@every_profile
async def test_searches(profile, contract):
    """Searches return matching numbers, in several countries at once."""
    async with service(profile, contract) as (_, client):
        found = await client.search_available(LOCATION, "US", first_part="830", sms_enabled=True)
        assert len(found.numbers) == 30
        assert found.fingerprint_id
        assert all(number.phone_number.startswith("+1830") for number in found.numbers)
        assert all((number.price is None) == (profile == "no-prices") for number in found.numbers)
        without_types = await client.search_available(LOCATION, "US", number_types=None)
        assert bool(without_types.numbers) == (profile == "default-number-types")
        countries = {
            search.country_code: len(search.result.numbers)
            async for search in client.search_countries(LOCATION, ["US", "GB"])
        }
        assert countries == {"US": 30, "GB": 30}


@every_profile
async def test_pools(profile, contract):
    """Pools are returned with their numbers."""
    async with service(profile, contract) as (sandbox, client):
        location = sandbox.location(LOCATION)
        pools = await client.number_pools(LOCATION)
        assert [pool.id for pool in pools] == [pool.id for pool in location.pools]
        assert [[number.phone_number for number in pool.numbers] for pool in pools] == [
            [number.phone_number for number in location.pool_numbers(pool)]
            for pool in location.pools
        ]


@every_profile
async def test_a_purchase(profile, contract):
    """A number is bought once, is listed afterwards, and is unavailable to the next purchase."""
    async with service(profile, contract) as (sandbox, client):
        found = await client.search_available(LOCATION, "US")
        number = found.numbers[0]
        bought = await client.purchase(LOCATION, number, fingerprint_id=found.fingerprint_id)
        assert bought.number == number.phone_number
        assert bought.location_id == LOCATION
        page = await client.active_numbers_page(LOCATION, search_filter=number.phone_number)
        assert [owned.phone_number for owned in page.numbers] == [number.phone_number]
        with pytest.raises(NumberUnavailableError):
            await client.purchase("loc2", number)
        assert [entry.phone_number for entry in sandbox.ledger] == [number.phone_number]


@every_profile
async def test_a_purchase_with_a_lost_response_is_confirmed(profile, contract):
    """The list confirms a purchase whose response was lost."""
    fault = Fault(operation="purchase", point="after", damage="reset")
    async with service(profile, contract, faults=[fault]) as (sandbox, client):
        number = (await client.search_available(LOCATION, "US")).numbers[0]
        bought = await client.purchase(LOCATION, number)
        assert bought.confirmed_by == "read-back"
        assert len(sandbox.ledger) == 1


@every_profile
async def test_refusals(profile, contract):
    """Each status raises its error class, with the service's message."""
    faults = [Fault(operation="pools", status=500), Fault(operation="available", status=429)]
    async with service(profile, contract, faults=faults) as (_, client):
        with pytest.raises(ServerError, match=r"Internal server error|Internal Server Error"):
            await client.number_pools(LOCATION)
        with pytest.raises(RateLimitedError, match="Too Many Requests") as caught:
            await client.search_available(LOCATION, "US")
        assert caught.value.retry_after == (1 if profile == "retry-after" else 10)


async def test_variants_combine(contract):
    """Several variants that do not exclude each other are active at once."""
    names = ["phone-numbers", "rfc2822-dates", "no-total", "absent-empty", "message-list"]
    async with service(names, contract) as (sandbox, client):
        assert [number.phone_number for number in await walked(client)] == listed(sandbox)
