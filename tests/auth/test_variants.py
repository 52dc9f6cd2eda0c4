"""The token sources work over every variant of the wire that the sandbox knows."""

import pytest

from lcphone_async import AgencyTokens, LCPhoneClient
from lcphone_async.sandbox import Sandbox
from lcphone_async.sandbox.wire.profiles import PROFILES
from support.oauth_app import COMPANY, App, settings


@pytest.mark.sample(42)
@pytest.mark.parametrize("profile", [(), *(profile.name for profile in PROFILES)], ids=str)
async def test_tokens_and_locations(clock, contract, profile):
    """Refreshes, lists the locations and asks for a location's token, whatever the spelling."""
    options = {"oauth_app": settings(), "clock": clock, "profile": profile}
    async with Sandbox(max_requests=10_000, **options) as sandbox:
        app = App(sandbox, contract)
        agency = AgencyTokens(company_id=COMPANY, source=app.tokens(app.oauth.install()))
        async with app.client(agency) as client:
            locations = [each.id async for each in client.locations(COMPANY, "app-1")]
            token = await agency.token("loc1")
        async with LCPhoneClient(token, base_url=sandbox.url, api_version=contract) as client:
            await client.active_numbers_page("loc1")
    assert locations == list(app.oauth.settings.locations)
    assert app.outcomes() == app.outcomes("location") == ["issued"]
