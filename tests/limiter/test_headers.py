"""What the limiter believes: the service's limit, other programs on the same budget, the day."""

import asyncio
import contextlib
from collections import deque
from datetime import UTC, datetime, timedelta

import pytest

from lcphone_async import (
    DailyQuotaExhaustedError,
    LCPhoneClient,
    RateLimiter,
    RateLimitStatus,
    RetryPolicy,
    bulk,
)
from lcphone_async.sandbox import Fault, Sandbox
from support.fake_clock import run


class Service:
    """Counts requests over a sliding window, and says so, as the service's headers do."""

    def __init__(self, max_requests=100, period=10.0, latency=0.05):
        self.max_requests, self.period, self.latency = max_requests, period, latency
        self.counted = deque()
        self.refusals = 0

    def change(self, max_requests, period):
        self.max_requests, self.period = max_requests, period

    async def request(self):
        now = asyncio.get_running_loop().time
        await asyncio.sleep(self.latency / 2)
        while self.counted and self.counted[0] <= now() - self.period:
            self.counted.popleft()
        refused = len(self.counted) >= self.max_requests
        if refused:
            self.refusals += 1
        else:
            self.counted.append(now())
        status = RateLimitStatus(
            max_requests=self.max_requests,
            period=self.period,
            remaining=max(0, self.max_requests - len(self.counted)),
        )
        await asyncio.sleep(self.latency / 2)
        return status, refused


async def call(limiter, service, log=None):
    """One request through the limiter, which learns from its answer."""
    async with limiter.slot("a", learns=True) as slot:
        if log is not None:
            log.append(asyncio.get_running_loop().time())
        status, refused = await service.request()
        slot.learn(status, refused=refused)
    return not refused


async def calls(limiter, service, count, log=None):
    return sum(await asyncio.gather(*(call(limiter, service, log) for _ in range(count))))


async def learn(limiter, **headers):
    """One request whose answer has these headers."""
    async with limiter.slot("a") as slot:
        slot.learn(RateLimitStatus(**headers))


async def learned_of_two(limiter, **headers):
    """How many of two requests the limiter lets through."""
    learned = 0
    for _ in range(2):
        with contextlib.suppress(DailyQuotaExhaustedError):
            await learn(limiter, **headers)
            learned += 1
    return learned


def test_a_stricter_limit_is_taken_over():
    """Keeps to `X-RateLimit-Max` and `-Interval-Milliseconds` from the first answer on."""

    async def main():
        limiter, service = RateLimiter(100, 10), Service(20, 2)
        await call(limiter, service)
        await calls(limiter, service, 200)
        return service.refusals, asyncio.get_running_loop().time()

    refusals, seconds = run(main())
    assert refusals == 0
    assert seconds < 21  # 200 requests at 20 in 2 s


def test_a_laxer_limit_is_not_taken_over():
    """Keeps to the caller's own numbers if the service would allow more."""

    async def main():
        limiter, service, sent = RateLimiter(5, 10), Service(1000, 10), []
        await call(limiter, service, sent)
        await calls(limiter, service, 20, sent)
        return sent

    sent = run(main())
    assert max(sum(start <= time < start + 10 for time in sent) for start in sent) == 5


@pytest.mark.parametrize(("max_requests", "period"), [(300, 10), (25, 10), (100, 2), (100, 30)])
def test_without_numbers_of_one_s_own_the_service_s_are_taken(max_requests, period):
    """Spends what the headers allow, be it more or less than is documented."""

    async def main():
        limiter, service, sent = RateLimiter(), Service(max_requests, period), []
        await call(limiter, service, sent)
        await calls(limiter, service, 3 * max_requests - 1, sent)
        return limiter, service.refusals, sent

    limiter, refusals, sent = run(main())
    assert (limiter.max_requests, limiter.period, refusals) == (max_requests, period, 0)
    assert repr(limiter) == f"RateLimiter(max_requests={max_requests}, period={period})"
    assert sent[-1] < 2 * (period + 0.1) + 1


def test_it_begins_with_the_documented_limit():
    """Takes 100 requests in 10 s until an answer says otherwise."""

    async def main():
        limiter, log = RateLimiter(), []
        assert (limiter.max_requests, limiter.period) == (100, 10)

        async def one():
            async with limiter.slot("a"):
                log.append(asyncio.get_running_loop().time())

        await asyncio.gather(*(one() for _ in range(101)))
        return log

    assert run(main()) == [0] * 100 + [10]


LIMITS = [(100, 10), (300, 10), (25, 10), (20, 2), (100, 30)]


@pytest.mark.sample(20)
@pytest.mark.parametrize("before", LIMITS)
@pytest.mark.parametrize("after", LIMITS)
@pytest.mark.parametrize("at", [0.2, 3, 9.97, 17])
def test_a_limit_that_changes_in_the_middle_of_a_window(before, after, at):
    """Is refused nothing once an answer told the new limit, and soon spends all of it."""

    async def main():
        limiter, service = RateLimiter(), Service(*before)
        now = asyncio.get_running_loop().time
        learned, served, refused = [], [], []

        async def one():
            async with limiter.slot("a", learns=True) as slot:
                sent = now()
                status, is_refused = await service.request()
                slot.learn(status, refused=is_refused)
            (refused if is_refused else served).append(sent)
            if (status.max_requests, status.period) == after:
                learned.append(now())

        async def worker():
            while now() < at + 130:
                await one()

        await one()
        asyncio.get_running_loop().call_at(at, service.change, *after)
        await asyncio.gather(*(worker() for _ in range(100)))
        late = [sent for sent in served if at + 70 <= sent < at + 130]
        return limiter, [sent for sent in refused if sent > learned[0]], len(late)

    limiter, refused, served = run(main())
    assert (limiter.max_requests, limiter.period, refused) == (*after, [])
    assert served > 0.9 * 60 * after[0] / after[1]


def test_the_stricter_of_two_limits_that_take_turns():
    """Keeps to the stricter one for as long as some answers tell it."""

    async def main():
        limiter, taken = RateLimiter(), 0
        told = [{"max_requests": 1000, "period": 1.0}, {"max_requests": 5, "period": 10.0}]
        await learn(limiter, **told[1])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(99):
                while True:
                    await learn(limiter, **told[taken % 2])
                    taken += 1
        return taken

    assert run(main()) <= 50


ABSURD = [
    {"max_requests": 10**15, "period": 10.0, "remaining": 10**15},
    {"max_requests": 10**9, "period": 10.0, "remaining": 0},
    {"max_requests": 100, "period": 0.001, "remaining": 99},
    {"max_requests": 10**9},
]


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("headers", ABSURD, ids=str)
def test_a_limit_beyond_belief_is_not_followed(headers, refused):
    """Keeps to the last limit that could be true, and shows none that could not."""

    async def main():
        limiter, sent = RateLimiter(), []

        async def one():
            async with limiter.slot("a") as slot:
                sent.append(asyncio.get_running_loop().time())
                slot.learn(RateLimitStatus(**headers), refused=refused and len(sent) == 1)

        await one()
        await asyncio.gather(*(one() for _ in range(150)))
        return limiter, sent

    limiter, sent = run(main())
    assert (limiter.max_requests, limiter.period) == (100, 10)
    assert limiter.status("a") == RateLimitStatus()
    assert sum(time < 10 for time in sent) <= 101


WRONG = [
    {},
    {"max_requests": 0, "period": 10.0, "remaining": 0},
    {"max_requests": 3, "period": 0.0},
    {"max_requests": 3, "period": 86_400.0, "remaining": 0},
    {"max_requests": 3, "period": 10.0, "remaining": 4},
    {"max_requests": 3, "period": 10.0, "daily_limit": 5, "daily_remaining": 6},
]


@pytest.mark.parametrize("headers", WRONG, ids=str)
def test_headers_without_sense_change_nothing(headers):
    """Goes on as before after headers that are missing, zero or contradict each other."""

    async def main():
        limiter = RateLimiter(10, 10)
        await learn(limiter, max_requests=10, period=10.0, remaining=9)
        await learn(limiter, **headers)
        async with asyncio.timeout(1):
            for _ in range(8):
                await learn(limiter)
        return limiter.status("a")

    assert run(main()) == RateLimitStatus(max_requests=10, period=10.0, remaining=9)


DAY = {"max_requests": 3, "period": 86_400.0, "remaining": 0}


def test_the_day_is_believed_beside_an_interval_that_is_not():
    """Takes from headers with an interval of a day what they say of the day."""

    async def main():
        limiter = RateLimiter(10, 10)
        await learn(limiter, **DAY, daily_limit=5, daily_remaining=0)
        with pytest.raises(DailyQuotaExhaustedError):
            await learn(limiter)
        return limiter.status("a")

    assert run(main()) == RateLimitStatus(daily_limit=5, daily_remaining=0)


def test_an_interval_as_long_as_our_own_is_believed():
    """Takes what the service says of an interval that the caller gave."""

    async def main():
        limiter = RateLimiter(10, 86_400)
        await learn(limiter, **DAY)
        return limiter.status("a")

    assert run(main()) == RateLimitStatus(**DAY)


@pytest.mark.parametrize("ours", [1, 20, 200], ids="{} tasks".format)
def test_another_program_s_half_is_left_to_it(ours):
    """Meets 429 in less than 1 % of its requests while others spend half of the budget."""
    minutes = 5

    async def main():
        limiter, service = RateLimiter(100, 10), Service(100, 10)
        now = asyncio.get_running_loop().time
        outcomes = []

        async def other():
            while now() < minutes * 60:
                await asyncio.gather(service.request(), asyncio.sleep(0.2))

        async def worker():
            while now() < minutes * 60:
                outcomes.append(await call(limiter, service))

        others = asyncio.create_task(other())
        await asyncio.sleep(10)  # the other program was there first
        await asyncio.gather(*(worker() for _ in range(ours)))
        await others
        return outcomes

    outcomes = run(main())
    assert outcomes.count(False) < 0.01 * len(outcomes)
    assert outcomes.count(True) > 0.8 * 50 * minutes * 6


def test_it_begins_with_a_few_requests():
    """Sends a quarter of the limit before the first answer, and the rest once it is known."""

    async def main():
        limiter, service, sent = RateLimiter(100, 10), Service(100, 10, latency=1), []
        await calls(limiter, service, 100, sent)
        return sent

    assert run(main()) == [0] * 25 + [1] * 75


def test_it_begins_again_after_a_request_without_an_answer():
    """Sends further requests where the first ones failed and taught nothing."""

    async def main():
        limiter, sent = RateLimiter(40, 10), []

        async def one():
            async with limiter.slot("a", learns=True):
                sent.append(asyncio.get_running_loop().time())
                await asyncio.sleep(1)

        await asyncio.gather(*(one() for _ in range(30)))
        return sent

    assert run(main()) == [0] * 10 + [1] * 10 + [2] * 10


def test_a_small_budget_that_is_shared_does_not_stall():
    """Goes on, if slowly, where others leave next to nothing."""

    async def main():
        limiter, service = RateLimiter(2, 1), Service(2, 1)

        async def other():
            while True:
                await service.request()
                await asyncio.sleep(1)

        others = asyncio.create_task(other())
        done = 0
        async with asyncio.timeout(60):
            while done < 5:
                done += await call(limiter, service)
        others.cancel()

    run(main())


def test_a_refusal_without_headers_means_that_the_window_is_spent():
    """Sends nothing more for a while after a 429, rather than the rest of the window."""

    async def main():
        limiter, sent = RateLimiter(100, 10), []

        async def one():
            async with limiter.slot("a") as slot:
                sent.append(asyncio.get_running_loop().time())
                slot.learn(RateLimitStatus(), refused=True)

        await one()
        await asyncio.gather(*(one() for _ in range(3)))
        return sent

    sent = run(main())
    assert sent[1] > 0
    assert len(set(sent)) == 4


SPENT = {"daily_limit": 200_000, "daily_remaining": 0}


def test_a_spent_day_is_told_at_once_until_it_resets():
    """Raises `DailyQuotaExhaustedError` without a slot, until `X-RateLimit-Daily-Reset` is over."""

    async def main():
        limiter = RateLimiter()
        await learn(limiter, **SPENT, daily_reset=30.0)
        with pytest.raises(DailyQuotaExhaustedError) as caught:
            async with limiter.slot("a"):
                pass
        async with limiter.slot("another location"):
            pass
        await asyncio.sleep(30)
        async with limiter.slot("a"):
            pass
        return caught.value.retry_after, asyncio.get_running_loop().time()

    assert run(main()) == (30, 30)


@pytest.mark.parametrize("reset", [None, 80_000.0])
def test_a_day_that_is_spent_is_asked_for_again_each_hour(reset):
    """Sends one call an hour, so that a single wrong header stops a location for no longer."""

    async def main():
        limiter = RateLimiter()
        await learn(limiter, **SPENT)
        sent = []
        for minute in range(0, 180, 10):
            headers = SPENT if minute < 120 else {"daily_limit": 200_000, "daily_remaining": 9}
            sent += [minute] * await learned_of_two(limiter, **headers, daily_reset=reset)
            await asyncio.sleep(600)
        return sent

    assert run(main()) == [60, *(minute for minute in range(120, 180, 10) for _ in range(2))]


def test_a_day_without_a_known_end():
    """Says that the limit resets within 24 hours, and not when: it need not be midnight."""

    async def main():
        limiter = RateLimiter()
        await learn(limiter, **SPENT)
        with pytest.raises(DailyQuotaExhaustedError, match="within 24 hours") as caught:
            await learn(limiter)
        return caught.value.retry_after

    assert run(main()) is None


def test_a_reserve_is_free_again_when_the_day_resets():
    """Turns bulk calls away, but for one an hour, only until the day resets, or for 24 hours."""

    async def main(**reset):
        limiter, sent = RateLimiter(daily_reserve=5), []
        now = asyncio.get_running_loop().time
        await learn(limiter, daily_limit=10, daily_remaining=5, **reset)
        with bulk():
            while len(sent) < 2 or sent[-1] > sent[-2] + 50:
                with contextlib.suppress(DailyQuotaExhaustedError):
                    await learn(limiter)
                    sent.append(now())
                await asyncio.sleep(50)
        return sent[:-1]

    assert run(main(daily_reset=100.0)) == [100]
    assert run(main()) == [3_600 * hour for hour in range(1, 25)]


@pytest.mark.parametrize("reset", [None, 80_000.0])
@pytest.mark.parametrize("left", [0, 5])
def test_bulk_calls_held_back_ask_again_each_hour(left, reset):
    """Lets one bulk call an hour through, whether the day or only the rest of it is spent."""

    async def main():
        limiter = RateLimiter(daily_reserve=5)
        headers = {"daily_limit": 10, "daily_remaining": left, "daily_reset": reset}
        await learn(limiter, **headers)
        sent = []
        with bulk():
            for minute in range(0, 180, 10):
                sent += [minute] * await learned_of_two(limiter, **headers)
                await asyncio.sleep(600)
        return sent

    assert run(main()) == [60, 120]


def test_bulk_calls_held_back_notice_a_day_that_reset():
    """Go on after the hour in which the day reset, if no header told when it would."""

    async def main():
        limiter = RateLimiter(daily_reserve=5)
        await learn(limiter, daily_limit=10, daily_remaining=5)
        await asyncio.sleep(3_600)
        with bulk():
            await learn(limiter, daily_limit=10, daily_remaining=9)
            await learn(limiter)

    run(main())


@pytest.mark.parametrize(
    ("headers", "after", "left"),
    [
        ({}, 9, (1, 2)),
        ({}, 10, (20, 2)),
        ({"daily_reset": 60.0}, 59, (20, 2)),
        ({"daily_reset": 60.0}, 60, (20, 50)),
        ({}, 86_399, (20, 2)),
        ({}, 86_400, (20, 50)),
        ({"max_requests": None, "daily_limit": None}, 86_400, (None, None)),
    ],
)
def test_a_status_whose_period_is_over(headers, after, left):
    """Shows the budget as free again once its period, or its day, is over."""
    told = {"max_requests": 20, "period": 10.0, "remaining": 1}
    told |= {"daily_limit": 50, "daily_remaining": 2} | headers

    async def main():
        limiter = RateLimiter()
        await learn(limiter, **told)
        await asyncio.sleep(after)
        return limiter.status("a")

    status = run(main())
    assert (status.remaining, status.daily_remaining) == left
    assert status.daily_reset == (None if left[1] != 2 else told.get("daily_reset"))


def test_a_status_outside_an_event_loop():
    """Is the last one, also once `asyncio.run` has ended."""
    limiter = RateLimiter()
    asyncio.run(learn(limiter, daily_limit=50, daily_remaining=2))
    assert limiter.status("a").daily_remaining == 2


def test_a_spent_day_ends_the_wait_of_those_in_line():
    """Raises for calls that wait for a slot as soon as the day is known to be spent."""

    async def main():
        limiter = RateLimiter(2, 10)
        await learn(limiter)

        async def last():
            async with limiter.slot("a") as slot:
                await asyncio.sleep(1)
                slot.learn(RateLimitStatus(**SPENT))

        waiting = (learn(limiter) for _ in range(5))
        results = await asyncio.gather(last(), *waiting, return_exceptions=True)
        return [type(result) for result in results], asyncio.get_running_loop().time()

    assert run(main()) == ([type(None), *[DailyQuotaExhaustedError] * 5], 1)


def test_bulk_calls_leave_the_reserve_to_others():
    """Turns away bulk calls once the day has no more than the reserve, and no other call."""

    async def main():
        limiter = RateLimiter(daily_reserve=500)
        await learn(limiter, daily_limit=200_000, daily_remaining=500)
        await learn(limiter)
        with bulk(), pytest.raises(DailyQuotaExhaustedError):
            await learn(limiter)

    run(main())


def test_a_call_does_not_wait_behind_bulk_calls():
    """Grants a single call at once, though bulk calls have spent all they may and wait in line."""

    async def main():
        limiter, log = RateLimiter(100, 10), []

        async def one(name):
            async with limiter.slot("a"):
                log.append((name, asyncio.get_running_loop().time()))

        with bulk():
            tasks = [asyncio.create_task(one("bulk")) for _ in range(500)]
        await asyncio.sleep(1)
        await one("search")
        await asyncio.gather(*tasks)
        return log

    log = run(main())
    assert ("search", 1) in log
    assert sum(time < 10 for _, time in log) >= 98


def test_bulk_calls_do_not_starve():
    """Grants a bulk call one slot in ten, however many others wait."""

    async def main():
        limiter, order = RateLimiter(1, 1), []

        async def one(name):
            async with limiter.slot("a"):
                order.append(name)

        with bulk():
            tasks = [asyncio.create_task(one("bulk")) for _ in range(5)]
        tasks += [asyncio.create_task(one("other")) for _ in range(60)]
        await asyncio.gather(*tasks)
        return order

    order = run(main())
    assert order[:55].count("bulk") == 5


async def test_the_client_tells_what_is_known():
    """Gives the limit headers of the last answer, as numbers, by location."""
    async with (
        Sandbox(max_requests=20, period=5.0, daily_quota=50) as sandbox,
        LCPhoneClient("any", base_url=sandbox.url) as client,
    ):
        assert client.rate_limit("a") == RateLimitStatus()
        await client.number_pools("a")
        status = client.rate_limit("a")
        assert status == RateLimitStatus(
            max_requests=20,
            period=5.0,
            remaining=19,
            daily_limit=50,
            daily_remaining=49,
            daily_reset=86_400.0,
        )
        assert timedelta() <= datetime.now(UTC) - status.as_of < timedelta(seconds=60)
        assert client.rate_limit("b") == RateLimitStatus()


async def test_limits_that_disagree_say_nothing():
    """Believes no header that came twice with two values, such as a day that is spent and not."""
    async with Sandbox() as sandbox, LCPhoneClient("any", base_url=sandbox.url) as client:
        sandbox.faults.append(Fault(point="after", damage="duplicate-headers"))
        for _ in range(3):
            await client.number_pools("a")
        assert client.rate_limit("a").daily_remaining is None


async def test_a_private_integration_token_s_limits():
    """Follows 25 requests in 10 s and 10,000 a day, and a walk prefetches no more."""
    async with (
        Sandbox(max_requests=25, daily_quota=10_000) as sandbox,
        LCPhoneClient("pit-any", base_url=sandbox.url) as client,
    ):
        assert client._calls.most_at_once("a") == 100
        await client.number_pools("a")
        assert client._calls.most_at_once("a") == 25
        await asyncio.gather(*(client.number_pools("a") for _ in range(24)))
        assert {record.status for record in sandbox.requests} == {200}


async def test_a_spent_day_stops_the_client_before_it_sends():
    """Raises `DailyQuotaExhaustedError`, which names the call, and sends nothing more."""
    async with (
        Sandbox(daily_quota=3) as sandbox,
        LCPhoneClient(
            "any", base_url=sandbox.url, retry=RetryPolicy(max_tries=1, confirm_timeout=0)
        ) as client,
    ):
        for _ in range(3):
            await client.number_pools("a")
        with pytest.raises(DailyQuotaExhaustedError, match="GET /phone-system/number-pools: 429"):
            await client.number_pools("a")
        with pytest.raises(DailyQuotaExhaustedError, match=r"resets in (1 day|23:59:)") as caught:
            await client.number_pools("a")
        assert 86_000 < caught.value.retry_after <= 86_400
        assert len(sandbox.requests) == 3
        await client.number_pools("b")


async def test_a_refusal_does_not_reach_the_caller():
    """Waits and tries again when another program has spent the window."""
    async with (
        Sandbox(max_requests=5, period=0.2) as sandbox,
        LCPhoneClient("other", base_url=sandbox.url) as other,
        LCPhoneClient("any", base_url=sandbox.url) as client,
    ):
        await asyncio.gather(*(other.number_pools("a") for _ in range(5)))
        await client.number_pools("a")
        assert [record.status for record in sandbox.requests].count(429) == 1
