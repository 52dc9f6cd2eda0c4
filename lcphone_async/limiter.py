"""The request budget of each location: a sliding window that is never overdrawn.

The service counts a request when it arrives, at some moment between its being sent and its
being answered. So a slot counts from the moment it is granted until one whole period after
the answer: whatever the way took, the service never sees more than the limit in any window.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from types import TracebackType

from attrs import define, field


class RateLimiter:
    """At most `max_requests` requests in any `period` seconds, for each key on its own.

    The defaults are the documented limit, 100 requests in 10 s for each location. Waiters are
    served in the order they came. Hand the same limiter to several clients to share one budget;
    they must run on the same event loop.

    >>> limiter = RateLimiter(max_requests=100, period=10.0)
    >>> async def search():
    ...     async with limiter.slot("a location's id"):
    ...         ...  # one request

    Raises `ValueError` if there is room for no request or the period is no time.
    """

    def __init__(self, max_requests: int = 100, period: float = 10.0) -> None:
        if max_requests < 1:
            raise ValueError(f"max_requests must be 1 or more, not {max_requests}")
        if not 0 < period < float("inf"):
            raise ValueError(f"period must be a positive number of seconds, not {period}")
        self.max_requests = max_requests
        self.period = period
        self._windows: dict[str, _Window] = {}
        self._sweep_at = 64

    def __repr__(self) -> str:
        return f"RateLimiter(max_requests={self.max_requests}, period={self.period})"

    def slot(self, key: str) -> Slot:
        """An async context manager around one request of `key`; entering it waits for room."""
        return Slot(self, key)

    def _window(self, key: str) -> _Window:
        window = self._windows.get(key)
        if window is None:
            self._forget_idle_windows()
            window = self._windows[key] = _Window(self.max_requests, self.period)
        return window

    def _forget_idle_windows(self) -> None:
        """Memory only for locations in use: swept each time their count has doubled."""
        if len(self._windows) < self._sweep_at:
            return
        self._windows = {key: window for key, window in self._windows.items() if window.in_use()}
        self._sweep_at = max(64, 2 * len(self._windows))


class Slot:
    """Room for one request, while it is under way and for one period after."""

    __slots__ = ("_key", "_limiter", "_window")

    def __init__(self, limiter: RateLimiter, key: str) -> None:
        self._limiter = limiter
        self._key = key

    async def __aenter__(self) -> None:
        self._window = self._limiter._window(self._key)  # noqa: SLF001  # its own room
        await self._window.acquire()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._window.answered()


@define(eq=False)
class _Window:
    """One key's slots: those in flight, those answered within the last period, and who waits."""

    max_requests: int
    period: float
    in_flight: int = 0
    ends: deque[float] = field(factory=deque)
    """When each answered slot is free again, soonest first."""
    waiters: deque[asyncio.Future[None]] = field(factory=deque)
    timer: asyncio.TimerHandle | None = None

    def taken(self) -> int:
        now = asyncio.get_running_loop().time()
        while self.ends and self.ends[0] <= now:
            self.ends.popleft()
        return self.in_flight + len(self.ends)

    def in_use(self) -> bool:
        return bool(self.waiters) or self.taken() > 0

    async def acquire(self) -> None:
        if not self.waiters and self.taken() < self.max_requests:
            self.in_flight += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.append(waiter)
        self._set_timer()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                with suppress(ValueError):  # out of the line already, where its turn had come
                    self.waiters.remove(waiter)
            else:
                self.in_flight -= 1
            self._grant()
            raise

    def answered(self) -> None:
        self.in_flight -= 1
        self.ends.append(asyncio.get_running_loop().time() + self.period)
        self._set_timer()

    def _grant(self) -> None:
        """Gives what room there is to those who have waited longest."""
        while self.waiters and self.taken() < self.max_requests:
            waiter = self.waiters.popleft()
            if not waiter.done():
                self.in_flight += 1
                waiter.set_result(None)
        self._set_timer()

    def _set_timer(self) -> None:
        """One timer, at the moment when the next slot is free, and only while someone waits."""
        if self.timer is not None and (not self.waiters or not self.ends):
            self.timer.cancel()
            self.timer = None
        elif self.timer is None and self.waiters and self.ends:
            self.timer = asyncio.get_running_loop().call_at(self.ends[0], self._timer_fired)

    def _timer_fired(self) -> None:
        self.timer = None
        self._grant()
