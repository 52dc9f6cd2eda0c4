"""A client's time of day that jumps, while the service's goes on as it did."""

from types import SimpleNamespace

import pytest

from lcphone_async import AgencyTokens
from support.oauth_app import COMPANY, HOUR, Clock

YEARS = 10 * 365 * 24 * HOUR
JUMPS = pytest.mark.parametrize("jump", [HOUR, YEARS, -HOUR, -YEARS])


@pytest.fixture
def ours(monkeypatch, clock):
    """The time of day of the token sources alone."""
    ours = Clock()
    for module in ("agency", "oauth"):
        monkeypatch.setattr(f"lcphone_async.auth.{module}.time", SimpleNamespace(time=ours))
    return ours


@JUMPS
async def test_tokens_live_through_a_clock_that_jumps(v3, ours, clock, jump):
    """Every call gets its answer, and each jump costs a refresh at the most."""
    async with v3.client(v3.tokens()) as client:
        for ahead in (0, jump, 0):
            ours.now = clock.now + ahead
            for _ in range(3):
                await client.number_pools("loc1")
        clock.now += 2 * HOUR  # now the token has expired indeed
        ours.now = clock.now + jump
        await client.number_pools("loc1")
    assert set(v3.outcomes()) == {"issued"}
    assert len(v3.outcomes()) <= 4


@JUMPS
async def test_location_tokens_live_through_a_clock_that_jumps(v3, ours, clock, jump):
    """The same for the tokens of an agency's locations."""
    agency = AgencyTokens(company_id=COMPANY, source=v3.tokens(v3.oauth.install()))
    async with v3.client(agency) as client:
        for ahead in (0, jump, 0):
            ours.now = clock.now + ahead
            for _ in range(3):
                await client.number_pools("place1")
        clock.now += 2 * HOUR
        ours.now = clock.now + jump
        await client.number_pools("place1")
    assert v3.asked("/oauth/location-token") <= 5
