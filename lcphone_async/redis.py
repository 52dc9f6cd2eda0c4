"""Budgets, journals and tokens shared by many machines, through Redis or Valkey (extra `redis`)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from . import _checks as checks
from ._extras import extra
from ._line import in_bulk
from ._redis_server import (
    UnsafeRedisError,
    acknowledged,
    answer,
    check_eviction,
    check_one_slot,
    uncut,
)
from ._secrets import Secret
from ._shared_window import Granted, Link, SharedWindow
from ._tasks import OwnTasks
from ._windows import Windows
from .errors import (
    BudgetUnavailableError,
    CircuitOpenError,
    JournalUnavailableError,
    NumberAlreadyOwnedError,
    PurchaseInProgressError,
    SpendingLimitError,
    TokenUnavailableError,
)
from .journal import Past, PurchaseRecord, SpendingLimit
from .limiter import RateLimiter, new_budget
from .models import RateLimitStatus

with extra("redis"):
    from redis.asyncio import Redis, RedisCluster
    from redis.asyncio.lock import Lock
    from redis.exceptions import LockError, RedisError

T = TypeVar("T")

_logger = logging.getLogger("lcphone_async")

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
        link = Link(
            checks.redis_client("redis", redis),
            checks.seconds("timeout", timeout),
            has_local_share=local_share is not None,
        )
        start = checks.text("prefix", prefix)
        self._windows = Windows(lambda key: SharedWindow(link, start + key, new()), first)
        self._local_share = local_share
        self._outage_wait = checks.seconds("outage_wait", outage_wait, zero=True)

    def __repr__(self) -> str:
        return f"RedisRateLimiter(max_requests={self.max_requests}, period={self.period})"

    @property
    def max_requests(self) -> int:
        """The ceiling; without one, the limit of which the service told this process last."""
        return self._windows.latest.max_requests

    @property
    def period(self) -> float:
        """Seconds in which `max_requests` may be sent."""
        return self._windows.latest.period

    def slot(self, key: str, *, learns: bool = False) -> RedisSlot:
        """An async context manager around one request of `key`; entering it waits for room.

        Entering raises `BudgetUnavailableError` while Redis cannot be reached and there is no
        `local_share`, and `DailyQuotaExhaustedError` while the day is known to be spent.
        """
        return RedisSlot(
            self._windows, self._local_share, key, learns=learns, outage_wait=self._outage_wait
        )

    def status(self, key: str) -> RateLimitStatus:
        """What the service last told this process of the key's limits."""
        return self._windows.status(key)

    async def close(self) -> None:
        """Visits Redis no more until there is another call; it need not hear of the last answers.

        The slots of which it did not hear are free again after two periods at most.
        """
        await asyncio.gather(*(window.end_visits() for window in self._windows))


class RedisSlot:
    """Room for one request, in the shared budget or, while Redis is down, in the local share."""

    __slots__ = (
        "_counts",
        "_granted",
        "_key",
        "_learns",
        "_local",
        "_outage_wait",
        "_share",
        "_window",
        "_windows",
    )

    def __init__(
        self,
        windows: Windows[SharedWindow],
        local_share: RateLimiter | None,
        key: str,
        *,
        learns: bool,
        outage_wait: float,
    ) -> None:
        self._outage_wait = outage_wait
        self._windows = windows
        self._share = local_share
        self._key = key
        self._learns = learns

    def learn(self, status: RateLimitStatus, *, refused: bool = False) -> None:
        """Takes in what the answer's headers said, and whether it was a refusal (429)."""
        self._counts = not refused
        if self._local is not None:
            self._local.learn(status, refused=refused)
        self._window.learn(status, self._granted, refused=refused)
        self._windows.learned(self._window.budget)

    async def __aenter__(self) -> Self:
        self._window = self._windows.of(self._key)
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


# Both at once, so that a purchase that is closed or opened again meanwhile is not missed.
_ALL = """
local rows = redis.call('HVALS', KEYS[1])
for key = 2, 3 do
  for _, row in ipairs(redis.call('HVALS', KEYS[key])) do rows[#rows + 1] = row end
end
return rows
"""
_JOURNAL = Path(__file__).with_name("_journal.lua").read_text(encoding="utf-8")

# Seconds after which a Redis that does not answer counts as down.
_ANSWERED_WITHIN = 5.0


class RedisPurchaseJournal:
    """A journal in Redis, for services on several machines that buy the same numbers.

    One hash holds the open purchases, a field for each number of a location, so that only one can
    be open; others hold those that are closed, and the last one bought of a number.

    - `redis`: a client of redis-py's asyncio, for one Redis or Valkey, for a cluster, or of
      `Sentinel.master_for`.
    - `prefix`: of the keys; for a cluster, it must hold a hash tag.
    - `replicas`: how many replicas must have a purchase before it is sent. Without them, a failover
      may forget one that is open, and the number may be bought twice.

    `docs/redis.md` says how Redis must be set up. Raises `JournalUnavailableError` before anything
    is sent, if Redis fails, may evict keys, or has fewer replicas that acknowledge the purchase.

    >>> from redis.asyncio import Redis
    >>> journal = RedisPurchaseJournal(Redis())
    """

    def __init__(
        self,
        redis: Redis | RedisCluster,
        *,
        prefix: str = "{lcphone:purchases}:",
        replicas: int = 0,
    ) -> None:
        self._redis: Any = checks.redis_client("redis", redis)
        self._replicas = checks.whole_number("replicas", replicas, 0)
        check_one_slot(redis, checks.text("prefix", prefix))
        self._prefix = prefix
        self._open = f"{prefix}open"
        self._closed = f"{prefix}closed"
        self._closed_before = f"{prefix}settled"  # its name until 26 November; only read
        self._bought = f"{prefix}bought"
        self._refused = f"{prefix}refused"

    async def past(self, location_id: str, phone_number: str) -> Past:
        """Returns what is known of the number."""
        return await _kept(self._past(f"{location_id} {phone_number}"))

    async def begin(
        self, record: PurchaseRecord, past: Past, limit: SpendingLimit | None = None
    ) -> None:
        """Keeps a purchase before it is sent, each time."""
        if limit is not None:
            limit.check(record)
        in_the_way = await _kept(self._begin(record, past, limit))
        if in_the_way == "open":
            raise PurchaseInProgressError(record.location_id, record.phone_number)
        if in_the_way == "bought":
            raise NumberAlreadyOwnedError(record.location_id, record.phone_number)
        if limit is not None and in_the_way.startswith("limit "):
            spent = Decimal(in_the_way.removeprefix("limit ")) / _MILLION
            raise SpendingLimitError(Decimal(limit.amount), limit.currency, spent, record.price)

    async def replace(self, old: PurchaseRecord, new: PurchaseRecord) -> bool:
        """Keeps `new` if it holds the version of `old`."""
        return await _kept(self._run("replace", new, old.version)) == "1"

    async def records(self) -> list[PurchaseRecord]:
        """Returns every purchase, oldest first."""
        rows = await _kept(self._redis.eval(_ALL, 3, self._open, self._closed, self._closed_before))
        return sorted(map(_record, rows), key=lambda record: record.sent_at)

    async def _past(self, field: str) -> Past:
        # In this order: an open purchase may be made meanwhile, not the other way round.
        is_open = await self._redis.hexists(self._open, field)
        bought = await self._redis.hget(self._bought, field)
        return Past(bool(is_open), bought and _record(bought))

    async def _begin(self, record: PurchaseRecord, past: Past, limit: SpendingLimit | None) -> str:
        amount: object = ""
        since: object = "-inf"
        if limit is not None:
            amount = _millionths(Decimal(limit.amount), ROUND_DOWN)
            since = "-inf" if limit.since is None else limit.since.timestamp()
        await check_eviction(self._redis, self._open)
        last = past.bought.id if past.bought else ""
        return await self._run("begin", record, last, amount, since, replicas=self._replicas)

    async def _run(
        self, verb: str, record: PurchaseRecord, *more: object, replicas: int = 0
    ) -> str:
        """What the script returns."""
        spent = f"{self._prefix}spent:{record.currency}"
        reply = await acknowledged(
            self._redis,
            _JOURNAL,
            [self._open, self._closed, self._bought, self._refused, spent],
            [
                verb,
                f"{record.location_id} {record.phone_number}",
                record.id,
                _row(record),
                record.state.value,
                record.sent_at.timestamp(),
                "" if record.price is None else _millionths(record.price),
                *more,
            ],
            replicas,
        )
        return reply if isinstance(reply, str) else reply.decode()


_MILLION = 1_000_000


def _millionths(amount: Decimal, rounding: str = ROUND_UP) -> int:
    """An amount of money as a whole number, which Lua adds up without rounding."""
    return int((amount * _MILLION).to_integral_value(rounding))


async def _kept(work: Awaitable[T]) -> T:
    return await answer(work, JournalUnavailableError, _ANSWERED_WITHIN)


def _row(record: PurchaseRecord) -> str:
    return json.dumps(record.to_row())


def _record(row: bytes | str) -> PurchaseRecord:
    return PurchaseRecord.from_row(json.loads(row))


_LOOK_AGAIN = 0.05

# Seconds after which a lock that cannot be freed is left to its lease.
_RELEASE_WAIT = 1.0

# It may come twice, as redis-py sends a command again whose answer was lost.
_REPLACE = """
local kept = redis.call('GET', KEYS[1]) or ''
if kept ~= ARGV[1] and kept ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""


class RedisTokenStore:
    """A token store in Redis, for services on several machines that share an installation.

    - `redis`: a client of redis-py's asyncio, for one Redis or Valkey, or for a cluster.
    - `name`: of the installation, such as the location's id.
    - `prefix`: of the keys, one for the tokens and one for the lock.
    - `lease`: seconds after which the lock of a process that died is free again, and its refresh
      counts as given up; one that lives keeps both for as long as it needs.
    - `replicas`: how many replicas must have the mark of a refresh before it is sent, and the new
      tokens. Without them, a failover during a refresh may cost the installation.

    `docs/redis.md` says how Redis must be set up. Whoever can read this Redis can use the tokens.
    To begin anew, after the app was authorized again, delete the key.

    >>> from redis.asyncio import Redis
    >>> store = RedisTokenStore(Redis(), "ve9EPM428h8vShlRW1KT")
    """

    def __init__(
        self,
        redis: Redis | RedisCluster,
        name: str,
        *,
        prefix: str = "lcphone:tokens:",
        lease: float = 10.0,
        replicas: int = 0,
    ) -> None:
        self._redis: Any = checks.redis_client("redis", redis)
        self._replicas = checks.whole_number("replicas", replicas, 0)
        self._is_checked = False
        self.redis_key: str = checks.text("prefix", prefix) + checks.identifier("name", name)
        """Of the tokens."""
        self.lease: float = checks.seconds("lease", lease)

    def __repr__(self) -> str:
        return f"RedisTokenStore({self.redis_key!r})"

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """Held by one at a time; one that stands still for longer than `lease` may lose it."""
        name = f"{self.redis_key}:lock"
        lock = Lock(self._redis, name, self.lease, _LOOK_AGAIN, thread_local=False)
        await answer(self._acquire(lock), self._failure)
        async with OwnTasks() as tasks:
            tasks.start(_keep(lock, self.lease / 3))
            try:
                yield
            finally:
                # Lost: `replace` looks again before it writes. Out of reach: its lease ends.
                with suppress(RedisError, TimeoutError):
                    async with asyncio.timeout(_RELEASE_WAIT):
                        await uncut(lock.release())

    async def load(self) -> str | None:
        """The text; `None` before the first."""
        text = await answer(self._redis.get(self.redis_key), self._failure, _ANSWERED_WITHIN)
        if text is None:
            return None
        return Secret(text if isinstance(text, str) else text.decode())

    async def replace(self, old: str | None, new: str) -> bool:
        """Makes `new` the text where it still is `old`."""
        texts = [Secret(old or ""), Secret(new)]
        work = acknowledged(self._redis, _REPLACE, [self.redis_key], texts, self._replicas)
        return bool(await answer(work, self._failure, _ANSWERED_WITHIN))

    async def _acquire(self, lock: Lock) -> None:
        if not self._is_checked:
            try:
                await check_eviction(self._redis, self.redis_key)
            except UnsafeRedisError as error:
                _logger.warning("the tokens of %s may be lost in Redis: %s", self.redis_key, error)
            self._is_checked = True
        await lock.acquire()

    def _failure(self, reason: str) -> TokenUnavailableError:
        return TokenUnavailableError(f"the token store failed: {reason} (key '{self.redis_key}')")


async def _keep(lock: Lock, every: float) -> None:
    """Keeps a lock for as long as this runs."""
    while True:
        await asyncio.sleep(every)
        try:
            await uncut(lock.reacquire())
        except LockError:  # lost, or free again
            return
        except RedisError:  # out of reach now, and perhaps not at the next try
            continue
