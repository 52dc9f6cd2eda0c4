"""The service's limits: a sliding window and a day's quota, each per app and location."""

import math
from collections import deque
from typing import Final

from attrs import define, field, frozen

_DAY: Final = 86_400


@frozen
class Limits:
    """How much one app may ask of one location."""

    max_requests: int
    """Requests in a window."""
    period: float
    """The window, in seconds."""
    daily_quota: int
    """Requests in a day: 24 hours, from the first request on."""


@define
class Budget:
    """What one app has used of one location. Times are seconds since the epoch."""

    limits: Limits
    _window: deque[float] = field(factory=deque, init=False)
    _day_ends: float = field(default=0.0, init=False)
    _spent: int = field(default=0, init=False)
    _now: float = field(default=0.0, init=False)

    def admit(self, now: float) -> bool:
        """Count a request, unless the window or the day is spent."""
        self._forget(now)
        if not (self.remaining and self.daily_remaining):
            return False
        self._window.append(now)
        self._spent += 1
        return True

    @property
    def remaining(self) -> int:
        """Requests left in the window, as of the last one."""
        return self.limits.max_requests - len(self._window)

    @property
    def daily_remaining(self) -> int:
        """Requests left in the day, as of the last one."""
        return self.limits.daily_quota - self._spent

    def headers(self) -> dict[str, str]:
        """Give the six headers of every answer."""
        return {
            "X-RateLimit-Limit-Daily": str(self.limits.daily_quota),
            "X-RateLimit-Daily-Remaining": str(self.daily_remaining),
            "X-RateLimit-Daily-Reset": str(math.ceil((self._day_ends - self._now) * 1000)),
            "X-RateLimit-Interval-Milliseconds": str(round(self.limits.period * 1000)),
            "X-RateLimit-Max": str(self.limits.max_requests),
            "X-RateLimit-Remaining": str(self.remaining),
        }

    def _forget(self, now: float) -> None:
        self._now = now
        while self._window and now - self._window[0] >= self.limits.period:
            self._window.popleft()
        if now >= self._day_ends:
            self._day_ends, self._spent = now + _DAY, 0
