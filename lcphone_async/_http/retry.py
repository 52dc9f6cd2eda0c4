"""When to try again. Of `backoff` only the wait generators: its decorator fails on Python 3.16."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from typing import TypeVar

from attrs import Attribute, field, frozen

from .. import _wire
from .._internal import checks
from ..errors import (
    AnswerTooLargeError,
    APIError,
    CircuitOpenError,
    ClientClosedError,
    ConnectFailedError,
    DailyQuotaExhaustedError,
    LCPhoneError,
    LocalResourceError,
    RateLimitedError,
    TransportError,
)
from ..limiter.queue import in_bulk

T = TypeVar("T")


def _positive(_: object, attribute: Attribute[int], value: int) -> None:
    checks.whole_number(attribute.name, value, 1)


def _seconds(_: object, attribute: Attribute[float], value: float) -> None:
    checks.seconds(attribute.name, value, zero=True)


@frozen
class RetryPolicy:
    """When a call is tried again, and for how long.

    A read is tried again after a connection failure, a timeout, 408, 425, 429, 500, 502, 503, 504,
    Cloudflare's 520 to 527 and 530, an error whose text speaks of a timeout, and a 401 that is not
    about the token. A purchase is tried again only if it surely did not reach the service, or after
    429. A call whose token the service no longer takes is sent once more with a new one, besides
    these tries. The wait that the service asks for is kept whole; if it asks for none, the wait is
    drawn between 0 and `initial_wait`, doubled after each try up to `max_wait` (full jitter).

    If the service is down, a circuit breaker opens: after `failure_budget` failed tries of the
    client, calls raise `CircuitOpenError` at once, except one probe every two seconds, until the
    service responds. `bulk` calls wait for that up to `max_time`.

    Raises `TypeError` or `ValueError` for fewer than one try or a negative time.
    """

    max_tries: int = field(default=5, validator=_positive)
    """Tries in all, the first one included; 1 means none again."""
    max_time: float = field(default=60.0, validator=_seconds)
    """Seconds from the first failure within which another try may still begin."""
    initial_wait: float = field(default=0.5, validator=_seconds)
    """Seconds: the longest wait before the second try."""
    confirm_timeout: float = field(default=10.0, validator=_seconds)
    """Seconds for which a purchase without a clear response is looked for in the list."""
    max_wait: float = field(default=10.0, validator=_seconds)
    """Seconds: the longest wait before any try, unless the service asks for more."""
    failure_budget: int = field(default=100, validator=_positive)
    """Failed tries of the client, over all its calls, that open the circuit; a try with a response
    makes up for ten."""


def is_outage(error: LCPhoneError) -> bool:
    """Whether the service could not be reached, or had trouble of its own."""
    if isinstance(error, TransportError):
        of_our_own = AnswerTooLargeError | ClientClosedError | LocalResourceError
        return not isinstance(error, of_our_own)
    return isinstance(error, APIError) and _wire.errors.is_passing(error)


def may_repeat(error: LCPhoneError, *, repeatable: bool) -> bool:
    """Whether the call that met `error` may be sent again.

    What is not `repeatable` may be only if the service surely has not acted.
    """
    if isinstance(error, ConnectFailedError | RateLimitedError):
        return not isinstance(error, DailyQuotaExhaustedError)
    return repeatable and is_outage(error)


async def call_with_retries(
    attempt: Callable[[], Awaitable[T]], policy: RetryPolicy, *, repeatable: bool
) -> T:
    """What `attempt` returns, tried again as the policy says; raises the last try's error."""
    now = asyncio.get_running_loop().time
    tries = 0
    deadline = circuit_deadline = math.inf
    own_waits: Iterator[float] = iter(())
    while True:
        try:
            return await attempt()
        except CircuitOpenError as error:
            wait = error.retry_after
            circuit_deadline = min(circuit_deadline, now() + policy.max_time)
            if not in_bulk() or now() + wait > circuit_deadline:
                raise
        except LCPhoneError as error:
            tries += 1
            if tries >= policy.max_tries or not may_repeat(error, repeatable=repeatable):
                raise
            if tries == 1:
                deadline, own_waits = now() + policy.max_time, _own_waits(policy)
            wait = _wait(error, next(own_waits))
            if now() + wait > deadline:
                raise
            circuit_deadline = math.inf
        await asyncio.sleep(wait)


def _own_waits(policy: RetryPolicy) -> Iterator[float]:
    import backoff

    ceilings = backoff.expo(factor=policy.initial_wait, max_value=policy.max_wait)
    return map(backoff.full_jitter, islice(ceilings, 1, None))  # the first is backoff's empty send


def _wait(error: LCPhoneError, own_wait: float) -> float:
    """The wait that the service asks for, or our own."""
    asked: float | None = getattr(error, "retry_after", None)
    return own_wait if asked is None else asked
