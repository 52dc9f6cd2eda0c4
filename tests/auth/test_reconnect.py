"""A refresh token that is refused: the installation is reconnected, if the service still can."""

import json

import pytest
from attrs import evolve

from lcphone_async import AgencyTokens, AuthorizationLostError
from lcphone_async.auth import MemoryTokenStore
from lcphone_async.sandbox import Fault
from support.oauth_app import COMPANY, HOUR


async def lose(app, clock, source, location_id="loc1"):
    """Lets the installation of a source end after a first call."""
    async with app.client(source) as client:
        await client.number_pools(location_id)
    clock.now += HOUR
    for held in app.oauth._refreshes.values():
        held.installation.is_alive = False


@pytest.fixture
def reconnecting(app):
    """An app of a service that reconnects a lost installation."""
    app.oauth.settings = evolve(app.oauth.settings, reconnects=True)
    return app


async def test_a_service_that_reconnects(reconnecting, clock):
    """Gets new tokens for the location, and keeps them for the next program."""
    store = MemoryTokenStore()
    source = reconnecting.tokens(store=store)
    await lose(reconnecting, clock, source)
    for each in (source, reconnecting.tokens(refresh_token=None, store=store)):
        async with reconnecting.client(each) as client:
            await client.number_pools("loc1")
    assert reconnecting.asked("/oauth/reconnect") == 1
    assert reconnecting.outcomes("authorization_code") == ["issued"]


async def test_the_installation_of_an_agency(reconnecting, clock):
    """Gets new tokens for the agency."""
    app = reconnecting.tokens(reconnecting.oauth.install())
    source = AgencyTokens(company_id=COMPANY, source=app)
    await lose(reconnecting, clock, source)
    async with reconnecting.client(source) as client:
        await client.number_pools("loc1")
    assert reconnecting.asked("/oauth/reconnect") == 1


async def test_a_service_that_does_not(app, clock):
    """Tries it once, and says to authorize the app again."""
    source = app.tokens(failure_cooldown=0.001)
    await lose(app, clock, source)
    async with app.client(source) as client:
        for _ in range(3):
            with pytest.raises(AuthorizationLostError, match="authorize the app again"):
                await client.number_pools("loc1")
    assert app.asked("/oauth/reconnect") == 1
    assert app.asked() == 2


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404},
        {"status": 503},
        {"status": 200, "body": {}},
        {"status": 200, "body": {"authorizationCode": 5}},
        {"status": 200, "body": "<html>"},
        {"damage": "reset"},
    ],
    ids=str,
)
async def test_an_answer_that_is_no_code(v3, clock, answer):
    """Says that the authorization is lost, whatever the endpoint says."""
    v3.oauth.settings = evolve(v3.oauth.settings, reconnects=True)
    source = v3.tokens()
    await lose(v3, clock, source)
    v3.sandbox.faults.append(Fault(operation="reconnect", **answer))
    async with v3.client(source) as client:
        with pytest.raises(AuthorizationLostError, match="refresh token is invalid"):
            await client.number_pools("loc1")
    assert v3.asked("/oauth/reconnect") == 1


async def test_a_code_is_sent_once(v3, clock):
    """Sends no code again whose answer was lost."""
    v3.oauth.settings = evolve(v3.oauth.settings, reconnects=True)
    source = v3.tokens()
    await lose(v3, clock, source)
    v3.sandbox.faults.append(Fault(operation="token", nth=2, point="after", damage="reset"))
    async with v3.client(source) as client:
        with pytest.raises(AuthorizationLostError):
            await client.number_pools("loc1")
    assert v3.outcomes("authorization_code") == ["issued"]


async def test_an_installation_that_is_not_known(v3):
    """Asks for nothing where no answer told whose the refresh token was."""
    v3.oauth.settings = evolve(v3.oauth.settings, reconnects=True)
    grant = v3.oauth.install("loc1")
    v3.oauth.uninstall(grant.refresh_token)
    async with v3.client(v3.tokens(grant)) as client:
        with pytest.raises(AuthorizationLostError):
            await client.number_pools("loc1")
    assert v3.asked("/oauth/reconnect") == 0


async def test_another_process_that_went_ahead(v3, clock):
    """Uses the tokens that another has stored meanwhile, and reconnects nothing."""
    v3.oauth.settings = evolve(v3.oauth.settings, reconnects=True)
    store = MemoryTokenStore()
    source = v3.tokens(store=store)
    await lose(v3, clock, source)
    theirs = v3.oauth.install("loc1")

    async def stored_by_another():
        tokens = {"access_token": theirs.access_token, "refresh_token": theirs.refresh_token}
        store._text = json.dumps(tokens)
        return store._text

    source._store = AnotherAhead(store, stored_by_another)
    async with v3.client(source) as client:
        await client.number_pools("loc1")
    assert v3.asked("/oauth/reconnect") == 0


class AnotherAhead:
    """A store that holds the tokens of another process once the refresh token was refused."""

    def __init__(self, store, happen):
        self.store, self.happen, self.loads = store, happen, 0

    def __getattr__(self, name):
        return getattr(self.store, name)

    async def load(self):
        self.loads += 1
        return await (self.happen() if self.loads > 2 else self.store.load())
