"""The system clock jumps, by an hour or by years, at any point of a call."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from multidict import CIMultiDict

from lcphone_async import (
    DailyQuotaExhaustedError,
    NumberAlreadyOwnedError,
    PurchaseInProgressError,
    PurchaseOutcomeUnknownError,
    RateLimiter,
    RateLimitStatus,
)
from lcphone_async._internal import clock
from lcphone_async._wire.headers import retry_after
from lcphone_async.sandbox import Fault
from support.shop import NUMBER, PLACE, Shop

YEARS = timedelta(days=3650)
JUMPS = pytest.mark.parametrize(
    "jump", [timedelta(hours=1), YEARS, -timedelta(hours=1), -YEARS], ids=str
)
RESET = Fault(operation="purchase", damage="reset")
SPENT = RateLimitStatus(daily_limit=200_000, daily_remaining=0, daily_reset=3_600.0)


class TimeOfDay:
    def __init__(self):
        self.ahead = timedelta()

    def __call__(self):
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def time_of_day(monkeypatch):
    """The system's time of day, which a test may set."""
    time = TimeOfDay()
    monkeypatch.setattr(clock, "now", time)
    return time


@pytest.fixture
async def shop(tmp_path):
    async with Shop(tmp_path / "purchases.db") as shop:
        yield shop


@pytest.mark.sample(2)
@JUMPS
async def test_a_purchase_of_unknown_outcome(shop, time_of_day, jump):
    """Stays open however the clock is set: `reconcile` goes by its true age."""
    shop.fails(RESET)
    with pytest.raises(PurchaseOutcomeUnknownError):
        await shop.client().purchase(PLACE, NUMBER)
    time_of_day.ahead = jump
    assert [record.state for record in await shop.client().reconcile()] == ["unknown"]
    with pytest.raises(PurchaseInProgressError):
        await shop.client().purchase(PLACE, NUMBER)
    await asyncio.sleep(0.1)
    assert [record.state for record in await shop.client().reconcile(min_age=0.05)] == [
        "not bought"
    ]


@pytest.mark.sample(1)
@JUMPS
async def test_a_purchase_in_progress(shop, time_of_day, jump):
    """Stays with its maker if the clock is set while it is sent, and is not repeated."""
    slow = Fault(operation="purchase", delay=2)
    shop.fails(slow)
    buying = asyncio.create_task(shop.client(timeout=5).purchase(PLACE, NUMBER))
    await shop.struck(slow)
    time_of_day.ahead = jump
    other = shop.client(journal=shop.journal_of_another())
    assert await other.reconcile() == []
    with pytest.raises(PurchaseInProgressError):
        await other.purchase(PLACE, NUMBER)
    assert (await buying).confirmed_by == "answer"
    assert shop.paid == [NUMBER]


@JUMPS
async def test_a_list_that_is_behind(shop, time_of_day, jump):
    """A number that was just bought is not bought again, even if the list lacks it."""
    await shop.client().purchase(PLACE, NUMBER)
    shop.sandbox.location(PLACE).release(NUMBER)
    time_of_day.ahead = jump
    with pytest.raises(NumberAlreadyOwnedError):
        await shop.client().purchase(PLACE, NUMBER)
    assert shop.paid == [NUMBER]


async def test_a_record_from_the_future(shop, time_of_day):
    """A clock that was set back makes another process wait, and never buy twice."""
    time_of_day.ahead = YEARS
    shop.fails(RESET)
    with pytest.raises(PurchaseOutcomeUnknownError):
        await shop.client().purchase(PLACE, NUMBER)
    time_of_day.ahead = timedelta()
    of_another = "UPDATE purchases SET id = 'of another process'"
    await shop.journal._run(shop.journal._database.execute, of_another)
    assert [record.state for record in await shop.client().reconcile()] == ["unknown"]
    assert [record.state for record in await shop.client().reconcile(min_age=0)] == ["not bought"]


@pytest.mark.parametrize("jump", [YEARS, -YEARS], ids=str)
async def test_an_exhausted_daily_quota(time_of_day, jump):
    """Stays exhausted until the limit resets, however the clock is set."""
    limiter = RateLimiter()
    await spend(limiter)
    time_of_day.ahead = jump
    with pytest.raises(DailyQuotaExhaustedError) as caught:
        await spend(limiter)
    assert 0 < caught.value.retry_after <= 3_600


async def spend(limiter):
    async with limiter.slot("a", learns=True) as slot:
        slot.learn(SPENT)


@pytest.mark.parametrize("jump", [timedelta(), YEARS, -YEARS], ids=str)
@pytest.mark.parametrize("wait", [0, 7, 3600])
def test_a_retry_after_date(time_of_day, jump, wait):
    """Is relative to the service's clock, however wrong ours is."""
    time_of_day.ahead = jump
    service = datetime(2026, 2, 23, 22, 0, 0, tzinfo=UTC)
    headers = CIMultiDict({"Date": http_date(service)})
    headers["Retry-After"] = http_date(service + timedelta(seconds=wait))
    assert retry_after(headers) == wait


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_a_retry_after_date_without_the_service_s_clock(time_of_day, date):
    """Is relative to our clock if the response has no `Date`."""
    headers = CIMultiDict({"Retry-After": http_date(time_of_day() + timedelta(seconds=100))})
    if date is not None:
        headers["Date"] = date
    assert 90 < retry_after(headers) <= 100


def http_date(date):
    return date.strftime("%a, %d %b %Y %H:%M:%S GMT")
