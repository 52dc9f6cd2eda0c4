"""A service that refuses every new token is not asked for one after the other."""

import pytest
from attrs import evolve

from lcphone_async import AgencyTokens, AuthenticationError
from lcphone_async.auth import MemoryTokenStore
from lcphone_async.sandbox import Fault
from support.oauth_app import COMPANY, HOUR

REFUSAL = Fault(
    operation="pools",
    point="before",
    status=401,
    body='{"message": "Invalid token: access token is invalid"}',
)

# In 3,000 s: the first two, then after 1, 2, 4, … 256 s (511 s in all), then every 300 s.
MOST = 2 + 9 + (3000 - 511) // 300


@pytest.fixture
def refusing(v3):
    """An app none of whose tokens are taken."""
    v3.sandbox.faults.append(REFUSAL)
    return v3


async def call_for(seconds, clock, *clients, step=1.0):
    """Calls of each client, every `step` seconds, all of which are refused."""
    end = clock.now + seconds
    while clock.now < end:
        for client in clients:
            with pytest.raises(AuthenticationError, match="Invalid token"):
                await client.number_pools("loc1")
        clock.now += step


@pytest.mark.parametrize("step", [3.0, 20.0])
async def test_the_waits_grow(refusing, clock, step):
    """Refreshes more and more seldom, however often it is called."""
    async with refusing.client(refusing.tokens()) as client:
        await call_for(3000, clock, client, step=step)
    assert 10 <= len(refusing.outcomes()) <= MOST


@pytest.mark.exhaustive
async def test_sources_that_share_a_store(refusing, clock):
    """Counts the refusals of all, so that three ask no more often than one."""
    grant, store = refusing.oauth.install("loc1"), MemoryTokenStore()
    clients = [refusing.client(refusing.tokens(grant, store=store)) for _ in range(3)]
    await call_for(3000, clock, *clients, step=5.0)
    for client in clients:
        await client.close()
    assert 10 <= len(refusing.outcomes()) <= MOST


async def test_programs_that_are_started_again_and_again(refusing, clock):
    """Goes on counting in the next program, which knows no more than what is in the store."""
    grant, store = refusing.oauth.install("loc1"), MemoryTokenStore()
    for _ in range(100):
        async with refusing.client(refusing.tokens(grant, store=store)) as client:
            await call_for(1, clock, client, step=30.0)
    assert 10 <= len(refusing.outcomes()) <= MOST


async def test_an_agency_s_locations(refusing, clock):
    """Asks for a location's token more and more seldom, and the agency's own is good."""
    source = refusing.tokens(refusing.oauth.install())
    async with refusing.client(AgencyTokens(company_id=COMPANY, source=source)) as client:
        await call_for(3000, clock, client, step=5.0)
    assert 10 <= refusing.asked("/oauth/location-token") <= MOST
    assert refusing.outcomes() == ["issued"]


async def test_a_service_that_takes_tokens_again(refusing, clock):
    """Uses the token that it has at once, and renews one that is revoked later without a wait."""
    source = refusing.tokens(access_token="one-of-nobody")
    async with refusing.client(source) as client:
        await call_for(600, clock, client, step=5.0)
        sent = len(refusing.outcomes())
        refusing.sandbox.faults.clear()
        await client.number_pools("loc1")
        assert len(refusing.outcomes()) == sent
        clock.now += 300
        refusing.oauth.revoke(await source.token("loc1"))
        await client.number_pools("loc1")
    assert refusing.outcomes() == ["issued"] * (sent + 1)


async def test_a_token_that_was_good_for_an_hour(v3, clock):
    """Begins with the shortest wait again."""
    v3.oauth.settings = evolve(v3.oauth.settings, expires_in=100 * HOUR)
    source = v3.tokens()
    async with v3.client(source) as client:
        await client.number_pools("loc1")
        for _ in range(20):
            clock.now += HOUR
            v3.oauth.revoke(await source.token("loc1"))
            await client.number_pools("loc1")
            clock.now += 1
            v3.oauth.revoke(await source.token("loc1"))
            await client.number_pools("loc1")
    assert v3.outcomes() == ["issued"] * 41


@pytest.mark.parametrize("ahead", [-60.0, 60.0])
async def test_another_machine_s_clock(refusing, clock, ahead):
    """Asks not much more often where two machines that share a store tell different times."""
    grant, store = refusing.oauth.install("loc1"), MemoryTokenStore()
    first, second = (refusing.client(refusing.tokens(grant, store=store)) for _ in range(2))
    async with first, second:
        for _ in range(100):
            await call_for(0.5, clock, first)
            clock.now += ahead
            await call_for(0.5, clock, second)
            clock.now -= ahead
    assert len(refusing.outcomes()) <= 12
