"""The sliding window: never overdrawn, in order, and nothing lost to a cancelled waiter."""

import asyncio
import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcphone_async import RateLimiter
from support.fake_clock import run


async def take(limiter, key, seconds, log):
    """One request that takes `seconds`; logs when it was sent and when it was answered."""
    now = asyncio.get_running_loop().time
    async with limiter.slot(key):
        sent = now()
        await asyncio.sleep(seconds)
        log.append((sent, now()))


def most_in_any_window(times, period):
    """The most of `times` that any window, open at one end, of `period` seconds holds."""
    return max(
        (sum(start <= time < start + period for time in times) for start in times), default=0
    )


def test_grants_at_once_while_there_is_room():
    """Grants as many slots as the limit without a wait."""

    async def main():
        log = []
        limiter = RateLimiter(3, 10)
        await asyncio.gather(*(take(limiter, "a", 0, log) for _ in range(3)))
        return log

    assert run(main()) == [(0, 0)] * 3


def test_a_slot_is_taken_until_a_period_after_the_answer():
    """Grants the next slot one period after the answer, not after the grant."""

    async def main():
        log = []
        limiter = RateLimiter(1, 10)
        await asyncio.gather(*(take(limiter, "a", 2, log) for _ in range(3)))
        return [sent for sent, _ in log]

    assert run(main()) == [0, 12, 24]


def test_keys_have_budgets_of_their_own():
    """Grants one location's slots whatever another has used."""

    async def main():
        log = []
        limiter = RateLimiter(1, 10)
        await asyncio.gather(*(take(limiter, key, 0, log) for key in "abc"))
        return log

    assert run(main()) == [(0, 0)] * 3


def test_waiters_are_served_in_order():
    """Serves those who wait in the order in which they came."""

    async def main():
        order = []
        limiter = RateLimiter(2, 1)

        async def one(name):
            async with limiter.slot("a"):
                order.append(name)

        await asyncio.gather(*(one(name) for name in range(9)))
        return order

    assert run(main()) == list(range(9))


def test_a_newcomer_does_not_overtake_a_waiter():
    """Sends a newcomer to the end of the line also when a slot has just become free."""

    async def main():
        order = []
        limiter = RateLimiter(1, 1)

        async def one(name, delay):
            await asyncio.sleep(delay)
            async with limiter.slot("a"):
                order.append(name)

        await asyncio.gather(one("first", 0), one("waiter", 0.5), one("newcomer", 1.0))
        return order

    assert run(main()) == ["first", "waiter", "newcomer"]


def test_a_newcomer_does_not_overtake_one_that_is_waking():
    """Lets those whose slots were just granted go on before a call that comes meanwhile."""

    async def main():
        order = []
        limiter = RateLimiter(3, 1)

        async def one(name):
            async with limiter.slot("a"):
                order.append(name)

        await asyncio.gather(*(one("first") for _ in range(3)))
        waiters = [asyncio.create_task(one(f"waiter {number}")) for number in range(2)]
        loop = asyncio.get_running_loop()
        newcomer = loop.create_future()
        # Right after the limiter's timer: the waiters are granted, and have not run yet.
        loop.call_later(1, lambda: newcomer.set_result(loop.create_task(one("newcomer"))))
        await asyncio.gather(*waiters, await newcomer)
        return order[3:]

    assert run(main()) == ["waiter 0", "waiter 1", "newcomer"]


@pytest.mark.parametrize(
    ("cancel_at", "served_at"),
    [(0.5, [0, 1]), (1.0, [0, 1]), (1.5, [0, 1, 2])],
    ids=["before", "at", "after"],
)
def test_a_cancelled_waiter_gives_its_slot_on(cancel_at, served_at):
    """Lets the next one in when a waiter is cancelled before, at or after its grant."""

    async def main():
        log = []
        limiter = RateLimiter(1, 1)
        tasks = [asyncio.create_task(take(limiter, "a", 0, log)) for _ in range(3)]
        asyncio.get_running_loop().call_at(cancel_at, tasks[1].cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        return [sent for sent, _ in log]

    assert run(main()) == served_at


def test_a_waiter_cancelled_as_it_is_granted_gives_its_slot_on_at_once():
    """Hands the slot on, with no period lost, when the grant and the cancellation meet."""

    async def main():
        limiter = RateLimiter(1, 1)
        log = []
        await take(limiter, "a", 0, log)
        second, third = (asyncio.create_task(take(limiter, "a", 0, log)) for _ in range(2))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_at(1, second.cancel)  # right after the limiter's timer
        await asyncio.gather(second, third, return_exceptions=True)
        return log

    assert run(main()) == [(0, 0), (1, 1)]


def test_a_request_that_fails_has_used_its_slot():
    """Counts a request that raised: the service may have seen it."""

    async def main():
        limiter = RateLimiter(1, 10)
        with pytest.raises(RuntimeError):
            async with limiter.slot("a"):
                raise RuntimeError
        log = []
        await take(limiter, "a", 0, log)
        return log

    assert run(main()) == [(10, 10)]


def test_one_timer_however_many_wait():
    """Keeps one timer for a line of waiters, and none where nobody waits."""

    async def main():
        limiter = RateLimiter(1, 10)
        log = []
        await take(limiter, "a", 0, log)
        without_waiters = len(asyncio.get_running_loop()._scheduled)
        tasks = [asyncio.create_task(take(limiter, "a", 0, log)) for _ in range(100)]
        await asyncio.sleep(0)
        timers = [t for t in asyncio.get_running_loop()._scheduled if not t.cancelled()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        left = [t for t in asyncio.get_running_loop()._scheduled if not t.cancelled()]
        return without_waiters, len(timers), len(left)

    assert run(main()) == (0, 1, 0)


def test_idle_locations_are_forgotten():
    """Holds no memory of thousands of locations whose last period is over."""

    async def main():
        limiter = RateLimiter(1, 1)
        for second in range(50):
            for name in range(100):
                async with limiter.slot(f"{second}-{name}"):
                    pass
            await asyncio.sleep(2)
        gc.collect()
        return len(limiter._registry)

    assert run(main()) <= 300


def test_a_slot_made_long_before_it_is_entered_counts():
    """Never overdraws through a slot object that waited while its location was forgotten."""

    async def main():
        limiter = RateLimiter(1, 10)
        early = limiter.slot("a")
        for name in range(1000):
            async with limiter.slot(f"other-{name}"):
                pass
        log = []
        async with early:
            pass
        await take(limiter, "a", 0, log)
        return log

    assert run(main()) == [(10, 10)]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((0, 10), "max_requests"), ((1, 0), "period"), ((1, float("inf")), "period")],
)
def test_refuses_a_budget_of_nothing(arguments, named):
    """Raises `ValueError`, which names the argument, for a limit that lets nothing through."""
    with pytest.raises(ValueError, match=named):
        RateLimiter(*arguments)


@settings(deadline=None)
@given(
    max_requests=st.integers(1, 5),
    requests=st.lists(
        st.tuples(
            st.floats(0, 30),  # when it comes
            st.floats(0, 15),  # how long its answer takes
            st.none() | st.floats(0, 40),  # when it is cancelled
            st.floats(0, 1),  # where between sending and answer the service counts it
        ),
        max_size=40,
    ),
)
def test_no_window_is_ever_overdrawn(max_requests, requests):
    """Keeps to the limit in every window, whenever the service counts, whoever is cancelled."""
    period = 10
    counted = []

    async def one(limiter, comes, takes, seen):
        now = asyncio.get_running_loop().time
        await asyncio.sleep(comes)
        async with limiter.slot("a"):
            start = now()
            try:
                await asyncio.sleep(takes)
            finally:
                counted.append(start + seen * (now() - start))

    async def main():
        limiter = RateLimiter(max_requests, period)
        loop = asyncio.get_running_loop()
        tasks = []
        for comes, takes, cancelled, seen in requests:
            tasks.append(asyncio.create_task(one(limiter, comes, takes, seen)))
            if cancelled is not None:
                loop.call_at(cancelled, tasks[-1].cancel)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        return [r for r, request in zip(results, requests, strict=True) if request[2] is None]

    assert all(result is None for result in run(main()))
    assert most_in_any_window(counted, period) <= max_requests
