"""One location's window in Redis, from the side of one process.

How it works: calls join a local wait queue. While any call waits, or Redis has to hear of a
response or a lease, one task runs `window.lua` again and again: one run asks for as many slots
as calls wait, reports the slots that ended, and renews the leases of requests that take long.
The script returns when to come back; until then the task sleeps, or is woken by new calls.
A witness is a recent slot that Redis must still have: if it is missing, Redis lost data, and the
process reports all that it has in flight. If Redis is down, calls use the local share or fail.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from contextlib import suppress
from math import inf
from pathlib import Path

from attrs import define, field
from redis.asyncio import Redis, RedisCluster

from ..errors import BudgetUnavailableError
from ..limiter.budget import Budget
from ..limiter.queue import WaitQueue
from ..models import RateLimitStatus
from .server import Script, server_of, told, uncut

_SCRIPT = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")

# Redis is asked side by side for so many locations at the most, fewer than its pool connects.
_MAX_CONCURRENT = 50

# Every so many visits bulk calls ask for what is left to others too, so as not to starve.
_FULL_LIMIT_TURN = 10

# Seconds for which a claim is kept for a process that does not come back for it.
_GRACE = 0.5

# Seconds for which Redis is left alone once it could not be reached.
_LEFT_ALONE = 1.0


class ScriptRunner:
    """The way to Redis, shared by all windows of a limiter."""

    def __init__(
        self, redis: Redis | RedisCluster, timeout: float, *, has_local_share: bool
    ) -> None:
        self._redis = redis
        self._script = Script(redis, _SCRIPT)
        self._timeout = timeout
        # Each server that could not be reached: until when it is left alone, and why.
        self._down: dict[str, tuple[float, str]] = {}
        self.has_local_share = has_local_share
        self._loop: asyncio.AbstractEventLoop | None = None
        # For each server, so that one that is down holds up no visits to another.
        self._free: defaultdict[str, asyncio.Semaphore] = defaultdict(_semaphore)
        self.process: str = secrets.token_hex(6)

    def adopt_loop(self) -> asyncio.AbstractEventLoop:
        """The running event loop, which may be another than the last.

        Raises `BudgetUnavailableError` while that one runs still.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._loop is not None and self._loop.is_running():
                raise BudgetUnavailableError("the limiter is in use on another event loop")
            self._loop = loop
            self._free.clear()
        return loop

    async def visit(
        self, key: str, arguments: list[str | int | float]
    ) -> tuple[int, float, bool, tuple[int, float]]:
        """Slots granted, seconds to wait for more, whether slots were lost, and the limit told.

        That limit is the strictest of those that answers told of late, to whichever process: its
        requests and its seconds, 0 if none did.
        Raises `BudgetUnavailableError`, at once while the server was found to be down just now: of
        a cluster, only the shard that has the key.
        """
        server = server_of(self._redis, key)
        self._raise_if_down(server)
        async with self._free[server]:
            self._raise_if_down(server)  # it may have been found out in the meantime
            try:
                async with asyncio.timeout(self._timeout):
                    answer = await uncut(self._script.run(key, arguments))
            except Exception as error:  # clients of clusters raise more than their own errors
                reason = f"Redis: {told(error, self._timeout)}"
                until = asyncio.get_running_loop().time() + _LEFT_ALONE
                self._down[server] = until, reason
                raise BudgetUnavailableError(reason) from error
        granted, wait, lost, requests, period = map(int, answer)
        return granted, wait / 1000, bool(lost), (requests, period / 1000)

    def _raise_if_down(self, server: str) -> None:
        until, reason = self._down.get(server, (0.0, ""))
        if asyncio.get_running_loop().time() < until:
            raise BudgetUnavailableError(reason)


def _semaphore() -> asyncio.Semaphore:
    return asyncio.Semaphore(_MAX_CONCURRENT)


@define(eq=False)
class Granted:
    """A slot of the shared window or, while Redis is down, of the local share."""

    name: str
    number: int
    is_local: bool


@define(eq=False)
class SharedWindow:
    """The process' slots in the window, what is still to be told of them, and who waits.

    Only while someone waits, or there is something to tell, a task visits Redis: once for a slot
    or for several, and for more just when Redis said that there will be room. It has no other
    timer, which could begin a visit while the event loop ends.
    """

    runner: ScriptRunner
    key: str
    budget: Budget
    learns: bool = False
    _queue: WaitQueue[Granted] = field(factory=WaitQueue)
    _next_number: int = 0
    _in_flight: dict[str, float] = field(factory=dict)
    """When each slot under way was granted, or its lease renewed."""
    _answered: dict[str, float] = field(factory=dict)
    """When each slot was answered of which Redis has not heard."""
    _witness: str = ""
    """A slot that Redis must know of until `_witness_until`."""
    _witness_until: float = 0.0
    _reported_limit: tuple[int, float, float] | None = None
    """What Redis heard last of the limit that an answer told."""
    _was_local: bool = False
    """Whether the local share was used since the last visit: others' may have been, too."""
    _syncs: int = 0
    _loop: asyncio.AbstractEventLoop | None = None
    _sync_task: asyncio.Task[None] | None = None
    _wake: asyncio.Event = field(factory=asyncio.Event)
    _is_idle: bool = False
    """Whether nobody waits, and the next visit is only to tell of answers and to renew leases."""

    def in_use(self, now: float) -> bool:
        """Whether there is something that must not be forgotten."""
        return (
            bool(self._is_syncing() or self._in_flight or self._answered)
            or now < self._witness_until
            or self.budget.is_spent_for_today(now)
        )

    async def acquire(self, *, bulk: bool) -> Granted:
        """A slot, once it is this call's turn."""
        self._adopt_loop()
        self.budget.check_day(_now(), bulk=bulk)
        if self._is_idle or (not bulk and self._queue.only_bulk):
            self._wake.set()  # bulk calls may wait where there is room for this one
        waiter = self._queue.join(bulk=bulk)
        self._ensure_syncing()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._queue.leave(waiter, bulk=bulk)
            elif waiter.exception() is None:
                self.answered(waiter.result(), counts=False)
            raise

    def answered(self, granted: Granted, *, counts: bool) -> None:
        """Ends a request; what was refused or not sent does not count in the service's window."""
        now = _now()
        self._in_flight.pop(granted.name, None)
        self._answered[granted.name] = now if counts else now - self.budget.period
        if not counts and granted.name == self._witness:
            self._witness_until = now
        self._wake_before_first_response()
        self._ensure_syncing()

    def began_locally(self, granted: Granted) -> None:
        """Counts a request that the local share lets go."""
        self._in_flight[granted.name] = _now()
        self._was_local = True
        self._ensure_syncing()

    def learn(self, status: RateLimitStatus, granted: Granted, *, refused: bool) -> None:
        """Takes in what an answer's headers said."""
        now = _now()
        self._wake_before_first_response()
        self.budget.learn(status, number=granted.number, ours=None, now=now, refused=refused)
        for bulk in (False, True):
            if (error := self.budget.spent_day(now, bulk=bulk)) is not None:
                self._queue.fail_all(error, bulk=bulk)

    def _wake_before_first_response(self) -> None:
        """Before the first answer, those who wait may be waiting for one."""
        if self.learns and self.budget.in_flight_at_most < inf:
            self._wake.set()

    async def stop_sync(self) -> None:
        """Ends the visit under way and those that are to come, until there is another call."""
        task = self._sync_task
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            task.cancel()
            await asyncio.wait([task])

    def _adopt_loop(self) -> None:
        """Begins anew on another event loop: what was under way on the last has ended with it."""
        loop = self.runner.adopt_loop()
        if loop is not self._loop:
            self._loop, self._sync_task = loop, None
            self._queue, self._wake = WaitQueue(), asyncio.Event()
            self._answered |= dict.fromkeys(self._in_flight, _now())
            self._in_flight.clear()

    def _is_syncing(self) -> bool:
        return self._sync_task is not None and not self._sync_task.done()

    def _ensure_syncing(self) -> None:
        if not self._is_syncing():
            self._sync_task = asyncio.create_task(self._sync_loop())

    async def _sync_loop(self) -> None:
        while self._needs_sync():
            self._wake.clear()
            wait = await self._sync()
            if self._needs_sync():
                await self._wait_for_news(wait)

    def _needs_sync(self) -> bool:
        return bool(len(self._queue) or self._in_flight or self._answered)

    async def _wait_for_news(self, seconds: float) -> None:
        self._is_idle = not len(self._queue)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.budget.period / 4 if self._is_idle else seconds):
                await self._wake.wait()
        self._is_idle = False

    async def _sync(self) -> float:
        """Visits Redis, if that may help now; gives the seconds until the next visit may."""
        now, period = _now(), self.budget.period
        want = self._slots_wanted(now)
        # Of what was answered long ago, Redis knows nothing any more.
        self._answered = {n: at for n, at in self._answered.items() if at > now - 3 * period}
        told = dict(self._answered)
        to_renew = [name for name, since in self._in_flight.items() if since < now - period / 2]
        if not (want or told or to_renew):
            return max(self.budget.pause_until - now, period / 4)
        arguments = self._arguments(now, want, told, to_renew)
        first = self._next_number
        self._next_number += want
        try:
            granted, wait, lost, (requests, seconds) = await self.runner.visit(self.key, arguments)
        except BudgetUnavailableError as error:
            self._fall_back(error)
            return period
        self._was_local = False
        if requests and self.budget.keep_to(requests, seconds, now):
            wait = 0.0  # it was told by another limit
        for name in told:
            self._answered.pop(name, None)
        self._in_flight.update((name, now) for name in to_renew if name in self._in_flight)
        if lost:  # Redis has forgotten: tell it of all that is under way
            self._in_flight = dict.fromkeys(self._in_flight, -inf)
            self._witness_until, self._reported_limit = now, None
            return 0.0
        for number in range(first, first + granted):
            self._serve(number)
        return wait if want else max(self.budget.pause_until - now, period / 4)

    def _slots_wanted(self, now: float) -> int:
        """How many slots to ask for now."""
        if not len(self._queue) or now < self.budget.pause_until:
            return 0
        if self.budget.is_shared(now):
            return 1
        if not self.learns:
            return len(self._queue)
        more = self.budget.in_flight_at_most - len(self._in_flight)
        return int(max(0, min(len(self._queue), more)))

    def _arguments(
        self, now: float, want: int, told: dict[str, float], to_renew: list[str]
    ) -> list[str | int | float]:
        """The script's arguments, times in milliseconds."""
        period = self.budget.period
        self._syncs += 1
        bulk = self._queue.only_bulk and self._syncs % _FULL_LIMIT_TURN > 0
        witness = self._witness if now < self._witness_until else "?" * self._was_local
        pairs = [(name, -period) for name in to_renew]
        pairs += [(name, now - answered) for name, answered in told.items()]
        return [
            self.budget.limit(now, bulk=bulk),
            period * 1000,
            period * 1000,
            want,
            self.runner.process,
            self._next_number,
            witness,
            _GRACE * 1000,
            *self._limit_to_report(now),
            *(part for name, age in pairs for part in (name, age * 1000)),
        ]

    def _limit_to_report(self, now: float) -> tuple[str, float]:
        """The limit that an answer told this process, if Redis should hear of it, and its age."""
        told, heard = self.budget.told, self._reported_limit
        if told is None or (heard and heard[:2] == told[:2] and told[2] < heard[2] + told[1] / 2):
            return "", 0
        self._reported_limit = told
        requests, period, at = told
        return f"limit:{requests}:{period * 1000}", (now - at) * 1000

    def _serve(self, number: int) -> None:
        now, name = _now(), f"{self.runner.process}:{number}"
        granted = Granted(name, self.budget.grant(now), is_local=False)
        self._in_flight[name] = now
        self._witness, self._witness_until = name, now + 0.9 * self.budget.period
        if not len(self._queue) or not self._queue.serve(granted):
            self.answered(granted, counts=False)

    def _fall_back(self, error: BudgetUnavailableError) -> None:
        """Sends those who wait to the local share, or away where there is none."""
        for bulk in (False, True):
            if not self.runner.has_local_share:
                self._queue.fail_all(error, bulk=bulk)
        while len(self._queue):
            name = f"{self.runner.process}:{self._next_number}"
            self._queue.serve(Granted(name, self.budget.grant(_now()), is_local=True))
            self._next_number += 1


def _now() -> float:
    return asyncio.get_running_loop().time()
