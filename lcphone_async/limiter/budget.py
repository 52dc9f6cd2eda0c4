"""Rate-limit budget of one location: burst limit, others' use, and the day's quota.

How others' use is found: the service's `remaining` counts all requests in its window. The limit
less `remaining` less our own slots is what others have sent. For three periods after that, the
budget counts as shared: our limit shrinks by their requests, which are assumed to have come
evenly and so to expire evenly, and our slots are spread over the period so that each response
shows their use anew. A small headroom stays free, because others go unnoticed in a full window.
"""

from __future__ import annotations

import math

from attrs import define, evolve, field

from .._internal import clock
from ..errors import DailyQuotaExhaustedError
from ..models import RateLimitStatus

# The part of the slots that bulk calls leave free, so that another call need not wait for one,
# and that is left free where others spend the same budget, so that they can be noticed.
_HEADROOM = 0.02

# Seconds; an interval of more is no burst limit, and a wrong one must not stop a location so long.
_LONGEST_PERIOD = 600

# The most requests a second that a header is believed to allow: ten a second is documented, and a
# wrong header must not lift the limit altogether.
_FASTEST = 1_000

# Seconds after which one call finds out whether a day is spent still: a header that was wrong
# must not stop a location for a day, and the day may end sooner than is known.
_ASK_AGAIN = 3_600

# Seconds within which a day's limit surely resets.
_DAY = 86_400

_NOTHING_SAID = RateLimitStatus()

# For so many periods after a foreign request was noticed, the budget counts as shared.
_SHARED_PERIODS = 3


@define(eq=False)
class Budget:
    """Budget of one key: the configured limit, corrected by the service's rate-limit headers."""

    max_requests: int
    """Requests per period."""
    period: float
    """Seconds for which a slot stays taken after its response."""
    daily_reserve: int
    is_ceiling: bool = True
    """True if the headers may only lower the configured limit; otherwise they may raise it too."""
    pause_until: float = field(default=0.0, init=False)
    """Time of the next grant: in a shared budget, slots are spread over the period."""
    in_flight_at_most: float = field(init=False)
    """How many requests of ours may be under way: few before the first answer, then any."""
    told: tuple[int, float, float] | None = field(default=None, init=False)
    """The limit and the period that an answer told last, and when."""
    _given: tuple[int, float] = field(init=False)
    _limits: dict[tuple[int, float], float] = field(factory=dict, init=False)
    """The limits and periods told of late, and until when each is kept to."""
    _status: RateLimitStatus = field(default=_NOTHING_SAID, init=False)
    _status_at: float = field(default=0.0, init=False)
    _granted: int = field(default=0, init=False)
    _newest_answered: int = field(default=0, init=False)
    _foreign: int = field(default=0, init=False)
    _foreign_at: float = field(default=0.0, init=False)
    _shared_until: float = field(default=0.0, init=False)
    _longer_until: float = field(default=0.0, init=False)
    """Until when the service's window may hold requests of ours that count here no more."""
    _daily_left: int | None = field(default=None, init=False)
    _day_ends: float = field(default=0.0, init=False)
    _knows_day_s_end: bool = field(default=False, init=False)
    _ask_at: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._given = (self.max_requests, self.period)
        self.in_flight_at_most = max(10, self.max_requests // 4)

    def limit(self, now: float, *, bulk: bool = False) -> int:
        """Return how many of our slots may be taken at once."""
        limit = self.max_requests
        headroom = int(limit * _HEADROOM)
        if self.is_shared(now):
            foreign = self._foreign_now(now)
            headroom += foreign + foreign // 10
        elif not bulk:
            headroom = 0
        return limit - headroom

    def limit_rises_at(self, now: float) -> float | None:
        """Return when the limit may next rise by itself; `None` if it is constant."""
        return now + self.period / (self._foreign + 1) if self.is_shared(now) else None

    def is_shared(self, now: float) -> bool:
        """Return True if others used the same budget recently."""
        return now < self._shared_until

    def grant(self, now: float) -> int:
        """Count a granted slot; return its number."""
        self._granted += 1
        if self.is_shared(now):
            self.pause_until = now + self.period / max(1, self.limit(now))
        return self._granted

    def check_day(self, now: float, *, bulk: bool = False) -> None:
        """Raises `DailyQuotaExhaustedError` if the day's quota is known to be spent.

        Once an hour one call is let through, to check whether the quota is still exhausted.
        """
        error = self.spent_day(now, bulk=bulk)
        if error is None:
            return
        if now < self._ask_at:
            raise error
        self._ask_at = now + _ASK_AGAIN

    def spent_day(self, now: float, *, bulk: bool) -> DailyQuotaExhaustedError | None:
        """Return the error for a call if the day's quota is exhausted, else `None`."""
        if self._daily_left is None or self._daily_left > (self.daily_reserve if bulk else 0):
            return None
        if now >= self._day_ends:
            self._daily_left = None
            return None
        reset = self._day_ends - now if self._knows_day_s_end else None
        return DailyQuotaExhaustedError(
            429,
            "the location's requests for the day are spent",
            retry_after=reset,
            hint=clock.daily_reset(reset),
        )

    def is_spent_for_today(self, now: float) -> bool:
        """Return True if today's quota is exhausted."""
        return self._daily_left is not None and now < self._day_ends

    def status(self, now: float) -> RateLimitStatus:
        """Return the last headers; an expired period or day counts as unused."""
        status, age = self._status, now - self._status_at
        if status.period is not None and age >= status.period:
            status = evolve(status, remaining=status.max_requests)
        if age >= (status.daily_reset or _DAY):
            status = evolve(status, daily_remaining=status.daily_limit, daily_reset=None)
        return status

    def learn(
        self, status: RateLimitStatus, *, number: int, ours: int | None, now: float, refused: bool
    ) -> None:
        """Believes the headers of an answer, as far as they make sense.

        `number` is that of the request's slot. `ours` is the most requests of ours that the
        service can have in its window: what it counts beyond that, others have sent. Where that
        is not known, a refusal tells of one more than was known.
        """
        self.in_flight_at_most = math.inf
        status = self._believed(status)
        if status != _NOTHING_SAID:
            self._status, self._status_at = status, now
            if status.max_requests is not None and status.period is not None:
                self.told = (status.max_requests, status.period, now)
                self.keep_to(status.max_requests, status.period, now)
            self._take_day(status, number, now)
            remaining = status.remaining
        else:
            remaining = None
        if ours is not None:
            self._count_foreign(0 if refused else remaining, ours, now)
        elif refused:
            self._notice_foreign(self._foreign_now(now) + 1, now)

    def keep_to(self, max_requests: int, period: float, now: float) -> bool:
        """Keeps to the strictest of the limits told within the last period; whether it is another.

        So a stricter one holds at once, and a laxer one when the window in which the stricter one
        was told is over: until then the service may count by either.
        """
        if self.is_ceiling:
            most, shortest = self._given
            fewer = min(max_requests, most)
            period = max(fewer / most * shortest, fewer / max_requests * period)
            max_requests = fewer
        limits = self._limits | {(max_requests, period): now + period}
        self._limits = {limit: until for limit, until in limits.items() if until > now}
        before = self.max_requests, self.period
        self.max_requests = min(max_requests for max_requests, _ in self._limits)
        self.period = max(period for _, period in self._limits)
        if self.period > before[1]:
            self._longer_until = now + self.period
        return (self.max_requests, self.period) != before

    def _take_day(self, status: RateLimitStatus, number: int, now: float) -> None:
        if status.daily_remaining is None or number < self._newest_answered:
            return
        self._newest_answered = number
        spent = status.daily_remaining <= self.daily_reserve
        self._daily_left = status.daily_remaining if spent else None
        if spent:
            self._knows_day_s_end = status.daily_reset is not None
            self._day_ends = now + (status.daily_reset or _DAY)
            self._ask_at = now + _ASK_AGAIN

    def _count_foreign(self, remaining: int | None, ours: int, now: float) -> None:
        if remaining is None:
            return
        foreign = (self._status.max_requests or self.max_requests) - remaining - ours
        if foreign > 0 and foreign >= self._foreign_now(now):
            self._notice_foreign(foreign, now)

    def _notice_foreign(self, foreign: int, now: float) -> None:
        self._foreign, self._foreign_at = foreign, now
        self._shared_until = now + _SHARED_PERIODS * self.period

    def _foreign_now(self, now: float) -> int:
        """Return how many of others' requests are still in the window, if they came evenly.

        After the period became longer, the excess may be our own old requests: it does not decay.
        """
        if now < self._longer_until:
            return self._foreign
        left = 1 - (now - self._foreign_at) / self.period
        return math.ceil(self._foreign * left) if left > 0 else 0

    def _believed(self, status: RateLimitStatus) -> RateLimitStatus:
        """Return the headers, without an implausible burst limit."""
        most, shortest = self._given
        longest, fastest = max(_LONGEST_PERIOD, shortest), max(_FASTEST, most / shortest)
        period = self.period if status.period is None else status.period
        if period > longest or (status.max_requests or 0) > fastest * period:
            status = evolve(status, max_requests=None, remaining=None, period=None)
        return status if _makes_sense(status) else _NOTHING_SAID


def _makes_sense(status: RateLimitStatus) -> bool:
    """Return True if the headers are possible and consistent."""
    if status.max_requests == 0:
        return False
    if status.period is not None and not 0 < status.period < math.inf:
        return False
    return _fits(status.remaining, status.max_requests) and _fits(
        status.daily_remaining, status.daily_limit
    )


def _fits(left: int | None, most: int | None) -> bool:
    return left is None or most is None or left <= most
