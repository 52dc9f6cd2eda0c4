"""Buying several numbers: never more than asked, never another than offered."""

import asyncio
from decimal import Decimal

import pytest

from lcphone_async import (
    AuthenticationError,
    LCPhoneClient,
    NumberAlreadyOwnedError,
    PurchaseJournal,
    PurchaseState,
    RetryPolicy,
    ServerError,
)
from lcphone_async.sandbox import Fault, Sandbox, TokenSettings

RETRY = RetryPolicy(max_tries=1, confirm_timeout=0.05)


@pytest.fixture
async def sandbox():
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def journal(tmp_path):
    journal = PurchaseJournal(tmp_path / "purchases.db")
    yield journal
    journal.close()


@pytest.fixture
async def client(sandbox, journal):
    async with LCPhoneClient("t", base_url=sandbox.url, retry=RETRY, journal=journal) as client:
        yield client


@pytest.fixture
async def found(client):
    return await client.search_available("a", "US", first_part="830")


def paid_for(sandbox):
    return [entry.phone_number for entry in sandbox.ledger]


def numbers(found, count):
    return [number.phone_number for number in found.numbers[:count]]


async def test_stops_at_the_count(sandbox, client, found):
    """Buys as many as asked, in the order of the offer, with the search's fingerprint."""
    order = await client.purchase_many("a", [found], count=3)
    assert [purchase.number for purchase in order.bought] == numbers(found, 3) == paid_for(sandbox)
    assert (order.unavailable, order.unknown, order.error) == ((), (), None)


async def test_passes_over_what_is_gone(sandbox, client, found):
    """Takes the next number of the same offer for one that is gone or owned already."""
    gone, owned, third, fourth = numbers(found, 4)
    sandbox.stock.take(gone)
    sandbox.location("a").add(owned)
    order = await client.purchase_many("a", [found], count=2)
    assert order.unavailable == (gone, owned)
    assert paid_for(sandbox) == [third, fourth]


async def test_an_offer_that_is_too_small(sandbox, client, found):
    """Buys what is offered and nothing else, where that is less than the count."""
    order = await client.purchase_many("a", found.numbers[:2], count=5)
    assert [purchase.number for purchase in order.bought] == paid_for(sandbox)
    assert len(order.bought) == 2


async def test_passes_over_what_is_too_dear(sandbox, client, found):
    """Buys no number above the price limit, nor one that does not say its price."""
    order = await client.purchase_many("a", [found, "+18305551234"], count=99, max_price=1)
    assert order.bought == ()
    assert len(order.unavailable) == len(found.numbers) + 1
    assert sandbox.ledger == []


async def test_what_is_unknown_counts(sandbox, client, found):
    """Counts a purchase of unknown outcome as bought: never beyond the count."""
    sandbox.faults.append(Fault(operation="purchase", damage="reset", times=1))
    order = await client.purchase_many("a", [found], count=2)
    first, second = numbers(found, 2)
    assert order.unknown == (first,)
    assert paid_for(sandbox) == [second]


async def test_an_error_of_all_ends_it(journal, found):
    """Gives the error, and what was bought before it, where going on makes no sense."""
    reading = TokenSettings(scopes=["phonenumbers.read"])
    async with Sandbox(tokens={"reading": reading}) as strict:
        options = {"base_url": strict.url, "retry": RETRY, "journal": journal}
        async with LCPhoneClient("reading", **options) as client:
            order = await client.purchase_many("a", [found], count=2)
    assert isinstance(order.error, AuthenticationError)
    assert "phonenumbers.write" in str(order.error)


async def test_an_order_goes_on_after_a_crash(sandbox, client, found):
    """Counts what the journal holds of an order: bought before, or still open."""
    sandbox.faults.append(Fault(operation="purchase", nth=2, point="after", damage="stall"))
    task = asyncio.create_task(client.purchase_many("a", [found], count=3, order_id="o"))
    while len(sandbox.ledger) < 2:
        await asyncio.sleep(0.01)
    task.cancel()  # bought one, and is not told; the second's answer did not come
    with pytest.raises(asyncio.CancelledError):
        await task
    settled = await client.reconcile()
    assert [record.state for record in settled] == [PurchaseState.BOUGHT] * 2
    order = await client.purchase_many("a", [found], count=3, order_id="o")
    assert [purchase.number for purchase in order.bought] == numbers(found, 3) == paid_for(sandbox)
    again = await client.purchase_many("a", [found], count=3, order_id="o")
    assert [purchase.number for purchase in again.bought] == numbers(found, 3)
    assert len(sandbox.ledger) == 3


async def test_an_order_without_settling_buys_no_more_than_the_count(sandbox, client, found):
    """Counts an open purchase of the order as bought, until it is settled."""
    sandbox.faults.append(Fault(operation="purchase", nth=1, point="after", damage="stall"))
    task = asyncio.create_task(client.purchase_many("a", [found], count=2, order_id="o"))
    while not sandbox.ledger:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    order = await client.purchase_many("a", [found], count=2, order_id="o")
    assert len(order.unknown) == len(order.bought) == 1
    assert len(sandbox.ledger) == 2


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"count": 0}, ValueError, "count"),
        ({"count": "2"}, TypeError, "count"),
        ({"count": 1, "max_price": 1.5}, TypeError, "max_price"),
        ({"count": 1, "max_price": Decimal("NaN")}, ValueError, "max_price"),
        ({"count": 1, "sid": "x"}, TypeError, "sid"),
    ],
    ids=str,
)
async def test_refuses_what_makes_no_sense(sandbox, client, found, arguments, error, named):
    """Raises before anything is sent."""
    sent = len(sandbox.requests)
    with pytest.raises(error, match=named):
        await client.purchase_many("a", [found], **arguments)
    with pytest.raises(TypeError, match="offers"):
        await client.purchase_many("a", "+18305551234", count=1)
    assert len(sandbox.requests) == sent


async def test_a_number_bought_meanwhile_is_not_bought_again(sandbox, journal):
    """Sends no second POST where another client of the journal bought it after our look-up."""
    number = "+18305551234"
    async with (
        LCPhoneClient("t", base_url=sandbox.url, retry=RETRY, journal=journal) as first,
        LCPhoneClient("t", base_url=sandbox.url, retry=RETRY, journal=journal) as second,
    ):
        slow_answer = Fault(operation="active", point="after", delay=0.3, times=1)
        sandbox.faults.append(slow_answer)
        late = asyncio.create_task(first.purchase("a", number))
        while slow_answer not in sandbox.faults.struck:
            await asyncio.sleep(0.01)
        await second.purchase("a", number)
        with pytest.raises(NumberAlreadyOwnedError):
            await late
    assert [request.method for request in sandbox.requests].count("POST") == 1


@pytest.mark.sample(1)
@pytest.mark.parametrize("kept_in", ["file", "memory"])
async def test_whoever_is_cut_off_learns_what_was_bought(sandbox, journal, found, kept_in):
    """Leaves every number of a cancelled order to be told by `settle`."""
    own = {"journal": journal} if kept_in == "file" else {}
    async with LCPhoneClient("t", base_url=sandbox.url, retry=RETRY, **own) as client:
        sandbox.faults.append(Fault(operation="purchase", nth=3, delay=60))
        task = asyncio.create_task(client.purchase_many("a", [found], count=3))
        while len(sandbox.faults.struck) < 1:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        settled = await client.reconcile()
    bought = [record for record in settled if record.state == PurchaseState.BOUGHT]
    assert [record.phone_number for record in bought] == numbers(found, 2) == paid_for(sandbox)


@pytest.mark.exhaustive
async def test_an_order_goes_on_without_a_file(sandbox, found):
    """Counts what this client bought of an order, also where its journal is in memory."""
    async with LCPhoneClient("t", base_url=sandbox.url, retry=RETRY) as client:
        sandbox.faults.append(Fault(operation="purchase", nth=2, status=402))
        first = await client.purchase_many("a", [found], count=2, order_id="o")
        assert (len(first.bought), first.error.status) == (1, 402)
        second = await client.purchase_many("a", [found], count=2, order_id="o")
        assert len(second.bought) == len(sandbox.ledger) == 2


async def test_an_order_is_of_one_location(sandbox, client, found):
    """Does not count what was bought for another location under the same name."""
    await client.purchase_many("a", [found], count=1, order_id="o")
    order = await client.purchase_many("b", [numbers(found, 2)[1]], count=1, order_id="o")
    assert [purchase.location_id for purchase in order.bought] == ["b"]


async def test_two_orders_at_once_buy_for_each(sandbox, client, found):
    """Counts no number for two orders: what the one buys the other passes over."""
    orders = await asyncio.gather(*(client.purchase_many("a", [found], count=2) for _ in range(2)))
    assert [len(order.bought) for order in orders] == [2, 2]
    told = [purchase.number for order in orders for purchase in order.bought]
    assert sorted(told) == sorted(paid_for(sandbox))


async def test_nothing_is_bought_twice_where_the_list_cannot_be_read(sandbox, client, journal):
    """Raises what the list raised, for a number that the journal says was bought."""
    number = "+18305551234"
    await client.purchase("a", number)
    older = "UPDATE purchases SET id = 'of another process', sent_at = '2026-01-01T00:00:00+00:00'"
    await journal._run(journal._database.execute, older)
    sandbox.faults.append(Fault(operation="active", status=503))
    with pytest.raises(ServerError):
        await client.purchase("a", number)
    assert [request.method for request in sandbox.requests].count("POST") == 1
