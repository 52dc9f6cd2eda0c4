"""When to try again: the only room that knows `backoff`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from http import HTTPStatus
from typing import Any, TypeVar

from attrs import Attribute, field, frozen

from . import _checks
from ._line import in_bulk
from .errors import (
    AnswerTooLargeError,
    APIError,
    CircuitOpenError,
    ClientClosedError,
    ConnectFailedError,
    DailyQuotaExhaustedError,
    LCPhoneError,
    RateLimitedError,
    TransportError,
)

T = TypeVar("T")

_PASSING = {
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}


def _positive(_: object, attribute: Attribute[int], value: int) -> None:
    _checks.whole_number(attribute.name, value, 1)


def _seconds(_: object, attribute: Attribute[float], value: float) -> None:
    _checks.seconds(attribute.name, value, zero=True)


@frozen
class RetryPolicy:
    """When a call is tried again, and for how long.

    A read is tried again after a connection failure, a timeout, 429, 500, 502, 503 and 504.
    A purchase only where it surely did not reach the service, or after 429. A call whose token
    the service no longer takes is sent once more with a new one, besides these tries. The wait that
    the service asks for is kept whole; where it asks for none, the wait is drawn between 0
    and `first_wait`, doubled after each try up to `max_wait` (full jitter).

    A service that is down is not hammered: once `budget` tries of a client failed, its calls raise
    `CircuitOpenError` and send nothing, but for one every two seconds, until there is an answer.
    `bulk` calls wait for that up to `max_time`.

    Raises `TypeError` or `ValueError` for fewer than one try or a negative time.
    """

    max_tries: int = field(default=5, validator=_positive)
    """Tries in all, the first one included; 1 means none again."""
    max_time: float = field(default=60.0, validator=_seconds)
    """Seconds from the first failure within which another try may still begin."""
    first_wait: float = field(default=0.5, validator=_seconds)
    """Seconds: the longest first wait."""
    read_back_time: float = field(default=10.0, validator=_seconds)
    """Seconds for which a purchase without a clear answer is looked for in the list."""
    max_wait: float = field(default=10.0, validator=_seconds)
    """Seconds: the longest wait of our own."""
    budget: int = field(default=100, validator=_positive)
    """Tries of the client as a whole that may fail; one that is answered makes up for ten."""


def is_outage(error: LCPhoneError) -> bool:
    """Whether the service could not be reached, or had trouble of its own."""
    if isinstance(error, TransportError):
        return not isinstance(error, AnswerTooLargeError | ClientClosedError)
    return isinstance(error, APIError) and error.status in _PASSING


def may_repeat(error: LCPhoneError, *, repeatable: bool) -> bool:
    """Whether the call that met `error` may be sent again.

    What is not `repeatable` may be only if the service surely has not acted.
    """
    if isinstance(error, ConnectFailedError | RateLimitedError):
        return not isinstance(error, DailyQuotaExhaustedError)
    return repeatable and is_outage(error)


def retrying(
    attempt: Callable[..., Awaitable[T]], policy: RetryPolicy, *, repeatable: bool
) -> Callable[..., Awaitable[T]]:
    """`attempt`, tried again as the policy says; raises the last try's error."""
    import backoff

    patient_attempt = _patient(attempt, policy.max_time)

    def give_up(error: Exception) -> bool:
        return not (isinstance(error, LCPhoneError) and may_repeat(error, repeatable=repeatable))

    @backoff.on_exception(
        _waits,
        LCPhoneError,
        policy=policy,
        max_tries=policy.max_tries,
        giveup=give_up,
        jitter=None,
        logger=None,
    )
    async def try_again(failed: list[LCPhoneError], *args: Any) -> T:
        if failed:
            raise failed.pop()
        return await patient_attempt(*args)

    async def call(*args: Any) -> T:
        failed: list[LCPhoneError] = []
        try:
            return await attempt(*args)
        except CircuitOpenError:
            if not in_bulk():
                raise
        except LCPhoneError as error:
            failed.append(error)  # only now comes backoff's bookkeeping, and counts it as the first
        try:
            return await try_again(failed, *args)
        except LCPhoneError as error:
            # Where the waits end, backoff raises the error from a StopIteration.
            raise error from error.__cause__

    return call


def _patient(attempt: Callable[..., Awaitable[T]], patience: float) -> Callable[..., Awaitable[T]]:
    """`attempt`, before which bulk work waits for an open circuit, so many seconds at the most."""

    async def wait_and_attempt(*args: Any) -> T:
        now = asyncio.get_running_loop().time
        give_up_at = None
        while True:
            try:
                return await attempt(*args)
            except CircuitOpenError as error:
                give_up_at = now() + patience if give_up_at is None else give_up_at
                if not in_bulk() or now() + error.retry_after > give_up_at:
                    raise
                wait = error.retry_after
            await asyncio.sleep(wait)

    return wait_and_attempt


def _waits(policy: RetryPolicy) -> Generator[float, Any, None]:
    """The wait before each next try; ends where it would pass `max_time`.

    backoff's own `max_time` would cut a server's wait short instead.
    """
    import backoff

    now = asyncio.get_running_loop().time
    own_waits = backoff.expo(factor=policy.first_wait, max_value=policy.max_wait)
    next(own_waits)
    error = yield 0.0  # backoff starts it with an empty send
    deadline = now() + policy.max_time
    while True:
        own_wait = backoff.full_jitter(next(own_waits))
        wait = getattr(error, "retry_after", None)
        if wait is None:
            wait = own_wait
        if now() + wait > deadline:
            return
        error = yield wait
