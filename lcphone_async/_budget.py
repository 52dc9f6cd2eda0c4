"""What is known of one location's budget: its limit, who else spends it, and the day's quota."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta

from attrs import define, evolve, field

from . import _clock
from .errors import DailyQuotaExhaustedError
from .models import RateLimitStatus

# The part of the slots that bulk calls leave free, so that another call need not wait for one,
# and that is left free where others spend the same budget, so that they can be noticed.
_HEADROOM = 0.02

# Seconds; an interval of more is no burst limit, and a wrong one must not stop a location so long.
_LONGEST_PERIOD = 600

# Seconds after which one call finds out whether a day is spent still: a header that was wrong
# must not stop a location for a day.
_ASK_AGAIN = 3_600

_NOTHING_SAID = RateLimitStatus()

# For so many periods after a foreign request was noticed, the budget counts as shared.
_SHARED_PERIODS = 3


@define(eq=False)
class Budget:
    """The limit of one key, as the service's headers correct it; what is given is its ceiling."""

    ceiling: int
    ceiling_period: float
    daily_reserve: int
    period: float = field(init=False)
    """Seconds for which a slot stays taken after its answer."""
    status: RateLimitStatus = field(factory=RateLimitStatus, init=False)
    """What the headers said last."""
    pause_until: float = field(default=0.0, init=False)
    """When the next slot may be granted: in a shared budget they are spread over the period."""
    in_flight_at_most: float = field(init=False)
    """How many requests of ours may be under way: few before the first answer, then any."""
    _max_requests: int = field(init=False)
    _granted: int = field(default=0, init=False)
    _newest_answered: int = field(default=0, init=False)
    _foreign: int = field(default=0, init=False)
    _foreign_at: float = field(default=0.0, init=False)
    _shared_until: float = field(default=0.0, init=False)
    _daily_left: int | None = field(default=None, init=False)
    _day_ends: float = field(default=0.0, init=False)
    _day: date = field(default=date.min, init=False)
    _ask_at: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._max_requests = self.ceiling
        self.period = self.ceiling_period
        self.in_flight_at_most = max(10, self.ceiling // 4)

    def limit(self, now: float, *, bulk: bool = False) -> int:
        """How many slots of ours may be taken at once."""
        limit = self._max_requests
        headroom = int(limit * _HEADROOM)
        if self.is_shared(now):
            foreign = self._foreign_now(now)
            headroom += foreign + foreign // 10
        elif not bulk:
            headroom = 0
        return limit - headroom

    def limit_rises_at(self, now: float) -> float | None:
        """When the limit may next rise by itself, if it does."""
        return now + self.period / (self._foreign + 1) if self.is_shared(now) else None

    def is_shared(self, now: float) -> bool:
        """Whether others were noticed, of late, to spend the same budget."""
        return now < self._shared_until

    def grant(self, now: float) -> int:
        """Counts a slot as granted; gives its number."""
        self._granted += 1
        if self.is_shared(now):
            self.pause_until = now + self.period / max(1, self.limit(now))
        return self._granted

    def check_day(self, now: float, *, bulk: bool = False) -> None:
        """Raises `DailyQuotaExhaustedError` where the day's quota is known to be spent."""
        if self._daily_left is None or self._daily_left > (self.daily_reserve if bulk else 0):
            return
        if self._is_another_day(now):
            self._daily_left = None
            return
        if self._daily_left == 0 and now >= self._ask_at:
            self._ask_at = now + _ASK_AGAIN
            return
        raise DailyQuotaExhaustedError(
            429,
            "the location's requests for the day are spent: there are others from 00:00 UTC on",
            retry_after=self._day_ends - now,
        )

    def is_spent_for_today(self, now: float) -> bool:
        """Whether it knows something that must not be forgotten before the day ends."""
        return self._daily_left is not None and not self._is_another_day(now)

    def learn(
        self, status: RateLimitStatus, *, number: int, ours: int | None, now: float, refused: bool
    ) -> None:
        """Believes the headers of an answer, as far as they make sense.

        `number` is that of the request's slot. `ours` is the most requests of ours that the
        service can have in its window: what it counts beyond that, others have sent. Where that
        is not known, a refusal tells of one more than was known.
        """
        self.in_flight_at_most = math.inf
        status = _believed(status, max(_LONGEST_PERIOD, self.ceiling_period))
        if status != _NOTHING_SAID:
            self.status = status
            self._take_limit(status)
            self._take_day(status, number, now)
            remaining = status.remaining
        else:
            remaining = None
        if ours is not None:
            self._count_foreign(0 if refused else remaining, ours, now)
        elif refused:
            self._notice_foreign(self._foreign_now(now) + 1, now)

    def _take_limit(self, status: RateLimitStatus) -> None:
        """Takes the stricter of the ceiling and the service's limit."""
        if status.max_requests is None or status.period is None:
            return
        self._max_requests = min(self.ceiling, status.max_requests)
        of_ceiling = self._max_requests / self.ceiling * self.ceiling_period
        of_service = self._max_requests / status.max_requests * status.period
        self.period = max(of_ceiling, of_service)

    def _take_day(self, status: RateLimitStatus, number: int, now: float) -> None:
        if status.daily_remaining is None or number < self._newest_answered:
            return
        self._newest_answered = number
        spent = status.daily_remaining <= self.daily_reserve
        self._daily_left = status.daily_remaining if spent else None
        if spent:
            time = _clock.now()
            self._day_ends, self._day = now + seconds_left_of_day(time), time.date()
            self._ask_at = now + _ASK_AGAIN

    def _is_another_day(self, now: float) -> bool:
        """Whether the day may have turned; if only the clock was set, the service says so again."""
        return now >= self._day_ends or _clock.now().date() != self._day

    def _count_foreign(self, remaining: int | None, ours: int, now: float) -> None:
        if remaining is None:
            return
        foreign = (self.status.max_requests or self._max_requests) - remaining - ours
        if foreign > 0 and foreign >= self._foreign_now(now):
            self._notice_foreign(foreign, now)

    def _notice_foreign(self, foreign: int, now: float) -> None:
        self._foreign, self._foreign_at = foreign, now
        self._shared_until = now + _SHARED_PERIODS * self.period

    def _foreign_now(self, now: float) -> int:
        """How many foreign requests are still in the window, if they came evenly."""
        left = 1 - (now - self._foreign_at) / self.period
        return math.ceil(self._foreign * left) if left > 0 else 0


def seconds_left_of_day(now: datetime) -> float:
    """Seconds until 00:00 UTC, when the service's day is taken to turn.

    >>> from datetime import UTC
    >>> seconds_left_of_day(datetime(2026, 2, 23, 23, 59, 0, tzinfo=UTC))
    60.0
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (midnight - now).total_seconds()


def _believed(status: RateLimitStatus, longest: float) -> RateLimitStatus:
    """What the headers say; of the burst limit nothing where its interval is beyond belief."""
    if status.period is not None and status.period > longest:
        status = evolve(status, max_requests=None, remaining=None, period=None)
    return status if _makes_sense(status) else _NOTHING_SAID


def _makes_sense(status: RateLimitStatus) -> bool:
    """Whether the headers contradict neither sense nor each other."""
    if status.max_requests == 0:
        return False
    if status.period is not None and not 0 < status.period < math.inf:
        return False
    return _fits(status.remaining, status.max_requests) and _fits(
        status.daily_remaining, status.daily_limit
    )


def _fits(left: int | None, most: int | None) -> bool:
    return left is None or most is None or left <= most
