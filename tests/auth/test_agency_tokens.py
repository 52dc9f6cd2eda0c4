"""An agency's token becomes one for each location, once, and as long as it is good."""

import asyncio

import pytest

from lcphone_async import AgencyTokens, AuthenticationError, LCPhoneClient, TokenUnavailableError
from lcphone_async.sandbox import Fault, Sandbox, TokenSettings
from support.oauth_app import COMPANY, HOUR, settings


def agency(app, source=None, **options):
    source = source or app.tokens(app.oauth.install())
    return AgencyTokens(company_id=COMPANY, source=source, **options)


def asked_for(app):
    """The locations whose tokens were asked for, in order."""
    return [e.location_id for e in app.oauth.ledger if e.grant_type == "location"]


async def test_each_location_has_its_own_token(app):
    """Turns the agency's token into a location's once, however many tasks call it."""
    async with app.client(agency(app)) as client:
        places = [f"place{number}" for number in range(20)] * 5
        await asyncio.gather(*(client.number_pools(place) for place in places))
    assert sorted(asked_for(app)) == sorted(set(places))
    assert app.outcomes() == ["issued"]


async def test_a_location_s_token_is_renewed_when_it_expires(app, clock):
    """Asks for a location's token again shortly before it expires, and for no other's."""
    async with app.client(agency(app)) as client:
        await client.number_pools("place1")
        clock.now += HOUR - 240
        await client.number_pools("place1")
        clock.now += 100
        await client.number_pools("place1")
    assert asked_for(app) == ["place1", "place1"]


async def test_a_refused_location_token(app):
    """Asks for another where a location's token is called invalid, and makes the call again."""
    source = agency(app)
    async with app.client(source) as client:
        await client.number_pools("place1")
        token = await source.token("place1")
        app.oauth.revoke(token)
        await asyncio.gather(*(client.number_pools("place1") for _ in range(20)))
    assert asked_for(app) == ["place1", "place1"]


async def test_a_service_that_takes_no_location_token(v3):
    """Asks for another once, and not again at once for the next call."""
    v3.sandbox.faults.append(
        Fault(
            operation="pools",
            point="before",
            status=401,
            body='{"message": "Invalid token: access token is invalid"}',
        )
    )
    async with v3.client(agency(v3)) as client:
        for _ in range(3):
            with pytest.raises(AuthenticationError):
                await client.number_pools("place1")
    assert asked_for(v3) == ["place1", "place1"]


async def test_a_refused_agency_token(app):
    """Renews the agency's own token, once, where it is called invalid."""
    grant = app.oauth.install()
    app.oauth.revoke(grant.access_token)
    source = app.tokens(grant, access_token=grant.access_token)
    async with app.client(agency(app, source)) as client:
        places = [f"place{number}" for number in range(20)]
        await asyncio.gather(*(client.number_pools(place) for place in places))
    assert sorted(asked_for(app)) == sorted(places)
    assert app.outcomes() == ["issued"]


async def test_a_static_agency_token(contract):
    """Takes any token source for the agency's own token, a string too."""
    tokens = {"pit-agency-token": TokenSettings(kind="agency")}
    app = settings(locations=["loc1"])
    async with Sandbox(tokens=tokens, oauth_app=app) as sandbox:
        source = AgencyTokens(company_id=COMPANY, source="pit-agency-token")
        options = {"base_url": sandbox.url, "api_version": contract}
        async with LCPhoneClient(source, **options) as client:
            await client.number_pools("loc1")


async def test_memory_is_bounded(v3):
    """Keeps the tokens of so many locations, those that were used last."""
    async with v3.client(agency(v3, max_locations=2)) as client:
        for place in ("place1", "place2", "place1", "place3", "place1", "place2"):
            await client.number_pools(place)
    assert asked_for(v3) == ["place1", "place2", "place3", "place2"]


async def test_one_location_fails_and_the_others_go_on(v3):
    """Raises a location's refusal for that location only, and asks again after the pause."""
    v3.oauth.suspended.add("place1")
    async with v3.client(agency(v3, failure_cooldown=0.1)) as client:
        calls = (client.number_pools("place1") for _ in range(10))
        for failure in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(failure, TokenUnavailableError)
            assert failure.status == 400
            assert "Location is not active" in str(failure)
        await client.number_pools("place2")
        assert asked_for(v3) == ["place1", "place2"]
        v3.oauth.suspended.clear()
        await asyncio.sleep(0.15)
        await client.number_pools("place1")


async def test_a_location_of_another_agency(app):
    """Raises `TokenUnavailableError` for a location where the app is not installed."""
    async with app.client(agency(app)) as client:
        with pytest.raises(TokenUnavailableError, match=r"location-?[tT]oken: 400"):
            await client.number_pools("elsewhere")


async def test_the_agency_s_own_failure(v3):
    """Raises the failure of the agency's own source as it is."""
    v3.sandbox.faults.append(Fault(operation="token", point="before", status=400))
    async with v3.client(agency(v3)) as client:
        with pytest.raises(TokenUnavailableError, match=r"/oauth/token: 400") as caught:
            await client.number_pools("place1")
    assert str(caught.value).count("no token for this call") == 1


async def test_a_location_s_token_may_be_asked_for_again(v3):
    """Tries again where an answer is lost: a location's token replaces no other."""
    fault = Fault(operation="location-token", point="after", damage="reset", times=2)
    v3.sandbox.faults.append(fault)
    async with v3.client(agency(v3)) as client:
        await client.number_pools("place1")
    assert asked_for(v3) == ["place1"] * 3


async def test_a_client_that_is_closed_fails_no_other(v3):
    """Asks anew for a client that is open, where the one that asked first is closed."""
    source = agency(v3)
    async with v3.client(source) as first:
        second = v3.client(source)
        await first.number_pools("place1")
        v3.sandbox.faults.append(Fault(operation="location-token", point="before", delay=0.2))
        call = asyncio.create_task(first.number_pools("place2"))
        await asyncio.sleep(0.05)
        await second.close()
        await call
    assert set(asked_for(v3)) == {"place1", "place2"}


async def test_asking_counts_in_the_agency_s_budget(v3):
    """Takes a slot of the agency's own for each location's token."""
    async with v3.client(agency(v3)) as client:
        await client.number_pools("place1")
        assert client.rate_limit(COMPANY).remaining == 9_999


async def test_an_agency_inside_a_source_of_a_user_s_own(v3):
    """Works behind a source that hands on `bind`, and asks with the agency's own token."""

    class Own:
        def __init__(self):
            self.agencies = {"place1": agency(v3), "place2": agency(v3)}

        async def token(self, location_id):
            return await self.agencies[location_id].token(location_id)

        def bind(self, service):
            for each in self.agencies.values():
                each.bind(service)

    async with v3.client(Own()) as client:
        await client.number_pools("place1")
        await client.number_pools("place2")
    assert asked_for(v3) == ["place1", "place2"]
    assert v3.outcomes() == ["issued", "issued"]


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("company_id", " ", ValueError),
        ("source", b"pit-", TypeError),
        ("max_locations", 0, ValueError),
        ("failure_cooldown", "1", TypeError),
    ],
)
def test_refuses_what_it_cannot_use(argument, value, error):
    """Raises `TypeError` or `ValueError` from the constructor."""
    with pytest.raises(error):
        AgencyTokens(**{"company_id": "c", "source": "pit-", argument: value})
