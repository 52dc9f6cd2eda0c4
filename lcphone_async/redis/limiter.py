"""`RedisRateLimiter`: budgets shared by all processes that use the same Redis and prefix."""

from __future__ import annotations

import asyncio
from functools import partial
from types import TracebackType
from typing import Self

from redis.asyncio import Redis, RedisCluster

from .._internal import checks
from ..errors import (
    BudgetUnavailableError,
    CircuitOpenError,
)
from ..limiter.local import RateLimiter, new_budget
from ..limiter.queue import in_bulk
from ..limiter.registry import WindowRegistry
from ..models import RateLimitStatus
from .window import Granted, ScriptRunner, SharedWindow

# Seconds after which a call that waits for Redis asks for a slot again.
_OUTAGE_LOOK_AGAIN = 0.5


class RedisRateLimiter:
    """A `RateLimiter` whose slots are shared by all who use the same Redis and prefix.

    - `redis`: a client of redis-py's asyncio, for one Redis or Valkey, or for a cluster.
    - `max_requests`, `period` (seconds), `daily_reserve`: as of `RateLimiter`, the same for all.
      A limit that the service tells one process holds for all of them.
    - `prefix`: of the keys, one for each location in use.
    - `timeout`: seconds after which Redis counts as down.
    - `local_share`: the limiter to go on with while Redis is down, with this process' share of
      the budget. Without one, calls raise `BudgetUnavailableError` then, and send nothing.
    - `outage_wait`: seconds for which a call waits for a Redis that is down before it raises that.

    The slots of a process that dies are free again after two periods. Before the client of redis-py
    is closed, call `close`. It works on one event loop after the other: what waits on one that
    was left does so for ever. The connections of redis-py belong to their loop: close its client
    before that ends, and it may be used on the next. This is true of the journal and the token
    store too.

    >>> from redis.asyncio import Redis
    >>> limiter = RedisRateLimiter(Redis(), local_share=RateLimiter(max_requests=25))
    """

    def __init__(
        self,
        redis: Redis | RedisCluster,
        max_requests: int | None = None,
        period: float | None = None,
        *,
        daily_reserve: int = 0,
        prefix: str = "lcphone:budget:",
        timeout: float = 1.0,
        local_share: RateLimiter | None = None,
        outage_wait: float = 0.0,
    ) -> None:
        new = partial(new_budget, max_requests, period, daily_reserve)
        first = new()
        if local_share is not None:
            checks.instance("local_share", local_share, RateLimiter)
        runner = ScriptRunner(
            checks.redis_client("redis", redis),
            checks.seconds("timeout", timeout),
            has_local_share=local_share is not None,
        )
        start = checks.text("prefix", prefix)
        self._registry = WindowRegistry(lambda key: SharedWindow(runner, start + key, new()), first)
        self._local_share = local_share
        self._outage_wait = checks.seconds("outage_wait", outage_wait, zero=True)

    def __repr__(self) -> str:
        return f"RedisRateLimiter(max_requests={self.max_requests}, period={self.period})"

    @property
    def max_requests(self) -> int:
        """The ceiling; without one, the limit of which the service told this process last."""
        return self._registry.latest.max_requests

    @property
    def period(self) -> float:
        """Seconds in which `max_requests` may be sent."""
        return self._registry.latest.period

    def slot(self, key: str, *, learns: bool = False) -> RedisSlot:
        """An async context manager around one request of `key`; entering it waits for room.

        Entering raises `BudgetUnavailableError` while Redis cannot be reached and there is no
        `local_share`, and `DailyQuotaExhaustedError` while the day is known to be spent.
        """
        return RedisSlot(
            self._registry, self._local_share, key, learns=learns, outage_wait=self._outage_wait
        )

    def status(self, key: str) -> RateLimitStatus:
        """What the service last told this process of the key's limits."""
        return self._registry.status(key)

    async def close(self) -> None:
        """Visits Redis no more until there is another call; it need not hear of the last answers.

        The slots of which it did not hear are free again after two periods at most.
        """
        await asyncio.gather(*(window.stop_sync() for window in self._registry))


class RedisSlot:
    """Room for one request, in the shared budget or, while Redis is down, in the local share."""

    __slots__ = (
        "_counts",
        "_granted",
        "_key",
        "_learns",
        "_local",
        "_outage_wait",
        "_registry",
        "_share",
        "_window",
    )

    def __init__(
        self,
        registry: WindowRegistry[SharedWindow],
        local_share: RateLimiter | None,
        key: str,
        *,
        learns: bool,
        outage_wait: float,
    ) -> None:
        self._outage_wait = outage_wait
        self._registry = registry
        self._share = local_share
        self._key = key
        self._learns = learns

    def learn(self, status: RateLimitStatus, *, refused: bool = False) -> None:
        """Takes in what the answer's headers said, and whether it was a refusal (429)."""
        self._counts = not refused
        if self._local is not None:
            self._local.learn(status, refused=refused)
        self._window.learn(status, self._granted, refused=refused)
        self._registry.learned(self._window.budget)

    async def __aenter__(self) -> Self:
        self._window = self._registry.of(self._key)
        self._window.learns = self._learns
        self._granted = await self._acquired()
        self._counts = True
        self._local = None
        if self._granted.is_local and self._share is not None:
            self._local = self._share.slot(self._key, learns=self._learns)
            await self._local.__aenter__()
            self._window.began_locally(self._granted)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._local is not None:
            await self._local.__aexit__(exc_type, exc, traceback)
        was_sent = not isinstance(exc, CircuitOpenError)
        self._window.answered(self._granted, counts=self._counts and was_sent)

    async def _acquired(self) -> Granted:
        now = asyncio.get_running_loop().time
        until = now() + self._outage_wait
        while True:
            try:
                return await self._window.acquire(bulk=in_bulk())
            except BudgetUnavailableError:
                if now() >= until:
                    raise
            await asyncio.sleep(min(_OUTAGE_LOOK_AGAIN, max(until - now(), 0)))
