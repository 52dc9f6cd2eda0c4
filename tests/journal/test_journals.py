"""What every journal promises: in memory, in a SQLite file, and in Redis."""

import contextlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from attrs import evolve

from lcphone_async import (
    NumberAlreadyOwnedError,
    PurchaseInProgressError,
    PurchaseJournal,
    PurchaseRecord,
    PurchaseState,
    SpendingLimit,
    SpendingLimitError,
)
from lcphone_async.journal import MemoryJournal, Past

NUMBER, ANOTHER = "+18305551234", "+18305551235"
NOTHING = Past(is_open=False, bought=None)
BOUGHT, NOT_BOUGHT = PurchaseState.BOUGHT, PurchaseState.NOT_BOUGHT
REFUSED, UNKNOWN = PurchaseState.REFUSED, PurchaseState.UNKNOWN


def new(number=NUMBER, place="a", **fields):
    return PurchaseRecord.new(place, number, **fields)


async def begun(journal, record):
    """The record, kept in the journal with all that it knows of the number before."""
    await journal.begin(record, await journal.past(record.location_id, record.phone_number))
    return record


async def became(journal, record, state, **told):
    following = record.now(state, **told)
    assert await journal.replace(record, following)
    return following


async def test_keeps_every_field(journal):
    """Returns a record as it was kept."""
    record = new(
        fingerprint_id="f1",
        order_id="o",
        reference="Rechnung 7 — ü",
        price=Decimal("1.150"),
        currency="USD",
    )
    await begun(journal, record)
    assert await journal.records() == [record]
    following = await became(journal, record, BOUGHT, told=True)
    assert await journal.records() == [following]


async def test_lists_oldest_first(journal):
    """Returns the records in the order in which they were sent."""
    now = datetime.now(UTC)
    for number, age in ((NUMBER, 5), (ANOTHER, 9), ("+18305551236", 7)):
        await begun(journal, evolve(new(number), sent_at=now - timedelta(seconds=age)))
    numbers = [record.phone_number for record in await journal.records()]
    assert numbers == [ANOTHER, "+18305551236", NUMBER]


@pytest.mark.parametrize("state", [None, UNKNOWN], ids=str)
async def test_one_open_purchase_of_a_number(journal, state):
    """Begins no second purchase of a number while one is open; of others it does."""
    first = await begun(journal, new())
    if state:
        await became(journal, first, state)
    assert await journal.past("a", NUMBER) == Past(is_open=True, bought=None)
    with pytest.raises(PurchaseInProgressError):
        await journal.begin(new(), NOTHING)
    await begun(journal, new(place="b"))
    await begun(journal, new(ANOTHER))


@pytest.mark.parametrize("state", [NOT_BOUGHT, REFUSED], ids=str)
async def test_a_number_that_was_not_bought(journal, state):
    """Begins another purchase of a number; a look at a refused one from before closes nothing."""
    first = await begun(journal, new())
    first = await became(journal, first, state)
    second = await begun(journal, new())
    others = [record for record in await journal.records() if record.id != second.id]
    assert {record.state for record in others} <= {state}
    if state == REFUSED:
        assert not await journal.replace(first, first.now(BOUGHT, told=True))
    assert await journal.past("a", NUMBER) == Past(is_open=True, bought=None)


async def test_a_number_bought_since_it_was_asked(journal):
    """Begins no purchase of a number that was bought since `past`, whatever the clocks say."""
    other = await begun(journal, evolve(new(), sent_at=datetime(1999, 1, 1, tzinfo=UTC)))
    other = await became(journal, other, BOUGHT, told=True)
    with pytest.raises(NumberAlreadyOwnedError):
        await journal.begin(new(), NOTHING)
    assert await journal.past("a", NUMBER) == Past(is_open=False, bought=other)
    await begun(journal, new())


async def test_a_purchase_is_begun_again_before_each_try(journal):
    """Keeps one record of a purchase that is sent again, even if it was given up meanwhile."""
    record = await begun(journal, new())
    await became(journal, record, NOT_BOUGHT)
    again = record.sent_again()
    await journal.begin(again, NOTHING)
    await journal.begin(again, NOTHING)
    assert await journal.records() == [again]


async def test_only_the_next_version_replaces(journal):
    """Replaces a record only by one that was made from the version it holds."""
    record = await begun(journal, new())
    renewed = record.renewed()
    assert await journal.replace(record, renewed)
    assert not await journal.replace(record, record.now(BOUGHT))
    assert not await journal.replace(new(), new().now(BOUGHT))
    assert await journal.records() == [renewed]
    bought = await became(journal, renewed, BOUGHT)
    assert not await journal.replace(renewed, renewed.now(NOT_BOUGHT))
    opened = await became(journal, bought, UNKNOWN)
    assert await journal.past("a", NUMBER) == Past(
        is_open=True, bought=(await journal.past("a", NUMBER)).bought
    )
    assert await journal.records() == [opened]


async def test_a_purchase_is_not_opened_beside_another(journal):
    """Does not open a purchase again if another of the number is open by now."""
    first = await became(journal, await begun(journal, new()), BOUGHT)
    second = await begun(journal, new())
    assert not await journal.replace(first, first.now(UNKNOWN))
    assert [record for record in await journal.records() if record.is_open] == [second]


PRICED = {"price": Decimal("1.15"), "currency": "USD"}


async def spend(journal, number, limit, **fields):
    record = new(number, **{**PRICED, **fields})
    await journal.begin(record, await journal.past("a", number), limit)
    return record


async def test_spending_is_limited(journal):
    """Admits purchases up to the limit, to the cent, and says what is spent."""
    limit = SpendingLimit(Decimal("3.45"))
    for number in (NUMBER, ANOTHER, "+18305551236"):
        await spend(journal, number, limit)
    with pytest.raises(SpendingLimitError) as caught:
        await spend(journal, "+18305551237", limit, price=Decimal("0.01"))
    error = caught.value
    assert (error.limit, error.spent, error.price) == (
        Decimal("3.45"),
        Decimal("3.45"),
        Decimal("0.01"),
    )
    assert len(await journal.records()) == 3


async def test_a_limit_is_not_rounded_up(journal):
    """Admits nothing above the limit, however small its parts are."""
    limit = SpendingLimit(Decimal("1.0000005"))
    await spend(journal, NUMBER, limit, price=Decimal("0.5"))
    with pytest.raises(SpendingLimitError):
        await spend(journal, ANOTHER, limit, price=Decimal("0.500001"))


def test_a_limit_for_longer_than_the_calendar():
    """Counts all purchases if the period began before the year 1."""
    assert SpendingLimit(1, period=timedelta.max).since is None


async def test_a_number_bought_before_one_that_was_not(tmp_path):
    """Knows that a number was bought, also if a later purchase of it turned out not to be made."""
    with contextlib.closing(PurchaseJournal(tmp_path / "purchases.db")) as in_a_file:
        for journal in (MemoryJournal(), in_a_file):
            first = await became(journal, await begun(journal, new()), BOUGHT)
            second = await became(journal, await begun(journal, new()), BOUGHT)
            second = await became(journal, second, UNKNOWN)
            await became(journal, second, NOT_BOUGHT)
            assert (await journal.past("a", NUMBER)).bought == first


async def test_a_bought_number_whose_record_is_renewed(journal):
    """Begins a purchase of a number that was bought before `past`, also if the record changed."""
    bought = await became(journal, await begun(journal, new()), BOUGHT)
    past = await journal.past("a", NUMBER)
    assert await journal.replace(bought, bought.renewed())
    await journal.begin(new(), past)


@pytest.mark.parametrize(
    ("state", "counts"), [(UNKNOWN, True), (BOUGHT, True), (REFUSED, False), (NOT_BOUGHT, False)]
)
async def test_what_counts_as_spent(journal, state, counts):
    """Counts what was bought, or may have been, and nothing else."""
    limit = SpendingLimit(2)
    first = await spend(journal, NUMBER, limit)
    await became(journal, first, state)
    with pytest.raises(SpendingLimitError) if counts else contextlib.nullcontext():
        await spend(journal, ANOTHER, limit)


async def test_a_purchase_does_not_count_against_itself(journal):
    """Admits a purchase that is begun again before its next try."""
    limit = SpendingLimit(2)
    first = await spend(journal, NUMBER, limit)
    await journal.begin(first.sent_again(), NOTHING, limit)


async def test_a_limit_for_a_period(journal):
    """Counts the purchases of the period alone."""
    old = datetime.now(UTC) - timedelta(hours=25)
    await begun(journal, evolve(new(ANOTHER, **PRICED), sent_at=old))
    await spend(journal, NUMBER, SpendingLimit(2, period=timedelta(days=1)))
    with pytest.raises(SpendingLimitError):
        await spend(journal, "+18305551236", SpendingLimit(3))


@pytest.mark.parametrize(
    "fields", [{"price": None}, {"currency": None}, {"currency": "EUR"}], ids=str
)
async def test_a_price_in_another_currency(journal, fields):
    """Refuses a number whose price it cannot count, and counts no other currency's."""
    with pytest.raises(SpendingLimitError, match="no known price in USD"):
        await spend(journal, NUMBER, SpendingLimit(1000), **fields)
    assert await journal.records() == []
    await begun(journal, new(ANOTHER, price=Decimal(5), currency="EUR"))
    await spend(journal, NUMBER, SpendingLimit(2))


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ((1.5,), {}, TypeError),
        ((True,), {}, TypeError),
        ((-1,), {}, ValueError),
        ((Decimal("NaN"),), {}, ValueError),
        ((1,), {"currency": "dollars"}, ValueError),
        ((1,), {"period": 60}, TypeError),
        ((1,), {"period": timedelta(0)}, ValueError),
    ],
)
def test_refuses_a_limit_of_nonsense(arguments, options, error):
    """Raises when it is made."""
    with pytest.raises(error):
        SpendingLimit(*arguments, **options)
