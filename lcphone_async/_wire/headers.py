"""Limit headers to a value, and what the service asks a client to wait."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from multidict import istr

from .._internal import clock
from ..models import RateLimitStatus

if TYPE_CHECKING:
    from multidict import MultiMapping

# Names that are looked up in every response; `istr` folds their case once.
_MAX = istr("X-RateLimit-Max")
_INTERVAL = istr("X-RateLimit-Interval-Milliseconds")
_REMAINING = istr("X-RateLimit-Remaining")
_DAILY_LIMIT = istr("X-RateLimit-Limit-Daily")
_DAILY_REMAINING = istr("X-RateLimit-Daily-Remaining")
_DAILY_RESET = istr("X-RateLimit-Daily-Reset")
_RETRY_AFTER = istr("Retry-After")

# Milliseconds: the daily limit is one of any 24 hours, so that no reset can be further away.
_DAY = 86_400_000

# No count has more digits, and `int` takes long for very many.
_MOST_DIGITS = 15

# RFC 9110 knows whole seconds only, but services send "2.5" and "30.0" too.
_SECONDS = re.compile(r"[0-9]{1,15}(\.[0-9]{0,15})?")


def rate_limit(headers: MultiMapping[str]) -> RateLimitStatus:
    """What the six limit headers say; one that is missing, no number or ambiguous says nothing."""
    interval = _count(headers, _INTERVAL)
    reset = _count(headers, _DAILY_RESET)
    return RateLimitStatus(
        max_requests=_count(headers, _MAX),
        period=None if interval is None else interval / 1000,
        remaining=_count(headers, _REMAINING),
        daily_limit=_count(headers, _DAILY_LIMIT),
        daily_remaining=_count(headers, _DAILY_REMAINING),
        daily_reset=reset / 1000 if reset and reset <= _DAY else None,
        as_of=clock.now(),
    )


def retry_after(headers: MultiMapping[str]) -> float | None:
    """Seconds from now, of a `Retry-After` header in seconds or as a date (RFC 9110, 10.2.3).

    A date is taken by the service's own clock, where the response says what that shows.
    """
    said = _said(headers, _RETRY_AFTER).strip()
    if _SECONDS.fullmatch(said):
        return float(said)
    date = _date(headers, _RETRY_AFTER)
    if date is None:
        return None
    return max(0.0, (date - (_date(headers, "Date") or clock.now())).total_seconds())


def _date(headers: MultiMapping[str], name: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(_said(headers, name))
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _count(headers: MultiMapping[str], name: str) -> int | None:
    value = _said(headers, name).strip()
    is_count = value.isdecimal() and value.isascii() and len(value) <= _MOST_DIGITS
    return int(value) if is_count else None


def _said(headers: MultiMapping[str], name: str) -> str:
    """The header's value; empty where it is missing or comes with several."""
    values = headers.getall(name, None)
    if not values or (len(values) > 1 and len(set(values)) > 1):
        return ""
    return values[0]
