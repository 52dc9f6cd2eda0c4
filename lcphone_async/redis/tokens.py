"""`RedisTokenStore`: an installation's tokens in Redis, with a lock that its owner renews."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.lock import Lock
from redis.exceptions import LockError, RedisError

from .._internal import checks
from .._internal.secrets import Secret
from .._internal.tasks import OwnTasks
from ..errors import (
    TokenUnavailableError,
)
from . import server
from .server import UnsafeRedisError, acknowledged, answer, check_eviction, uncut

_logger = logging.getLogger("lcphone_async")

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
        text = await answer(self._redis.get(self.redis_key), self._failure, server.ANSWERED_WITHIN)
        if text is None:
            return None
        return Secret(text if isinstance(text, str) else text.decode())

    async def replace(self, old: str | None, new: str) -> bool:
        """Makes `new` the text where it still is `old`."""
        texts = [Secret(old or ""), Secret(new)]
        work = acknowledged(self._redis, _REPLACE, [self.redis_key], texts, self._replicas)
        return bool(await answer(work, self._failure, server.ANSWERED_WITHIN))

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
