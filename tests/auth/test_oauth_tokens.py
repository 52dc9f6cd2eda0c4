"""An installation's tokens renew themselves, once, and say what is wrong where they cannot."""

import asyncio
import logging
from datetime import UTC, datetime

import aiohttp
import pytest

from lcphone_async import (
    AuthenticationError,
    AuthorizationLostError,
    BadRequestError,
    ClientClosedError,
    LCPhoneClient,
    OAuthTokens,
    RetryPolicy,
    TokenUnavailableError,
    bulk,
)
from lcphone_async.auth import MemoryTokenStore
from lcphone_async.limiter.queue import in_bulk
from lcphone_async.sandbox import Fault, Sandbox, TokenSettings
from support.oauth_app import CLIENT_ID, CLIENT_SECRET, HOUR
from support.raw_server import http_json

ONE_TRY = RetryPolicy(max_tries=1)
INACTIVE = r"400: Location is not active \(no token .* until the agency activates it again\)"
EMPTY = http_json({"numbers": [], "total": 0})


async def test_the_first_call_refreshes(app):
    """Turns a refresh token into an access token at the first call, under both contracts."""
    async with app.client(app.tokens()) as client:
        assert (await client.active_numbers_page("loc1")).numbers
    assert app.outcomes() == ["issued"]


async def test_an_access_token_that_is_given_is_used_first(app):
    """Refreshes nothing while the access token that was given is good."""
    grant = app.oauth.install("loc1")
    source = app.tokens(grant, access_token=grant.access_token)
    async with app.client(source) as client:
        await client.number_pools("loc1")
    assert app.outcomes() == []


@pytest.mark.parametrize("prefetch", [None, 0])
async def test_a_walk_keeps_its_client(app, prefetch):
    """Gets tokens for a walk whose client nobody else holds, as it needs no closing."""
    async with aiohttp.ClientSession() as session:
        client = app.client(app.tokens(), session=session)
        walk = client.active_numbers("loc1", prefetch=prefetch)
        del client
        assert [number async for number in walk]


@pytest.mark.parametrize("as_date", [True, False])
async def test_expires_at(v3, clock, as_date):
    """Takes the moment at which the given access token expires, as a date or as a number."""
    grant = v3.oauth.install("loc1")
    moment = datetime.fromtimestamp(clock.now - 1, UTC) if as_date else clock.now - 1
    source = v3.tokens(grant, access_token=grant.access_token, expires_at=moment)
    async with v3.client(source) as client:
        await client.number_pools("loc1")
    assert v3.outcomes() == ["issued"]


async def test_many_tasks_share_one_refresh(app, clock):
    """Sends one refresh for all tasks that meet an expired token."""
    async with app.client(app.tokens()) as client:
        await client.number_pools("loc1")
        clock.now += HOUR
        await asyncio.gather(*(client.number_pools("loc1") for _ in range(200)))
    assert app.outcomes() == ["issued", "issued"]


async def test_many_tasks_that_are_refused_share_one_refresh(app):
    """Sends one refresh for all tasks whose token is refused, and makes each call again."""
    grant = app.oauth.install("loc1")
    app.oauth.revoke(grant.access_token)
    async with app.client(app.tokens(grant, access_token=grant.access_token)) as client:
        pools = await asyncio.gather(*(client.number_pools("loc1") for _ in range(200)))
    assert len(pools) == 200
    assert app.outcomes() == ["issued"]


async def test_a_refused_purchase_is_made_with_the_new_token(app):
    """Buys once, after a 401 that says that the token is invalid."""
    grant = app.oauth.install("loc1")
    async with app.client(app.tokens(grant, access_token=grant.access_token)) as client:
        found = await client.search_available("loc1", "US")
        app.oauth.revoke(grant.access_token)
        bought = await client.purchase("loc1", found.numbers[0])
    assert [entry.phone_number for entry in app.sandbox.ledger] == [bought.number]


async def test_a_purchase_that_meets_the_401_itself(raw_server):
    """Sends the POST again with the new token where the 401 came to the POST."""
    raw_server.reply(
        http_json({"message": "Invalid token: access token is invalid"}, 401),
        http_json({"accessToken": "new-access", "refreshToken": "r2", "expiresIn": 86399}),
        http_json({"data": {"number": "+18305551234", "id": "7"}}, 201),
    )
    source = OAuthTokens(
        client_id="a", client_secret="b", refresh_token="r1", access_token="old-access"
    )
    async with LCPhoneClient(source, base_url=raw_server.url, retry=ONE_TRY) as client:
        bought = await client.purchase("loc1", "+18305551234")
    assert (bought.number, bought.confirmed_by) == ("+18305551234", "answer")
    first, refresh, second = raw_server.requests
    assert first.body == second.body
    assert first.headers["authorization"] == "Bearer old-access"
    assert "authorization" not in refresh.headers
    assert second.headers["authorization"] == "Bearer new-access"


@pytest.mark.parametrize(
    "message",
    [
        "version header was not found.",
        "version header is invalid",
        "This location is not accessible from this token!",
        "not authorized for this scope",
        "This authClass type is not allowed to access this scope.",
        "Unauthorized",
    ],
)
async def test_a_401_that_is_not_about_the_token(raw_server, message):
    """Raises a 401 that says something else as it is, and refreshes nothing."""
    raw_server.reply(http_json({"message": message}, 401))
    source = OAuthTokens(client_id="a", client_secret="b", refresh_token="r", access_token="x")
    async with LCPhoneClient(source, base_url=raw_server.url) as client:
        with pytest.raises(AuthenticationError, match=r"401"):
            await client.number_pools("loc1")
    assert len(raw_server.requests) == 1


@pytest.mark.parametrize("message", ["Invalid token: access token is invalid", "Invalid JWT"])
async def test_a_service_that_takes_no_token_at_all(raw_server, message):
    """Renews once a call, and not again at once for the next call: it would not help."""
    refusal = http_json({"message": message}, 401)
    raw_server.reply(
        refusal,
        http_json({"access_token": "new", "refresh_token": "r2", "expires_in": 86399.0}),
        refusal,
    )
    source = OAuthTokens(client_id="a", client_secret="b", refresh_token="r", access_token="x")
    options = {"base_url": raw_server.url, "api_version": "2021-07-28", "retry": ONE_TRY}
    async with LCPhoneClient(source, **options) as client:
        for _ in range(3):
            with pytest.raises(AuthenticationError):
                await client.number_pools("loc1")
    paths = [request.path for request in raw_server.requests]
    assert paths.count("/oauth/token") == 1
    assert len(paths) == 5


async def test_a_token_source_of_a_user_s_own_may_renew(app):
    """Asks any source that has `renew` for another token, once, and then gives up."""
    grants = [app.oauth.install("loc1") for _ in range(3)]
    for grant in grants[:2]:
        app.oauth.revoke(grant.access_token)

    class Own:
        asked = 0

        async def token(self, location_id):
            return grants[self.asked].access_token

        async def renew(self, location_id, refused):
            assert refused == grants[self.asked].access_token
            self.asked += 1
            return await self.token(location_id)

    source = Own()
    async with app.client(source) as client:
        with pytest.raises(AuthenticationError, match="Invalid token"):
            await client.number_pools("loc1")
        assert source.asked == 1
        await client.number_pools("loc1")
        assert source.asked == 2


async def test_an_async_function_is_a_source(v3):
    """Takes an async function from a location's id to its token."""
    grant = v3.oauth.install("loc1")

    async def token(location_id):
        assert location_id == "loc1"
        return grant.access_token

    async with v3.client(token) as client:
        await client.number_pools("loc1")
    async with v3.client(lambda _: "pit-") as client:
        with pytest.raises(TypeError, match="async function"):
            await client.number_pools("loc1")


async def test_tokens_are_renewed_ahead_of_time(app, clock):
    """Goes on with the old token while the new one is fetched, shortly before it expires."""
    grant = app.oauth.install("loc1")
    source = app.tokens(grant, access_token=grant.access_token, expires_at=clock.now + HOUR)
    async with app.client(source) as client:
        await client.number_pools("loc1")
        assert app.outcomes() == []
        clock.now += HOUR - 240
        app.sandbox.faults.append(Fault(operation="token", point="before", delay=0.05))
        await asyncio.gather(*(client.number_pools("loc1") for _ in range(50)))
        assert app.outcomes() == []
    assert app.outcomes() == ["issued"]  # the client was closed when it had ended


async def test_a_refresh_ahead_of_time_that_fails(v3, clock, caplog):
    """Warns, and lets calls go on with the token that is good still."""
    caplog.set_level(logging.WARNING, "lcphone_async")
    async with v3.client(v3.tokens(failure_cooldown=0.01), retry=ONE_TRY) as client:
        await client.number_pools("loc1")
        clock.now += HOUR - 100
        v3.sandbox.faults.append(Fault(operation="token", point="before", status=503))
        async with asyncio.timeout(20):
            while "could not be renewed ahead of time" not in caplog.text:
                await client.number_pools("loc1")
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.02)  # the cooldown of a failure that came last
        v3.sandbox.faults.clear()
        clock.now += 100
        await client.number_pools("loc1")
    assert v3.outcomes() == ["issued", "issued"]


async def test_a_failed_refresh_fails_all_and_is_tried_again_after_a_pause(v3):
    """Raises one failure to all who wait and to all within the pause, and then tries again."""
    v3.sandbox.faults.append(Fault(operation="token", point="before", status=503))
    async with v3.client(v3.tokens(failure_cooldown=0.2), retry=ONE_TRY) as client:
        calls = (client.number_pools("loc1") for _ in range(50))
        failures = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(failure) for failure in failures} == {TokenUnavailableError}
        assert len({id(failure) for failure in failures}) == 50
        assert "POST /oauth/token: 503" in str(failures[0])
        assert failures[0].status == 503
        v3.sandbox.faults.clear()
        with pytest.raises(TokenUnavailableError):
            await client.number_pools("loc1")
        assert v3.asked() == 1
        await asyncio.sleep(0.25)
        await client.number_pools("loc1")
    assert v3.asked() == 2


async def test_a_purchase_without_a_token_is_not_sent(v3):
    """Buys nothing, and leaves nothing in doubt, where no token can be had."""
    v3.sandbox.faults.append(Fault(operation="token", point="before", status=503))
    async with v3.client(v3.tokens(), retry=ONE_TRY) as client:
        with pytest.raises(TokenUnavailableError):
            await client.purchase("loc1", "+18305551234")
        assert await client.reconcile() == []


@pytest.mark.parametrize(
    "damage",
    ["reset", "reset-within", "hang-up", "stall", "cut-off", "corrupted", "html", "empty"],
)
async def test_a_lost_answer_within_the_grace(lenient, damage):
    """Asks again at once where the answer was lost, and gets the same tokens again."""
    fault = Fault(operation="token", point="after", damage=damage, times=1)
    lenient.sandbox.faults.append(fault)
    async with lenient.client(lenient.tokens(), timeout=0.3) as client:
        await client.number_pools("loc1")
    assert lenient.outcomes() == ["issued", "repeated"]


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, *range(520, 528), 530])
async def test_a_lost_answer_that_a_proxy_replaced(lenient, status):
    """Asks again at once, as Cloudflare's statuses tell as little as 502 what became of it."""
    fault = Fault(operation="token", point="after", status=status, body="<html>", times=1)
    lenient.sandbox.faults.append(fault)
    async with lenient.client(lenient.tokens()) as client:
        await client.number_pools("loc1")
    assert lenient.outcomes() == ["issued", "repeated"]


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refresh_that_timed_out_within_the_service(lenient, status):
    """Asks again at once where the service's words are of a timeout, whatever the status."""
    body = {"message": "Command timed out", "statusCode": status}
    fault = Fault(operation="token", point="after", status=status, body=body, times=1)
    lenient.sandbox.faults.append(fault)
    async with lenient.client(lenient.tokens()) as client:
        await client.number_pools("loc1")
    assert lenient.outcomes() == ["issued", "repeated"]


async def test_a_lost_answer_without_a_grace(v3):
    """Says that the app must be authorized again where the lost answer is not given twice."""
    v3.sandbox.faults.append(Fault(operation="token", point="after", damage="reset", times=1))
    async with v3.client(v3.tokens(failure_cooldown=0.01)) as client:
        with pytest.raises(AuthorizationLostError, match="authorize the app again") as caught:
            await client.number_pools("loc1")
        assert caught.value.status == 400
        await asyncio.sleep(0.05)
        with pytest.raises(AuthorizationLostError):
            await client.number_pools("loc1")
    assert v3.asked() == 2  # a token that was refused is not sent again


async def test_a_location_that_is_suspended(v3):
    """Asks once, says what to do, and goes on once the location is active again."""
    v3.oauth.suspended.add("loc1")
    async with v3.client(v3.tokens(failure_cooldown=0.01)) as client:
        with pytest.raises(TokenUnavailableError, match=INACTIVE) as caught:
            await client.number_pools("loc1")
        assert (type(caught.value), caught.value.status) == (TokenUnavailableError, 400)
        assert v3.asked() == 1
        v3.oauth.suspended.discard("loc1")
        await asyncio.sleep(0.05)
        await client.number_pools("loc1")


@pytest.mark.parametrize("answer", [{}, {"access_token": 7}, []])
async def test_an_answer_that_is_none(raw_server, answer):
    """Raises `TokenUnavailableError` for an answer without tokens, and says where it looked."""
    raw_server.reply(http_json(answer))
    source = OAuthTokens(client_id="a", client_secret="b", refresh_token="r")
    async with LCPhoneClient(source, base_url=raw_server.url, retry=ONE_TRY) as client:
        with pytest.raises(TokenUnavailableError, match=r"unexpected answer: \$"):
            await client.number_pools("loc1")


@pytest.mark.parametrize("lives", [None, "soon", 0, -5, [3600]])
async def test_a_lifetime_that_makes_no_sense(raw_server, lives):
    """Uses a token of no clear lifetime until it is refused, rather than lose it."""
    answer = {"access_token": "a2", "refresh_token": "r2", "expires_in": lives}
    raw_server.reply(http_json(answer), EMPTY)
    source = OAuthTokens(client_id="a", client_secret="b", refresh_token="r")
    async with LCPhoneClient(source, base_url=raw_server.url, retry=ONE_TRY) as client:
        await client.active_numbers_page("loc1")
        await client.active_numbers_page("loc1")
    assert [request.path for request in raw_server.requests].count("/oauth/token") == 1


async def test_a_refresh_that_gives_no_new_refresh_token(raw_server):
    """Keeps the refresh token where the answer brings no other."""
    refused = http_json({"message": "Invalid token: access token is invalid"}, 401)
    first, second = ({"access_token": name, "expires_in": 9} for name in ("a1", "a2"))
    raw_server.reply(http_json(first), refused, http_json(second), EMPTY)
    source = OAuthTokens(client_id="a", client_secret="b", refresh_token="only-one")
    async with LCPhoneClient(source, base_url=raw_server.url, retry=ONE_TRY) as client:
        await client.active_numbers_page("loc1")
    refreshes = [r.body for r in raw_server.requests if r.path == "/oauth/token"]
    assert len(refreshes) == 2
    assert all(b"only-one" in body for body in refreshes)


async def test_a_cancelled_task_does_not_end_the_refresh_of_others(v3):
    """Lets the refresh go on for the rest where the task that began it is cancelled."""
    v3.sandbox.faults.append(Fault(operation="token", point="after", delay=0.1))
    async with v3.client(v3.tokens()) as client:
        first = asyncio.create_task(client.number_pools("loc1"))
        await asyncio.sleep(0.02)
        others = [asyncio.create_task(client.number_pools("loc1")) for _ in range(5)]
        await asyncio.sleep(0.02)
        first.cancel()
        await asyncio.gather(*others)
        with pytest.raises(asyncio.CancelledError):
            await first
    assert v3.outcomes() == ["issued"]


async def test_close_waits_for_a_refresh_under_way(v3):
    """Ends the calls, and keeps the answer of the refresh, which is the only copy."""
    v3.sandbox.faults.append(Fault(operation="token", point="after", delay=0.2))
    source = v3.tokens()
    before = asyncio.all_tasks()
    async with v3.client(source) as client:
        call = asyncio.create_task(client.number_pools("loc1"))
        await asyncio.sleep(0.05)
    with pytest.raises(ClientClosedError):
        await call
    v3.sandbox.faults.clear()
    left = [task.get_coro().__qualname__ for task in asyncio.all_tasks() - before]
    assert [name for name in left if name.startswith("SingleFlight")] == []
    async with v3.client(source) as client:
        await client.number_pools("loc1")
    assert v3.outcomes() == ["issued"]


async def test_close_does_not_wait_for_ever(v3, monkeypatch):
    """Ends a refresh that gets no answer in time, and leaves no task behind."""
    monkeypatch.setattr("lcphone_async._http.token_endpoints._TIME_TO_END", 0.1)
    v3.sandbox.faults.append(Fault(operation="token", point="before", damage="stall"))
    source, before = v3.tokens(failure_cooldown=0.01), asyncio.all_tasks()
    async with asyncio.timeout(30), v3.client(source) as client:
        call = asyncio.create_task(client.number_pools("loc1"))
        await asyncio.sleep(0.05)
    with pytest.raises(ClientClosedError):
        await call
    left = [task.get_coro().__qualname__ for task in asyncio.all_tasks() - before]
    assert [name for name in left if name.startswith("SingleFlight")] == []
    v3.sandbox.faults.clear()
    await asyncio.sleep(0.05)
    async with v3.client(source) as client:
        await client.number_pools("loc1")


async def test_a_source_outlives_its_clients(v3):
    """Goes on with a client that is open still, when the one that came last is closed."""
    source = v3.tokens()
    async with v3.client(source) as first:
        async with v3.client(source):
            pass
        await first.number_pools("loc1")
    with pytest.raises(ClientClosedError):
        await first.number_pools("loc1")


class Slow(MemoryTokenStore):
    """A store that waits until it may load."""

    def __init__(self):
        super().__init__()
        self.loading = asyncio.Event()

    async def load(self):
        await self.loading.wait()
        return await super().load()


async def test_a_client_that_is_closed_takes_no_refresh_of_another_with_it(v3):
    """Refreshes by the client that gives it time to end, whichever was given the source last."""
    store = Slow()
    source = v3.tokens(store=store)
    v3.sandbox.faults.append(Fault(operation="token", point="after", delay=0.2, times=1))
    async with v3.client(source) as first:
        call = asyncio.create_task(first.number_pools("loc1"))
        await asyncio.sleep(0.02)
        async with v3.client(source):
            store.loading.set()
            await asyncio.sleep(0.05)
        await call
    assert v3.outcomes() == ["issued"]


async def test_a_client_that_is_closed_leaves_no_pause_behind(v3):
    """Lets the next client refresh at once where the last one was closed before it could."""
    store = Slow()
    source = v3.tokens(store=store)
    async with v3.client(source) as first:
        call = asyncio.create_task(first.number_pools("loc1"))
        await asyncio.sleep(0.02)
        asyncio.get_running_loop().call_later(0.05, store.loading.set)
    with pytest.raises(ClientClosedError):
        await call
    async with v3.client(source) as second:
        await second.number_pools("loc1")
    assert v3.outcomes() == ["issued"]


async def test_a_session_that_its_owner_closed(v3):
    """Says so at once where the session of an open client is closed."""
    session = aiohttp.ClientSession()
    await session.close()
    async with asyncio.timeout(30), v3.client(v3.tokens(), session=session) as client:
        with pytest.raises(ClientClosedError, match="the session is closed"):
            await client.number_pools("loc1")


async def cancelled_at_once(client):
    async with asyncio.timeout(0):
        await client.close()


async def cancelled_while_it_waits(client):
    async with asyncio.timeout(0.05):
        await client.close()


async def cancelled_before(client):
    async with asyncio.timeout(0), client:
        await asyncio.Event().wait()


async def cancelled_on_and_on(client):
    """As other libraries cancel: until the task ends."""
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0)
    while not closing.done():
        closing.cancel()
        await asyncio.sleep(0.01)
    assert closing.cancelled()
    raise TimeoutError


each_cancelled_close = pytest.mark.parametrize(
    "close",
    [cancelled_at_once, cancelled_while_it_waits, cancelled_before, cancelled_on_and_on],
)


@each_cancelled_close
async def test_a_close_that_is_cancelled_leaves_nothing(v3, close, monkeypatch):
    """Closes the session, and ends the refresh, also where there is no time to wait for it."""
    monkeypatch.setattr("lcphone_async._http.token_endpoints._TIME_TO_BREAK_OFF", 0.05)
    v3.sandbox.faults.append(Fault(operation="token", point="before", damage="stall"))
    client, before = v3.client(v3.tokens()), asyncio.all_tasks()
    call = asyncio.create_task(client.number_pools("loc1"))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(30):
        with pytest.raises(TimeoutError):
            await close(client)
    with pytest.raises(ClientClosedError):
        await call
    left = [task.get_coro().__qualname__ for task in asyncio.all_tasks() - before]
    assert [name for name in left if name.startswith("SingleFlight")] == []
    assert not client._transport.is_open


@pytest.mark.sample(2)
@each_cancelled_close
async def test_a_close_that_is_cancelled_waits_a_little(v3, close):
    """Keeps the answer of a refresh that comes soon, though the caller is cancelled."""
    v3.sandbox.faults.append(Fault(operation="token", point="after", delay=0.2))
    source = v3.tokens()
    client = v3.client(source)
    call = asyncio.create_task(client.number_pools("loc1"))
    await asyncio.sleep(0.05)
    with pytest.raises(TimeoutError):
        await close(client)
    with pytest.raises(ClientClosedError):
        await call
    v3.sandbox.faults.clear()
    async with v3.client(source) as another:
        await another.number_pools("loc1")
    assert v3.outcomes() == ["issued"]


async def test_a_refresh_does_not_wait_behind_bulk_calls(v3):
    """Is nobody's call in particular: one that a bulk call began is no bulk call."""
    seen = []

    class Store(MemoryTokenStore):
        async def load(self):
            seen.append(in_bulk())
            return await super().load()

    async with v3.client(v3.tokens(store=Store())) as client:
        with bulk():
            await client.number_pools("loc1")
    assert seen == [False, False]


async def test_a_source_belongs_to_one_base_url(v3):
    """Refuses to be used for two services, and says why."""
    source = v3.tokens()
    async with v3.client(source), v3.client(source):
        with pytest.raises(ValueError, match=r"must not go to https://elsewhere\.example"):
            LCPhoneClient(source, base_url="https://elsewhere.example")
    with pytest.raises(ValueError, match="must not go to"):  # its tokens are in memory still
        LCPhoneClient(source, base_url="https://elsewhere.example")
    elsewhere = v3.tokens(base_url=v3.sandbox.url)
    async with v3.client(elsewhere):
        with pytest.raises(ValueError, match="must not go to"):
            LCPhoneClient(elsewhere, base_url="https://elsewhere.example")


async def test_a_source_of_another_base_url(v3):
    """Goes to the base URL and the contract that it was given, whatever those of the client."""
    async with Sandbox(tokens={"a2": TokenSettings()}) as other:
        grant = v3.oauth.install("loc1")
        source = v3.tokens(grant, base_url=v3.sandbox.url, api_version="2021-07-28")
        async with LCPhoneClient(source, base_url=other.url) as client:
            with pytest.raises(AuthenticationError):
                await client.number_pools("loc1")
        assert [request.path for request in other.requests].count("/oauth/token") == 0
    assert v3.outcomes() == ["issued", "issued"]


async def test_a_source_without_a_client():
    """Says that it must be given to a client first."""
    source = OAuthTokens(client_id="a", client_secret="b", refresh_token="r")
    with pytest.raises(ValueError, match="LCPhoneClient"):
        await source.token("loc1")


async def test_no_refresh_token(v3):
    """Says that there is none, where the access token alone was given and has expired."""
    source = OAuthTokens(client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
    async with v3.client(source) as client:
        with pytest.raises(TokenUnavailableError, match="authorize the app first"):
            await client.number_pools("loc1")
    assert v3.asked() == 0


@pytest.mark.parametrize(
    ("argument", "value", "error"),
    [
        ("client_id", "", ValueError),
        ("client_secret", 5, TypeError),
        ("refresh_token", "two words", ValueError),
        ("access_token", b"x", TypeError),
        ("expires_at", datetime(2026, 1, 1), ValueError),  # noqa: DTZ001
        ("expires_at", "2026-01-01", TypeError),
        ("failure_cooldown", 0, ValueError),
        ("store", "tokens.json", TypeError),
    ],
)
def test_refuses_what_it_cannot_use(argument, value, error):
    """Raises `TypeError` or `ValueError`, which names the argument, from the constructor."""
    given = {"client_id": "a", "client_secret": "b", "refresh_token": "r"}
    with pytest.raises(error, match=argument):
        OAuthTokens(**{**given, argument: value})


async def test_the_answer_to_a_code_may_take_its_time(v3, monkeypatch):
    """Waits for the first tokens as long as the client does: a code is good once."""
    monkeypatch.setattr("lcphone_async._wire.token_requests._TIMEOUT", 0.05)
    v3.sandbox.faults.append(Fault(operation="token", point="after", delay=0.2))
    async with v3.client("pit-unused") as client:
        grant = await client.exchange_code(
            v3.oauth.authorize("loc1"), client_id=CLIENT_ID, client_secret=CLIENT_SECRET
        )
    assert v3.oauth.access(grant.access_token)


async def test_the_code_of_a_location_that_is_suspended(v3):
    """Says what to do where the location of a code is not active."""
    code = v3.oauth.authorize("loc1")
    v3.oauth.suspended.add("loc1")
    async with v3.client("pit-unused") as client:
        with pytest.raises(BadRequestError, match=INACTIVE):
            await client.exchange_code(code, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
    assert v3.asked() == 1


@pytest.mark.parametrize("argument", ["code", "client_id", "client_secret"])
@pytest.mark.parametrize(("value", "error"), [(5, TypeError), (" ", ValueError)])
async def test_what_is_no_code(v3, argument, value, error):
    """Raises `TypeError` or `ValueError`, which names the argument, and sends nothing."""
    given = {"code": "c", "client_id": "a", "client_secret": "b", argument: value}
    async with v3.client("pit-unused") as client:
        with pytest.raises(error, match=argument):
            await client.exchange_code(**given)
    assert v3.asked() == 0
