"""The request budget of each location: a sliding window that is never overdrawn.

The service counts a request when it arrives, at some moment between its being sent and its
being answered. So a slot counts from the moment it is granted until one whole period after
the answer: whatever the way took, the service never sees more than the limit in any window.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from types import TracebackType
from typing import Self

from attrs import define, field

from .._internal.checks import seconds, whole_number
from ..errors import CircuitOpenError
from ..models import RateLimitStatus
from .budget import Budget
from .queue import WaitQueue, in_bulk
from .registry import WindowRegistry

# What the service documents for each location.
_MAX_REQUESTS, _PERIOD = 100, 10.0


class RateLimiter:
    """At most `max_requests` requests in any `period` seconds, for each key on its own.

    Without `max_requests` and `period` it begins with the documented limit, 100 requests in 10 s
    for each location, and follows the limit that the service's headers tell, up and down. What is
    given is a ceiling: the headers only lower it. If they tell of requests that others make on
    the same budget, or that the day's quota is spent, the limiter keeps to that. Waiters are
    served in the order they came. Hand the same limiter to several clients to share one budget,
    on one event loop at a time: another one may follow once `asyncio.run` has ended the first.

    - `daily_reserve`: how many of the day's requests `bulk` calls leave for others.

    >>> limiter = RateLimiter(max_requests=100, period=10.0)
    >>> async def search():
    ...     async with limiter.slot("a location's id"):
    ...         ...  # one request

    Raises `TypeError` or `ValueError` if there is room for no request or the period is no time.
    """

    def __init__(
        self,
        max_requests: int | None = None,
        period: float | None = None,
        *,
        daily_reserve: int = 0,
    ) -> None:
        new = partial(new_budget, max_requests, period, daily_reserve)
        self._registry = WindowRegistry(lambda _: _Window(new()), new())

    def __repr__(self) -> str:
        return f"RateLimiter(max_requests={self.max_requests}, period={self.period})"

    @property
    def max_requests(self) -> int:
        """The ceiling; without one, the limit of which the service told last."""
        return self._registry.latest.max_requests

    @property
    def period(self) -> float:
        """Seconds in which `max_requests` may be sent."""
        return self._registry.latest.period

    @property
    def daily_reserve(self) -> int:
        """How many of the day's requests `bulk` calls leave for others."""
        return self._registry.latest.daily_reserve

    def slot(self, key: str, *, learns: bool = False) -> Slot:
        """An async context manager around one request of `key`; entering it waits for room.

        `learns` promises that the holder calls `learn` with the answer: then no more than a quarter
        of the slots (or ten) is granted before the first answer, as others may have spent some.
        Entering raises `DailyQuotaExhaustedError` while the day's quota is known to be spent.
        """
        return Slot(self._registry, key, learns=learns)

    def status(self, key: str) -> RateLimitStatus:
        """What the service last said of the key's limits."""
        return self._registry.status(key)


def new_budget(max_requests: int | None, period: float | None, daily_reserve: int) -> Budget:
    """The budget of a key before the first answer; `RateLimiter` describes the arguments."""
    return Budget(
        _MAX_REQUESTS if max_requests is None else whole_number("max_requests", max_requests, 1),
        _PERIOD if period is None else seconds("period", period),
        whole_number("daily_reserve", daily_reserve, 0),
        is_ceiling=(max_requests, period) != (None, None),
    )


class Slot:
    """Room for one request, while it is under way and for one period after."""

    __slots__ = ("_counts", "_expired", "_key", "_learns", "_number", "_registry", "_window")

    def __init__(self, registry: WindowRegistry[_Window], key: str, *, learns: bool) -> None:
        self._registry = registry
        self._key = key
        self._learns = learns

    def learn(self, status: RateLimitStatus, *, refused: bool = False) -> None:
        """Takes in what the answer's headers said, and whether it was a refusal (429)."""
        self._counts = not refused
        self._window.learn(status, self._number, self._expired, refused=refused)
        self._registry.learned(self._window.budget)

    async def __aenter__(self) -> Self:
        self._window = window = self._registry.of(self._key)
        window.learns = self._learns
        bulk = in_bulk()
        self._number, self._expired = window.take(bulk=bulk) or await window.wait(bulk=bulk)
        self._counts = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._window.answered(counts=self._counts and not isinstance(exc, CircuitOpenError))


_Grant = tuple[int, int]


@define(eq=False)
class _Window:
    """One key's slots: those in flight, those answered within the last period, and who waits."""

    budget: Budget
    learns: bool = False
    in_flight: int = 0
    answers: deque[float] = field(factory=deque)
    """When each answer came whose slot is still taken, oldest first."""
    expired: int = 0
    """How many slots were free again so far."""
    queue: WaitQueue[_Grant] = field(factory=WaitQueue)
    waking: int = 0
    """How many were granted a slot and have not gone on yet."""
    timer: asyncio.TimerHandle | None = None

    def in_use(self, now: float) -> bool:
        return self._taken(now) > 0 or len(self.queue) > 0 or self.budget.is_spent_for_today(now)

    def take(self, *, bulk: bool) -> _Grant | None:
        """A slot, if there is room and nobody waits; its number and how many expired before."""
        now = asyncio.get_running_loop().time()
        self.budget.check_day(now, bulk=bulk)
        if len(self.queue) or self.waking or not self._has_room(now, bulk=bulk):
            return None
        return self._granted(now)

    async def wait(self, *, bulk: bool) -> _Grant:
        """A slot, once it is this call's turn."""
        waiter = self.queue.join(bulk=bulk)
        if self.waking:  # a slot given now would be used before theirs
            asyncio.get_running_loop().call_soon(self._grant)
        else:
            self._grant()
        try:
            grant = await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self.queue.leave(waiter, bulk=bulk)
            elif waiter.exception() is None:
                self.waking -= 1
                self.in_flight -= 1
            self._grant()
            raise
        self.waking -= 1
        return grant

    def answered(self, *, counts: bool) -> None:
        """Ends a request; what was refused or not sent does not count in the service's window."""
        self.in_flight -= 1
        if counts:
            self.answers.append(asyncio.get_running_loop().time())
        if len(self.queue) or self.timer is not None:
            self._grant()

    def learn(self, status: RateLimitStatus, number: int, expired: int, *, refused: bool) -> None:
        """Takes in an answer's headers, of a slot before which `expired` slots had expired."""
        now = asyncio.get_running_loop().time()
        ours = self._taken(now) + self.expired - expired - refused
        self.budget.learn(status, number=number, ours=ours, now=now, refused=refused)
        if not len(self.queue) and self.timer is None:
            return
        for bulk in (False, True):
            if (error := self.budget.spent_day(now, bulk=bulk)) is not None:
                self.queue.fail_all(error, bulk=bulk)
        self._grant()

    def _taken(self, now: float) -> int:
        answers, period = self.answers, self.budget.period
        while answers and answers[0] + period <= now:
            answers.popleft()
            self.expired += 1
        return self.in_flight + len(answers)

    def _has_room(self, now: float, *, bulk: bool) -> bool:
        if now < self.budget.pause_until or self._must_hear_first():
            return False
        return self._taken(now) < self.budget.limit(now, bulk=bulk)

    def _must_hear_first(self) -> bool:
        """Whether as many requests are under way as may be before the first answer."""
        return self.learns and self.in_flight >= self.budget.in_flight_at_most

    def _granted(self, now: float) -> _Grant:
        self.in_flight += 1
        return self.budget.grant(now), self.expired

    def _grant(self) -> None:
        """Gives what room there is to those whose turn it is."""
        now = asyncio.get_running_loop().time()
        while len(self.queue) and self._has_room(now, bulk=self.queue.only_bulk):
            if self.queue.serve(self._granted(now)):
                self.waking += 1
            else:
                self.in_flight -= 1
        self._set_timer(now)

    def _set_timer(self, now: float) -> None:
        """One timer, at the moment when there may be room again, and only while someone waits."""
        moment = self._room_may_come_at(now) if len(self.queue) else None
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
        if self._must_hear_first():
            return None
        free = self.answers[0] + self.budget.period if self.answers else None
        rises = self.budget.limit_rises_at(now)
        return min((moment for moment in (free, rises) if moment is not None), default=None)

    def _timer_fired(self) -> None:
        self.timer = None
        self._grant()
