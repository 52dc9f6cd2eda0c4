"""`RedisPurchaseJournal`: the purchase journal in Redis, for services on several machines."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from pathlib import Path
from typing import Any, TypeVar

from redis.asyncio import Redis, RedisCluster

from .._internal import checks
from ..errors import (
    JournalUnavailableError,
    NumberAlreadyOwnedError,
    PurchaseInProgressError,
    SpendingLimitError,
)
from ..journal import Past, PurchaseRecord, SpendingLimit
from . import server
from .server import acknowledged, answer, check_eviction, check_one_slot

T = TypeVar("T")

# Both at once, so that a purchase that is closed or opened again meanwhile is not missed.
_ALL = """
local rows = redis.call('HVALS', KEYS[1])
for key = 2, 3 do
  for _, row in ipairs(redis.call('HVALS', KEYS[key])) do rows[#rows + 1] = row end
end
return rows
"""

_SCRIPT = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")


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
            _SCRIPT,
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
    return await answer(work, JournalUnavailableError, server.ANSWERED_WITHIN)


def _row(record: PurchaseRecord) -> str:
    return json.dumps(record.to_row())


def _record(row: bytes | str) -> PurchaseRecord:
    return PurchaseRecord.from_row(json.loads(row))
