"""The request budget of each location: a sliding window that is never overdrawn.

The service counts a request when it arrives, at some moment between its being sent and its
being answered. So a slot counts from the moment it is granted until one whole period after
the answer: whatever the way took, the service never sees more than the limit in any window.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Self

from attrs import define, evolve, field

from ._budget import Budget
from .errors import DailyQuotaExhaustedError
from .models import RateLimitStatus

# Of so many grants to a line with bulk calls in it, one at least goes to them.
_BULK_TURN = 10

_is_bulk: ContextVar[bool] = ContextVar("lcphone_async.bulk", default=False)


@contextmanager
def bulk() -> Iterator[None]:
    """Marks the calls of the block as bulk work, which lets other calls go first.

    Where there is a line, one slot in ten still goes to bulk calls, and where there is none they
    take all but two in a hundred.

    >>> async def audit(client, location_id):
    ...     with bulk():
    ...         return [number async for number in client.active_numbers(location_id)]
    """
    token = _is_bulk.set(True)
    try:
        yield
    finally:
        _is_bulk.reset(token)


class RateLimiter:
    """At most `max_requests` requests in any `period` seconds, for each key on its own.

    The defaults are the documented limit, 100 requests in 10 s for each location. Where the
    service's own headers tell of a stricter limit, of requests that others make on the same
    budget, or that the day's quota is spent, the limiter keeps to that. Waiters are served in
    the order they came. Hand the same limiter to several clients to share one budget; they must
    run on the same event loop.

    - `daily_reserve`: how many of the day's requests `bulk` calls leave for others.

    >>> limiter = RateLimiter(max_requests=100, period=10.0)
    >>> async def search():
    ...     async with limiter.slot("a location's id"):
    ...         ...  # one request

    Raises `ValueError` if there is room for no request or the period is no time.
    """

    def __init__(
        self, max_requests: int = 100, period: float = 10.0, *, daily_reserve: int = 0
    ) -> None:
        if max_requests < 1:
            raise ValueError(f"max_requests must be 1 or more, not {max_requests}")
        if not 0 < period < float("inf"):
            raise ValueError(f"period must be a positive number of seconds, not {period}")
        if daily_reserve < 0:
            raise ValueError(f"daily_reserve must be 0 or more, not {daily_reserve}")
        self.max_requests = max_requests
        self.period = period
        self.daily_reserve = daily_reserve
        self._windows: dict[str, _Window] = {}
        self._sweep_at = 64

    def __repr__(self) -> str:
        return f"RateLimiter(max_requests={self.max_requests}, period={self.period})"

    def slot(self, key: str, *, learns: bool = False) -> Slot:
        """An async context manager around one request of `key`; entering it waits for room.

        `learns` promises that the holder calls `learn` with the answer: then no more than a quarter
        of the slots (or ten) is granted before the first answer, as others may have spent some.
        Entering raises `DailyQuotaExhaustedError` while the day's quota is known to be spent.
        """
        return Slot(self, key, learns=learns)

    def status(self, key: str) -> RateLimitStatus:
        """What the service last said of the key's limits."""
        window = self._windows.get(key)
        return RateLimitStatus() if window is None else window.budget.status

    def _window(self, key: str) -> _Window:
        window = self._windows.get(key)
        if window is None:
            self._forget_idle_windows()
            budget = Budget(self.max_requests, self.period, self.daily_reserve)
            window = self._windows[key] = _Window(budget)
        return window

    def _forget_idle_windows(self) -> None:
        """Memory only for locations in use: swept each time their count has doubled."""
        if len(self._windows) < self._sweep_at:
            return
        now = asyncio.get_running_loop().time()
        self._windows = {key: window for key, window in self._windows.items() if window.in_use(now)}
        self._sweep_at = max(64, 2 * len(self._windows))


class Slot:
    """Room for one request, while it is under way and for one period after."""

    __slots__ = ("_counts", "_expired", "_key", "_learns", "_limiter", "_number", "_window")

    def __init__(self, limiter: RateLimiter, key: str, *, learns: bool) -> None:
        self._limiter = limiter
        self._key = key
        self._learns = learns

    def learn(self, status: RateLimitStatus, *, refused: bool = False) -> None:
        """Takes in what the answer's headers said, and whether it was a refusal (429)."""
        self._counts = not refused
        self._window.learn(status, self._number, self._expired, refused=refused)

    async def __aenter__(self) -> Self:
        self._window = window = self._limiter._window(self._key)  # noqa: SLF001  # its own room
        window.learns = self._learns
        bulk = _is_bulk.get()
        self._number, self._expired = window.take(bulk=bulk) or await window.wait(bulk=bulk)
        self._counts = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._window.answered(counts=self._counts)


_Grant = tuple[int, int]
_Waiter = asyncio.Future[_Grant]


@define(eq=False)
class _Window:
    """One key's slots: those in flight, those answered within the last period, and who waits."""

    budget: Budget
    learns: bool = False
    in_flight: int = 0
    answers: deque[float] = field(factory=deque)
    """When each answer came whose slot is still taken, oldest first."""
    waiters: deque[_Waiter] = field(factory=deque)
    bulk_waiters: deque[_Waiter] = field(factory=deque)
    expired: int = 0
    """How many slots were free again so far."""
    timer: asyncio.TimerHandle | None = None
    grants_before_bulk: int = _BULK_TURN

    def in_use(self, now: float) -> bool:
        return self._taken(now) > 0 or self._anyone_waits() or self.budget.is_spent_for_today(now)

    def take(self, *, bulk: bool) -> _Grant | None:
        """A slot, if there is room and nobody waits; its number and how many expired before."""
        now = asyncio.get_running_loop().time()
        self.budget.check_day(now, bulk=bulk)
        if self.waiters or self.bulk_waiters or not self._has_room(now, bulk=bulk):
            return None
        return self._granted(now)

    async def wait(self, *, bulk: bool) -> _Grant:
        """A slot, once it is this call's turn."""
        loop = asyncio.get_running_loop()
        line = self.bulk_waiters if bulk else self.waiters
        waiter: _Waiter = loop.create_future()
        line.append(waiter)
        self._grant(loop.time())
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                with suppress(ValueError):  # out of the line already, where its turn had come
                    line.remove(waiter)
            else:
                self.in_flight -= 1
            self._grant(loop.time())
            raise

    def answered(self, *, counts: bool) -> None:
        """Ends a request; one that was refused does not count in the service's window."""
        now = asyncio.get_running_loop().time()
        self.in_flight -= 1
        if counts:
            self.answers.append(now)
        self._grant(now)

    def learn(self, status: RateLimitStatus, number: int, expired: int, *, refused: bool) -> None:
        """Takes in an answer's headers, of a slot before which `expired` slots had expired."""
        now = asyncio.get_running_loop().time()
        ours = self._taken(now) + self.expired - expired - refused
        self.budget.learn(status, number=number, ours=ours, now=now, refused=refused)
        self._turn_away_for_today(now)
        self._grant(now)

    def _anyone_waits(self) -> bool:
        return bool(self.waiters or self.bulk_waiters)

    def _taken(self, now: float) -> int:
        answers, period = self.answers, self.budget.period
        while answers and answers[0] + period <= now:
            answers.popleft()
            self.expired += 1
        return self.in_flight + len(answers)

    def _has_room(self, now: float, *, bulk: bool) -> bool:
        if now < self.budget.pause_until:
            return False
        if self.learns and self.in_flight >= self.budget.in_flight_at_most:
            return False
        return self._taken(now) < self.budget.limit(now, bulk=bulk)

    def _granted(self, now: float) -> _Grant:
        self.in_flight += 1
        return self.budget.grant(now), self.expired

    def _grant(self, now: float) -> None:
        """Gives what room there is to those who have waited longest."""
        while (line := self._next_line(now)) is not None:
            waiter = line.popleft()
            if not waiter.done():
                waiter.set_result(self._granted(now))
        self._set_timer(now)

    def _next_line(self, now: float) -> deque[_Waiter] | None:
        """The line whose turn it is, if there is room for it."""
        bulk = not self.waiters or (self.grants_before_bulk == 0 and bool(self.bulk_waiters))
        line = self.bulk_waiters if bulk else self.waiters
        if not line or not self._has_room(now, bulk=bulk and not self.waiters):
            return None
        self.grants_before_bulk = _BULK_TURN if bulk else max(0, self.grants_before_bulk - 1)
        return line

    def _turn_away_for_today(self, now: float) -> None:
        """Ends the wait of those for whom the day has no request left."""
        for line in (self.waiters, self.bulk_waiters):
            try:
                self.budget.check_day(now, bulk=line is self.bulk_waiters)
            except DailyQuotaExhaustedError as error:
                while line:
                    waiter = line.popleft()
                    if not waiter.done():
                        waiter.set_exception(evolve(error))

    def _set_timer(self, now: float) -> None:
        """One timer, at the moment when there may be room again, and only while someone waits."""
        moment = self._room_may_come_at(now) if self._anyone_waits() else None
        if self.timer is not None:
            if moment is not None and self.timer.when() <= moment:
                return
            self.timer.cancel()
            self.timer = None
        if moment is not None:
            self.timer = asyncio.get_running_loop().call_at(moment, self._timer_fired)

    def _room_may_come_at(self, now: float) -> float | None:
        """When the next slot may be granted; `None` if first an answer must come."""
        if now < self.budget.pause_until:
            return self.budget.pause_until
        free = self.answers[0] + self.budget.period if self.answers else None
        rises = self.budget.limit_rises_at(now)
        return min((moment for moment in (free, rises) if moment is not None), default=None)

    def _timer_fired(self) -> None:
        self.timer = None
        self._grant(asyncio.get_running_loop().time())
