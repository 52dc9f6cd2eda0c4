"""Each purchase is told once and none is forgotten, whatever the journal and the clocks do."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
from attrs import evolve

from lcphone_async import (
    ConnectFailedError,
    JournalUnavailableError,
    PurchaseJournal,
    PurchaseOutcomeUnknownError,
    PurchaseRecord,
    PurchaseState,
)
from lcphone_async._internal import clock
from lcphone_async.journal import MemoryJournal, Past
from lcphone_async.sandbox import Fault
from support.shop import NUMBER, PLACE, Shop

ANOTHER = "+18305551999"
NOTHING = Past(is_open=False, bought=None)
LISTS_NOTHING = Fault(operation="active", status=200, body={"numbers": [], "total": 0})
LOST = Fault(operation="purchase", point="after", damage="reset")


class BreakingJournal(PurchaseJournal):
    """A journal whose disk fails for good once it has closed a purchase so often."""

    closes = 1
    is_acknowledged = True
    """Whether the caller hears that the last of them was kept."""
    is_broken = False

    def _replace(self, old, new):
        if self.is_broken:
            raise OSError("the disk is gone")
        is_kept = super()._replace(old, new)
        if new.told:
            self.closes -= 1
            if self.closes == 0:
                self.is_broken = True
                if not self.is_acknowledged:
                    raise OSError("the disk is gone")
        return is_kept


@pytest.fixture
async def shop(tmp_path):
    async with Shop(tmp_path / "purchases.db") as shop:
        yield shop


@pytest.fixture
def breaking(shop):
    with contextlib.closing(BreakingJournal(shop.path)) as journal:
        yield journal


# A journal that fails in the middle


@pytest.mark.parametrize("is_acknowledged", [True, False])
async def test_a_journal_that_breaks_while_it_is_reconciled(shop, breaking, is_acknowledged):
    """What it closed before it broke, and nobody was told, is told when it works again."""
    shop.fails(LOST, LISTS_NOTHING)
    client = shop.client(journal=breaking)
    for number in (NUMBER, ANOTHER):
        with pytest.raises(PurchaseOutcomeUnknownError):
            await client.purchase(PLACE, number)
    shop.fails()
    breaking.is_acknowledged = is_acknowledged
    with pytest.raises(JournalUnavailableError):
        await client.reconcile()
    breaking.is_broken = False
    told = [record.phone_number for record in await client.reconcile()]
    assert sorted(told) == sorted(shop.paid) == sorted([NUMBER, ANOTHER])
    assert await client.reconcile() == []


async def test_a_journal_that_breaks_after_it_kept_bought(shop, breaking):
    """A purchase whose caller was told that it is in doubt is told by `reconcile`."""
    breaking.is_acknowledged = False
    client = shop.client(journal=breaking)
    with pytest.raises(PurchaseOutcomeUnknownError):
        await client.purchase(PLACE, NUMBER)
    assert await shop.states() == ["bought"]
    breaking.is_broken = False
    (record,) = await client.reconcile()
    assert (record.state, record.phone_number) == ("bought", NUMBER)
    assert await client.reconcile() == []


# Orders after a kill


async def left_by_a_killed_order(shop):
    """An order that bought a number, and was killed before it ended."""
    await shop.client(journal=None).purchase(PLACE, NUMBER)
    record = PurchaseRecord.new(PLACE, NUMBER, order_id="o")
    await shop.journal.begin(record, NOTHING)
    assert await shop.journal.replace(record, record.now(PurchaseState.BOUGHT))


@pytest.mark.exhaustive
async def test_an_order_that_goes_on_and_is_cut_off_again(shop):
    """What it bought before is told by `reconcile` if the second call tells nobody either."""
    await left_by_a_killed_order(shop)
    stalled = Fault(operation="purchase", damage="stall")
    shop.fails(stalled)
    order = shop.client().purchase_many(PLACE, [NUMBER, ANOTHER], count=2, order_id="o")
    going_on = asyncio.create_task(order)
    await shop.struck(stalled)
    other = shop.client(journal=shop.journal_of_another())
    assert await other.reconcile() == []
    going_on.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going_on
    told = {record.phone_number: record.state for record in await other.reconcile()}
    assert told == {NUMBER: "bought", ANOTHER: "unknown"}


async def test_an_order_that_goes_on_tells_what_it_had_bought(shop):
    """It counts what was bought before the kill, and `reconcile` tells it no more."""
    await left_by_a_killed_order(shop)
    order = await shop.client().purchase_many(PLACE, [NUMBER], count=1, order_id="o")
    assert ([purchase.number for purchase in order.bought], order.unknown) == ([NUMBER], ())
    assert shop.posts == 1
    assert await shop.client().reconcile() == []


# Clocks


@pytest.mark.sample(1)
@pytest.mark.parametrize("jump", [timedelta(hours=2), timedelta(hours=-2)], ids=str)
async def test_a_living_process_whose_clock_differs(shop, monkeypatch, jump):
    """A purchase under way is left alone by a process whose clock says that it is old."""
    on_its_way = Fault(operation="purchase", point="after", delay=1.5)
    shop.fails(on_its_way)
    buying = asyncio.create_task(shop.client().purchase(PLACE, NUMBER))
    await shop.struck(on_its_way)
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + jump)
    other = shop.client(journal=shop.journal_of_another())
    assert await other.reconcile() == []
    assert (await buying).confirmed_by == "answer"


async def test_two_that_close_a_purchase_in_the_same_moment(journal, monkeypatch):
    """Of two that write the same in the same tick of a coarse clock, one has closed it."""
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)
    record = PurchaseRecord.new(PLACE, NUMBER)
    await journal.begin(record, NOTHING)
    closing = [record.now(PurchaseState.BOUGHT, told=True) for _ in range(2)]
    assert [await journal.replace(record, each) for each in closing] == [True, False]


@pytest.mark.exhaustive
async def test_a_maker_that_stood_still_in_a_stopped_clock(shop, stalled, monkeypatch):
    """What a `reconcile` told is not returned to its caller, also if both saw the same time."""
    on_its_way = Fault(operation="purchase", point="after", delay=2)
    shop.fails(on_its_way)
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)
    buying = asyncio.create_task(shop.client().purchase(PLACE, NUMBER))
    await shop.struck(on_its_way)
    (record,) = await shop.client(journal=shop.journal_of_another()).reconcile()
    assert record.state == "bought"
    with pytest.raises(PurchaseOutcomeUnknownError, match="a reconcile has told"):
        await buying


async def test_a_look_from_before_a_second_try(journal):
    """A version that was made before the maker begins again does not replace what it began."""
    record = PurchaseRecord.new(PLACE, NUMBER)
    await journal.begin(record, NOTHING)
    looked_at = record.now(PurchaseState.UNKNOWN)
    assert await journal.replace(record, looked_at)
    await journal.begin(record.sent_again(), NOTHING)
    assert not await journal.replace(looked_at, looked_at.now(PurchaseState.NOT_BOUGHT))


# A maker whose purchase is given up, or gone, while it is under way


@pytest.mark.sample(1)
@pytest.mark.parametrize("kept_in", ["file", "memory"])
async def test_a_maker_that_was_given_up_and_has_no_answer(shop, stalled, kept_in):
    """What a `reconcile` gave up too early is open again if the maker does not know better."""
    journal = MemoryJournal() if kept_in == "memory" else shop.journal
    on_its_way = Fault(operation="purchase", delay=1.5)
    late = evolve(on_its_way, point="after", delay=0, damage="reset")
    shop.fails(on_its_way, late, evolve(LISTS_NOTHING, nth=None))
    buying = asyncio.create_task(shop.client(journal=journal).purchase(PLACE, NUMBER))
    await shop.struck(on_its_way)
    other = shop.client(journal=journal)
    assert [record.state for record in await other.reconcile(min_age=0)] == ["not bought"]
    with pytest.raises(PurchaseOutcomeUnknownError):
        await buying
    shop.fails()
    assert [record.state for record in await other.reconcile()] == ["bought"]
    assert shop.paid == [NUMBER]


# A journal of the caller's own


class AskedJournal(MemoryJournal):
    """A journal behind a service, whose errors are this library's."""

    fails = ""

    async def past(self, *args):
        self._ask("past")
        return await super().past(*args)

    async def begin(self, *args):
        self._ask("begin")
        return await super().begin(*args)

    async def replace(self, old, new):
        self._ask("renew" if new.is_leased else "replace")
        return await super().replace(old, new)

    def _ask(self, what):
        if what == self.fails:
            raise ConnectFailedError("POST", "/journal", "refused")


@pytest.mark.parametrize("moment", ["past", "begin"])
async def test_a_journal_that_fails_before_with_an_error_of_ours(shop, moment):
    """It is the journal that is unavailable, and nothing is sent, nor tried again."""
    journal = AskedJournal()
    journal.fails = moment
    with pytest.raises(JournalUnavailableError):
        await shop.client(journal=journal).purchase(PLACE, NUMBER)
    assert shop.posts == 0


@pytest.mark.exhaustive
async def test_a_journal_that_fails_afterwards_with_an_error_of_ours(shop):
    """The purchase is in doubt, as its error is not one of the POST."""
    journal = AskedJournal()
    journal.fails = "replace"
    client = shop.client(journal=journal)
    with pytest.raises(PurchaseOutcomeUnknownError):
        await client.purchase(PLACE, NUMBER)
    journal.fails = ""
    assert [record.state for record in await client.reconcile()] == ["bought"]


@pytest.mark.exhaustive
async def test_a_renewal_that_fails_with_an_error_of_ours(shop):
    """The next renewal shows that the maker lives."""
    journal = AskedJournal()
    journal.fails = "renew"
    on_its_way = Fault(operation="purchase", delay=2)
    shop.fails(on_its_way)
    buying = asyncio.create_task(shop.client(journal=journal).purchase(PLACE, NUMBER))
    await shop.struck(on_its_way)
    await asyncio.sleep(0.5)
    journal.fails = ""
    assert await shop.client(journal=journal).reconcile(min_age=0) == []
    assert (await buying).confirmed_by == "answer"


@pytest.mark.parametrize("moment", ["begin", "replace"])
@pytest.mark.parametrize("number", [NUMBER, NUMBER.removeprefix("+"), NUMBER.replace("+", "%2B")])
async def test_the_error_of_a_journal_that_names_the_number(shop, caplog, moment, number):
    """No phone number comes out of a journal's error, though databases name what they keep."""
    shop.journal.hold = moment
    shop.journal.error = RuntimeError(f"INSERT failed, with the parameters ('loc1', '{number}')")
    with pytest.raises((JournalUnavailableError, PurchaseOutcomeUnknownError)) as caught:
        await shop.client().purchase(PLACE, NUMBER)
    assert "INSERT failed" in str(caught.value)
    assert NUMBER[1:] not in str(caught.value) + repr(caught.value) + caplog.text
