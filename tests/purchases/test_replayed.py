"""A purchase that something in between sends twice: real proxies, and the sandbox's replays.

The first POST buys, the second is refused, and the client sees the refusal. What a proxy must not
do, and what becomes of it if it does, is in `docs/proxies.md`.
"""

import asyncio
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from lcphone_async import (
    APIError,
    ConnectFailedError,
    NumberUnavailableError,
    PurchaseOutcomeUnknownError,
    RetryPolicy,
)
from lcphone_async.sandbox import Fault
from support.proxies import TIMEOUT_MS, HAProxy, Nginx
from support.shop import NUMBER, PATIENT, PLACE, Shop
from support.until import until

CONTRACTS = ["v3", "2021-07-28"]
SLOW = 4 * TIMEOUT_MS / 1000
LOST = [
    {"delay": SLOW},
    {"damage": "reset"},
    {"damage": "hang-up"},
    {"status": 500},
    {"status": 502},
    {"status": 503},
    {"status": 504},
    {"damage": "stall"},
]
REPLAY = Fault(operation="purchase", point="after", replay=1)


@pytest.fixture
async def shop(tmp_path):
    async with Shop(tmp_path / "purchases.db") as shop:
        yield shop


@pytest.fixture(params=[HAProxy, Nginx])
def in_front(request, shop, tmp_path):
    """Starts a proxy in front of the shop's sandbox."""
    if request.param.path() is None:
        pytest.skip(f"{request.param.program} is not installed")
    return partial(request.param, tmp_path, URL(shop.sandbox.url).port)


@pytest.fixture
def proxy(in_front):
    """A proxy that sends a POST again if it lost the response."""
    with in_front() as running:
        yield running


@pytest.fixture
def careful_proxy(in_front):
    """A proxy that is set up as `docs/proxies.md` has it."""
    with in_front(careful=True) as running:
        yield running


def client_of(shop, **options):
    """A client that sends once, and has time for a list that is slow to come."""
    return shop.client(**{"retry": PATIENT, **options})


def offered(shop):
    """Three numbers for sale."""
    numbers = (f"+1830555{line}" for line in range(1234, 9999))
    found = (number for number in numbers if shop.sandbox.stock.find(number))
    return [next(found) for _ in range(3)]


def lost(fault, times=1):
    """The fault after the service sold the number, so often."""
    return Fault(operation="purchase", point="after", times=times, **fault)


# Behind a proxy


@pytest.mark.sample(2)
@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("fault", LOST, ids=str)
async def test_behind_a_proxy(shop, proxy, fault, contract):
    """A purchase that a proxy repeats is bought: the list says so, against the refusal."""
    shop.fails(lost(fault))
    client = client_of(shop, base_url=proxy.url, api_version=contract)
    purchase = await client.purchase(PLACE, NUMBER)
    assert (purchase.number, purchase.confirmed_by) == (NUMBER, "read-back")
    await until(lambda: shop.posts == 2)  # else the proxy repeated nothing
    assert (shop.paid, await shop.states()) == ([NUMBER], ["bought"])
    assert await client.reconcile(min_age=0) == []


@pytest.mark.sample(1)
@pytest.mark.parametrize("fault", LOST, ids=str)
async def test_an_order_behind_a_proxy(shop, proxy, fault):
    """An order of one number buys one, and no second in place of one that a proxy repeated."""
    offers = offered(shop)
    shop.fails(lost(fault))
    order = await client_of(shop, base_url=proxy.url).purchase_many(PLACE, offers, count=1)
    assert [purchase.number for purchase in order.bought] == shop.paid == offers[:1]
    assert (order.unknown, order.unavailable, order.error) == ((), (), None)
    await until(lambda: shop.posts == 2)
    assert await shop.states() == ["bought"]


@pytest.mark.sample(1)
async def test_behind_a_proxy_that_loses_all(shop, proxy):
    """A purchase whose repetitions are lost too, so that a 5xx comes out, is read back."""
    shop.fails(lost({"delay": SLOW}, times=None))
    client = client_of(shop, base_url=proxy.url)
    purchase = await client.purchase(PLACE, NUMBER)
    assert (purchase.confirmed_by, shop.paid) == ("read-back", [NUMBER])
    assert await shop.states() == ["bought"]


@pytest.mark.sample(1)
async def test_behind_a_proxy_with_a_first_that_acts_late(shop, proxy):
    """If the repeated POST is the one that buys, its response is believed."""
    shop.fails(Fault(operation="purchase", delay=SLOW, times=1))
    purchase = await client_of(shop, base_url=proxy.url).purchase(PLACE, NUMBER)
    assert purchase.confirmed_by == "answer"
    await until(lambda: shop.posts == 2)
    assert (shop.paid, await shop.states()) == ([NUMBER], ["bought"])


@pytest.mark.sample(1)
@pytest.mark.parametrize("fault", LOST, ids=str)
async def test_behind_a_proxy_that_is_set_up_well(shop, careful_proxy, fault):
    """It sends a purchase once, and the error that comes out is read back; reads it does repeat."""
    shop.fails(lost(fault), Fault(operation="active", status=503, times=1))
    purchase = await client_of(shop, base_url=careful_proxy.url).purchase(PLACE, NUMBER)
    assert purchase.confirmed_by == "read-back"
    await until(lambda: shop.posts)
    assert (shop.paid, shop.posts, await shop.states()) == ([NUMBER], 1, ["bought"])


def test_the_document_says_how_to_set_them_up():
    """`docs/proxies.md` shows the lines that these tests use, good and bad."""
    text = (Path(__file__).parents[2] / "docs" / "proxies.md").read_text()
    assert f"retry-on all-retryable-errors\n    {HAProxy.careful}\n" in text
    assert "proxy_next_upstream error timeout http_500 http_502 http_503 http_504;" in text


async def test_gone_behind_a_proxy(shop, proxy):
    """A number that is gone is unavailable there too: nothing is bought, after one look."""
    shop.sandbox.stock.take(NUMBER)
    shop.fails(lost({"damage": "reset"}))
    with pytest.raises(NumberUnavailableError):
        await client_of(shop, base_url=proxy.url).purchase(PLACE, NUMBER)
    assert shop.paid == []
    methods = [record.method for record in shop.sandbox.requests]
    assert methods == ["GET", "POST", "POST", "GET"]


async def test_an_order_of_numbers_that_are_gone(shop, proxy):
    """The next number is bought in place of one that is really gone."""
    offers = offered(shop)
    shop.sandbox.stock.take(offers[0])
    order = await client_of(shop, base_url=proxy.url).purchase_many(PLACE, offers, count=1)
    assert [purchase.number for purchase in order.bought] == shop.paid == offers[1:2]
    assert order.unavailable == (offers[0],)


# In the caller's own session


async def twice(request, handler):
    """A middleware that sends all that is not read again, and shows the second response."""
    if request.method == "POST":
        (await handler(request)).release()
    return await handler(request)


async def in_spite_of_errors(request, handler):
    """A middleware that sends again what had an error or no response."""
    with suppress(aiohttp.ClientError):
        response = await handler(request)
        if response.status < 500:
            return response
        response.release()
    return await handler(request)


@pytest.mark.parametrize("fault", [{"status": 500}, {"damage": "hang-up"}, {"damage": "reset"}])
@pytest.mark.parametrize("middleware", [twice, in_spite_of_errors])
async def test_a_middleware_that_repeats(shop, middleware, fault):
    """A purchase that a middleware of the caller's session sends twice is bought, and once."""
    shop.fails(*[lost(fault)] * (middleware is in_spite_of_errors))
    async with aiohttp.ClientSession(middlewares=(middleware,)) as session:
        purchase = await client_of(shop, session=session).purchase(PLACE, NUMBER)
    assert (purchase.confirmed_by, shop.posts) == ("read-back", 2)
    assert (shop.paid, await shop.states()) == ([NUMBER], ["bought"])


def losing_the_server(sandbox, *, first):
    """A middleware that repeats a POST, for which there is no server, nor for the `first` one."""

    async def middleware(request, handler):
        if request.method == "POST":
            if first:
                await sandbox.close()
            with suppress(aiohttp.ClientError):
                (await handler(request)).release()
            await sandbox.close()
        return await handler(request)

    return middleware


@pytest.mark.parametrize("fault", [{"delay": 0.01}, {"status": 500}, {"damage": "hang-up"}])
async def test_a_middleware_that_repeats_without_a_server(shop, fault):
    """A purchase is in doubt if its repetition finds no server: the first one may have bought."""
    shop.fails(lost(fault))
    middleware = losing_the_server(shop.sandbox, first=False)
    async with aiohttp.ClientSession(middlewares=(middleware,)) as session:
        with pytest.raises(PurchaseOutcomeUnknownError):
            await shop.client(session=session).purchase(PLACE, NUMBER)
    assert (shop.paid, await shop.states()) == ([NUMBER], ["unknown"])


async def test_a_middleware_that_never_finds_a_server(shop):
    """A purchase that found no server either time was surely not made."""
    middleware = losing_the_server(shop.sandbox, first=True)
    async with aiohttp.ClientSession(middlewares=(middleware,)) as session:
        with pytest.raises(ConnectFailedError):
            await shop.client(session=session).purchase(PLACE, NUMBER)
    assert (shop.paid, await shop.states()) == ([], ["not bought"])


# Replays of the sandbox's own


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("profile", [(), "gone-404", "gone-409", "gone-410", "message-list"])
async def test_each_word_for_gone(tmp_path, profile, contract):
    """However the service words the refusal of the second POST, the first one is found."""
    async with Shop(tmp_path / "purchases.db", profile=profile) as shop:
        shop.fails(REPLAY)
        purchase = await client_of(shop, api_version=contract).purchase(PLACE, NUMBER)
        assert (purchase.number, purchase.confirmed_by) == (NUMBER, "read-back")
        assert (shop.paid, await shop.states()) == ([NUMBER], ["bought"])


REFUSALS = [
    *(
        {"status": status}
        for status in (400, 402, 403, 404, 405, 406, 409, 410, 412, 413, 422, 451)
    ),
    {"status": 400, "body": {"message": "Bad request"}},
    {"status": 422, "body": {"message": ["phoneNumber must be available"], "statusCode": 422}},
    {"status": 403, "body": "<html><h1>403 Forbidden</h1></html>"},
    {"status": 400, "body": {"message": "The request took longer than expected"}},
    {"status": 401, "body": {"message": "Command timed out", "statusCode": 401}},
    {"status": 401},
    {"status": 401, "body": "<html><h1>401</h1></html>"},
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
async def test_each_refusal(shop, refusal):
    """No refusal proves by itself that nothing was bought."""
    shop.fails(lost(refusal, times=None))
    purchase = await client_of(shop).purchase(PLACE, NUMBER)
    assert (purchase.confirmed_by, shop.paid) == ("read-back", [NUMBER])
    assert (shop.posts, await shop.states()) == (1, ["bought"])


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
async def test_an_order_and_each_refusal(shop, refusal):
    """An order of one number buys no second in place of one that was refused after it was sold."""
    offers = offered(shop)
    shop.fails(lost(refusal))
    order = await client_of(shop).purchase_many(PLACE, offers, count=1)
    assert [purchase.number for purchase in order.bought] == shop.paid == offers[:1]


@pytest.mark.parametrize("min_age", [0, 300])
async def test_a_list_that_lags(shop, min_age):
    """A refusal is told if the list does not show the number yet; `reconcile` finds it later."""
    shop.sandbox._state.list_lag = 3600.0
    shop.fails(REPLAY)
    client = client_of(shop)
    with pytest.raises(NumberUnavailableError):
        await client.purchase(PLACE, NUMBER)
    assert shop.paid == [NUMBER]
    if min_age:
        assert await client.reconcile(min_age=min_age) == []
    shop.sandbox._state.list_lag = 0.0
    (record,) = await client.reconcile(min_age=min_age)
    assert (record.phone_number, record.state) == (NUMBER, "bought")
    assert await client.reconcile(min_age=0) == []
    assert await shop.states() == ["bought"]


async def test_a_list_that_lags_for_longer_than_min_age(shop):
    """A refusal that is older than `min_age` is final."""
    shop.sandbox._state.list_lag = 3600.0
    shop.fails(REPLAY)
    client = client_of(shop)
    with pytest.raises(NumberUnavailableError):
        await client.purchase(PLACE, NUMBER)
    await client.reconcile(min_age=0)
    assert await shop.states() == ["not bought"]


async def test_a_number_that_is_gone(shop):
    """A true refusal is raised after one look, and nothing is bought then or later."""
    shop.sandbox.stock.take(NUMBER)
    client = client_of(shop)
    with pytest.raises(NumberUnavailableError):
        await client.purchase(PLACE, NUMBER)
    assert [record.method for record in shop.sandbox.requests] == ["GET", "POST", "GET"]
    assert await client.reconcile() == []
    assert (shop.paid, shop.posts) == ([], 1)


async def test_a_list_that_cannot_be_read_once(shop):
    """If the list cannot be read after the refusal, it is asked again, and shows the number."""
    shop.fails(REPLAY, Fault(operation="active", nth=2, status=503))
    assert (await client_of(shop).purchase(PLACE, NUMBER)).confirmed_by == "read-back"


@pytest.mark.parametrize("status", [401, 429])
async def test_refusals_that_are_believed(shop, status):
    """A 429, and a 401 that names the token, are told at once; `reconcile` looks all the same."""
    told = {"message": "Invalid token: access token is invalid"} if status == 401 else None
    shop.fails(lost({"status": status, "body": told}, times=None))
    client = client_of(shop)
    with pytest.raises(APIError) as caught:
        await client.purchase(PLACE, NUMBER)
    assert caught.value.status == status
    assert [record.state for record in await client.reconcile()] == ["bought"]


WEATHER = [
    Fault(operation="purchase", point="after", replay=1, probability=0.2),
    *(
        Fault(operation="purchase", point=point, probability=0.04, **fault)
        for fault in ({"status": 400}, {"status": 409}, {"status": 502}, {"damage": "reset"})
        for point in ("before", "after")
    ),
    Fault(operation="active", status=503, probability=0.1),
    Fault(operation="active", damage="hang-up", probability=0.05),
]


@pytest.mark.sample(1)
@pytest.mark.parametrize("seed", range(2))
async def test_orders_in_bad_weather(tmp_path, seed):
    """Whatever is paid for is in the order, as bought or unknown, and never more than was asked."""
    unlimited = {"max_requests": 10**6, "faults": WEATHER, "seed": seed}
    async with Shop(tmp_path / "purchases.db", **unlimited) as shop:
        policy = RetryPolicy(max_tries=3, initial_wait=0.001, max_wait=0.01, confirm_timeout=0.5)
        client = shop.client(retry=policy)
        numbers = (f"+1{line}" for line in range(2122000000, 2122009999))
        for_sale = filter(shop.sandbox.stock.find, numbers)

        async def order(place):
            offers = list(islice(for_sale, 5))
            made = await client.purchase_many(place, offers, count=2)
            told = {*(purchase.number for purchase in made.bought), *made.unknown}
            paid = set(shop.sandbox.location(place).bought)
            assert {purchase.number for purchase in made.bought} <= paid <= told
            assert len(told) <= 2
            return len(made.bought)

        bought = await asyncio.gather(*(order(f"place{n}") for n in range(20)))
        assert sum(bought) > 20
        assert WEATHER[0] in shop.sandbox.faults.struck
