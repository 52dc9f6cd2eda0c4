"""Ours and its peers, each used as its own documentation recommends, at 100 per period."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus

import limits
import limits.aio
from aiolimiter import AsyncLimiter
from pyrate_limiter import BucketAsyncWrapper, Duration, InMemoryBucket, Limiter, Rate
from throttled.asyncio import MemoryStore, RateLimiterType, Throttled, rate_limiter

from lcphone_async import RateLimiter, RateLimitStatus

LIMIT = 100
Send = Callable[[], Awaitable[tuple[int, int]]]
"""Sends a request; gives its status and what remains of the limit."""
Call = Callable[[Send], Awaitable[None]]
Make = Callable[[float], Call]
"""Makes, for a period, what does one call: waits for room, then sends."""


def ours(period: float) -> Call:
    limiter = RateLimiter(LIMIT, period)

    async def call(send: Send) -> None:
        async with limiter.slot("location"):
            await send()

    return call


def ours_learning(period: float) -> Call:
    """As `LCPhoneClient` uses it: it takes in the limit headers of each answer."""
    limiter = RateLimiter(LIMIT, period)

    async def call(send: Send) -> None:
        async with limiter.slot("location", learns=True) as slot:
            status, remaining = await send()
            slot.learn(
                RateLimitStatus(LIMIT, period, remaining),
                refused=status == HTTPStatus.TOO_MANY_REQUESTS,
            )

    return call


def of_aiolimiter(period: float) -> Call:
    limiter = AsyncLimiter(LIMIT, period)

    async def call(send: Send) -> None:
        async with limiter:
            await send()

    return call


def of_pyrate_limiter(period: float) -> Call:
    bucket = InMemoryBucket([Rate(LIMIT, int(Duration.SECOND * period))])
    limiter = Limiter(BucketAsyncWrapper(bucket))

    async def call(send: Send) -> None:
        await limiter.try_acquire_async("location")
        await send()

    return call


def of_limits(period: float) -> Call:
    limiter = limits.aio.strategies.MovingWindowRateLimiter(limits.aio.storage.MemoryStorage())
    item = limits.RateLimitItemPerSecond(LIMIT, int(period))

    async def call(send: Send) -> None:
        while not await limiter.hit(item, "location"):
            window = await limiter.get_window_stats(item, "location")
            await asyncio.sleep(max(0.0, window.reset_time - time.time()))
        await send()

    return call


def of_throttled(period: float) -> Call:
    quota = rate_limiter.per_duration(timedelta(seconds=period), LIMIT, burst=LIMIT)
    using = RateLimiterType.GCRA.value
    throttle = Throttled("location", timeout=600, using=using, quota=quota, store=MemoryStore())

    async def call(send: Send) -> None:
        async with throttle:
            await send()

    return call


OURS = {"lcphone_async": ours, "lcphone_async, learning": ours_learning}
PEERS = {
    "aiolimiter": of_aiolimiter,
    "pyrate-limiter": of_pyrate_limiter,
    "limits, moving window": of_limits,
    "throttled-py, GCRA": of_throttled,
}
LIMITERS = OURS | PEERS
PACKAGES = ["aiolimiter", "pyrate-limiter", "limits", "throttled-py"]
