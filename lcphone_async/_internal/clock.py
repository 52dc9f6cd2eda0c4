"""The time of day, which may jump, and the age of what this process did, which may not."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import field, frozen

# More than are made within any time that counts.
_MOST_KEPT = 10_000


# freezegun replaces `time.monotonic` in every module; this one it leaves alone, and so does
# time-machine. It is missing on Windows.
_CLOCK: Final[int | None] = getattr(time, "CLOCK_MONOTONIC", None)


def now() -> datetime:
    """The time of day, as far as the machine knows it."""
    return datetime.now(UTC)


def seconds() -> float:
    """Seconds that always pass, also while a test stops the time, from any moment."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


def real_datetime() -> type[datetime]:
    """The class `datetime` itself: freezegun puts one of its own in its place."""
    return next(cls for cls in datetime.__mro__ if cls.__module__ == "datetime")


def daily_reset(seconds: float | None) -> str:
    """When a daily limit resets, in words.

    >>> daily_reset(86_343.0)
    'the daily limit resets in 23:59:03'
    """
    when = "within 24 hours" if seconds is None else f"in {timedelta(seconds=math.ceil(seconds))}"
    return f"the daily limit resets {when}"


@frozen
class Ages:
    """How long ago something was done: by a clock that does not jump, if this process did it."""

    _done: dict[str, float] = field(factory=dict)
    """When, the last time; oldest first."""

    def begin(self, key: str) -> None:
        """Takes down that it is done now."""
        self._done.pop(key, None)
        self._done[key] = seconds()
        if len(self._done) > _MOST_KEPT:
            del self._done[next(iter(self._done))]

    def of(self, key: str, date: datetime) -> float:
        """Seconds since it was done; `date` is what its record says."""
        done = self._done.get(key)
        return (now() - date).total_seconds() if done is None else seconds() - done
