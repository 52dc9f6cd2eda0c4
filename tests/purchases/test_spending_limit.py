"""What a purchase carries along, what it may cost, and how one number is found."""

import asyncio
from decimal import Decimal

import pytest

from lcphone_async import (
    BadRequestError,
    JournalUnavailableError,
    NumberAlreadyOwnedError,
    NumberUnavailableError,
    PurchaseOutcomeUnknownError,
    SpendingLimit,
    SpendingLimitError,
)
from lcphone_async.sandbox import Fault
from support.shop import NUMBER, PLACE, Shop


@pytest.fixture
async def shop(tmp_path):
    async with Shop(tmp_path / "purchases.db") as shop:
        yield shop


@pytest.fixture
async def found(shop):
    return await shop.client().search_available(PLACE, "US", first_part="830")


async def test_a_record_has_what_the_caller_gave_and_the_search_said(shop, found):
    """Keeps reference, price and currency, and names the record on the purchase."""
    offer = found.numbers[0]
    purchase = await shop.client().purchase(PLACE, offer, reference="order 7, chat 12")
    (record,) = await shop.journal_of_another().records()
    assert purchase.record_id == record.id
    assert record.reference == "order 7, chat 12"
    assert (record.price, record.currency) == (offer.price.price, offer.price.price_unit)


async def test_a_reference_of_many_and_of_what_is_read_back(shop, found):
    """Keeps the reference with each purchase of an order, and with one found in the list."""
    shop.fails(Fault(operation="purchase", point="after", damage="reset", times=1))
    order = await shop.client().purchase_many(PLACE, [found], count=2, reference="chat 12")
    records = {record.id: record for record in await shop.journal.records()}
    assert [records[purchase.record_id].reference for purchase in order.bought] == ["chat 12"] * 2
    assert order.bought[0].confirmed_by == "read-back"


async def test_a_reference_is_told_after_a_crash(shop, found):
    """`reconcile` returns the reference, so that the caller knows whose number it is."""
    shop.fails(Fault(operation="purchase", point="after", damage="reset"), LISTS_NOTHING)
    client = shop.client()
    with pytest.raises(PurchaseOutcomeUnknownError):
        await client.purchase(PLACE, found.numbers[0], reference="chat 12")
    shop.fails()
    (record,) = await client.reconcile()
    assert (record.state, record.reference) == ("bought", "chat 12")


LISTS_NOTHING = Fault(operation="active", status=200, body={"numbers": [], "total": 0})


async def test_tasks_of_two_references_share_no_purchase(shop):
    """Sells a number to one of two customers: only tasks of one reference share an outcome."""
    client = shop.client()
    buying = [client.purchase(PLACE, NUMBER, reference=each) for each in ("a", "a", "b")]
    first, second, other = await asyncio.gather(*buying, return_exceptions=True)
    assert first == second
    assert isinstance(other, NumberAlreadyOwnedError)
    assert shop.posts == 1


PRICE = Decimal("1.15")


@pytest.mark.parametrize("kept_in", ["file", "memory"])
async def test_spending_is_limited(shop, found, kept_in):
    """Buys what the limit admits, and then sends nothing, also after a restart."""
    own = {} if kept_in == "file" else {"journal": None}
    client = shop.client(spending_limit=SpendingLimit(2 * PRICE), **own)
    assert found.numbers[0].price.price == PRICE
    for offer in found.numbers[:2]:
        await client.purchase(PLACE, offer)
    if kept_in == "file":
        client = shop.client(
            journal=shop.journal_of_another(), spending_limit=SpendingLimit(2 * PRICE)
        )
    with pytest.raises(SpendingLimitError, match=r"2\.30 of the spending limit of 2\.30 USD"):
        await client.purchase(PLACE, found.numbers[2])
    assert (len(shop.paid), shop.posts) == (2, 2)


async def test_spending_is_limited_over_all_clients(shop, found):
    """Lets clients with journals of the same file spend no more together."""
    clients = [
        shop.client(journal=shop.journal_of_another(), spending_limit=SpendingLimit(3 * PRICE))
        for _ in range(4)
    ]
    buying = (
        client.purchase(PLACE, offer)
        for client, offer in zip(clients * 2, found.numbers[:8], strict=True)
    )
    outcomes = await asyncio.gather(*buying, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, SpendingLimitError)]
    assert (len(shop.paid), len(refused)) == (3, 5)


async def test_an_order_ends_at_the_limit(shop, found):
    """Returns what was bought, and the limit as the error that ended the order."""
    client = shop.client(spending_limit=SpendingLimit(2 * PRICE))
    order = await client.purchase_many(PLACE, [found], count=5)
    assert len(order.bought) == len(shop.paid) == 2
    assert isinstance(order.error, SpendingLimitError)


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_price_that_is_not_known(shop, dry_run):
    """Sends nothing at all for a number without a price, if there is a limit."""
    client = shop.client(spending_limit=SpendingLimit(100))
    with pytest.raises(SpendingLimitError, match="find_available"):
        await client.purchase(PLACE, NUMBER, dry_run=dry_run)
    assert not shop.sandbox.requests


async def test_what_was_not_bought_is_not_spent(shop, found):
    """Frees the price of a purchase that was refused, or turned out not to be made."""
    client = shop.client(spending_limit=SpendingLimit(PRICE))
    shop.fails(Fault(operation="purchase", status=400, times=1))
    with pytest.raises(BadRequestError):
        await client.purchase(PLACE, found.numbers[0])
    shop.fails(Fault(operation="purchase", damage="reset", times=1))
    with pytest.raises(PurchaseOutcomeUnknownError):
        await client.purchase(PLACE, found.numbers[1])
    with pytest.raises(SpendingLimitError):
        await client.purchase(PLACE, found.numbers[2])
    await client.reconcile(min_age=0)
    await client.purchase(PLACE, found.numbers[2])
    assert len(shop.paid) == 1


async def test_a_dry_run_counts_what_is_spent(shop, found):
    """A dry run says that the limit does not admit a purchase, and keeps nothing."""
    client = shop.client(spending_limit=SpendingLimit(PRICE))
    await client.purchase(PLACE, found.numbers[0], dry_run=True)
    await client.purchase(PLACE, found.numbers[0])
    with pytest.raises(SpendingLimitError, match=r"1\.15 of the spending limit of 1\.15 USD"):
        await client.purchase(PLACE, found.numbers[1], dry_run=True)
    assert len(await shop.journal.records()) == 1


async def test_find_available(shop, found):
    """Finds one number, with the price and the fingerprint that its purchase takes."""
    client = shop.client(spending_limit=SpendingLimit(100))
    wanted = found.numbers[3].phone_number
    result = await client.find_available(PLACE, wanted)
    (offer,) = result.numbers
    assert (offer.phone_number, offer.price.price) == (wanted, PRICE)
    await client.purchase(PLACE, offer, fingerprint_id=result.fingerprint_id, max_price=2)
    assert shop.paid == [wanted]


async def test_find_available_of_a_number_that_is_gone(shop):
    """Raises `NumberUnavailableError` if no search shows the number."""
    shop.sandbox.stock.take(NUMBER)
    with pytest.raises(NumberUnavailableError, match="no search shows the number"):
        await shop.client().find_available(PLACE, NUMBER)


async def test_find_available_of_no_country(shop):
    """Asks for the country of a number that belongs to none, and takes what it is told."""
    with pytest.raises(ValueError, match="pass its country_code"):
        await shop.client().find_available(PLACE, "+80012345678")
    assert not shop.sandbox.requests
    with pytest.raises(NumberUnavailableError):
        await shop.client().find_available(PLACE, "+80012345678", country_code="GB")


async def test_reconcile_with_a_journal_that_fails(shop, monkeypatch):
    """Raises the journal's failure as an error of the client's, and finds out the next time."""
    shop.fails(Fault(operation="purchase", point="after", damage="reset"), LISTS_NOTHING)
    client = shop.client()
    with pytest.raises(PurchaseOutcomeUnknownError):
        await client.purchase(PLACE, NUMBER)
    shop.fails()
    shop.journal.hold, shop.journal.error = "replace", OSError("disk full")
    with pytest.raises(JournalUnavailableError, match="disk full"):
        await client.reconcile()
    shop.journal.hold = None
    assert [record.state for record in await client.reconcile()] == ["bought"]
