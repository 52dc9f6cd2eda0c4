"""Which calls are retried, and the waits between the attempts."""

import asyncio
from itertools import pairwise

import pytest

from lcphone_async import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    ConnectFailedError,
    DailyQuotaExhaustedError,
    LCPhoneError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
    RequestTimeoutError,
    ResponseFormatError,
    RetryPolicy,
    ServerError,
    TransportError,
)
from lcphone_async._http.retry import call_with_retries
from support.fake_clock import run


def failing_with(*errors, policy=None, repeatable=True):
    """The times of the attempts of a call that meets `errors`, and its result."""
    left = list(errors)
    tries = []

    async def attempt():
        tries.append(asyncio.get_running_loop().time())
        if left:
            raise left.pop(0)
        return "answer"

    async def main():
        try:
            return await call_with_retries(attempt, policy or RetryPolicy(), repeatable=repeatable)
        except LCPhoneError as error:
            return error

    return run(main()), tries


NOT_CONNECTED = ConnectFailedError("GET", "/", "refused")
TIMED_OUT = RequestTimeoutError("GET", "/", "30 s")
RESET = TransportError("GET", "/", "reset")
LIMITED = RateLimitedError(429, "slow down")
FAILED = [ServerError(status, "oops") for status in (500, 502, 503, 504, *range(520, 528), 530)]
TOO_LATE = [APIError(408, "oops"), APIError(425, "oops")]
SPOKE_OF_TIME = [
    AuthenticationError(401, "Command timed out"),
    AuthenticationError(401, "Something went wrong"),
    BadRequestError(400, "The request took longer than expected"),
    NotFoundError(404, "Not Found", error="Gateway timeout"),
]
FINAL = [
    AuthenticationError(401, "Invalid token: it timed out"),
    AuthenticationError(401, "Unauthorized"),
    AuthenticationError(401, "version header is invalid"),
    AuthenticationError(401, "invalid_grant"),
    PermissionDeniedError(403, "Forbidden resource"),
    APIError(418, "teapot"),
    ServerError(501, "never"),
    ResponseFormatError("GET", "/", "$", "expected JSON"),
    ClientClosedError("GET", "/", "closed"),
    DailyQuotaExhaustedError(429, "spent"),
]


def names(errors):
    return [f"{type(error).__name__}-{getattr(error, 'status', '')}" for error in errors]


READ_AGAIN = [NOT_CONNECTED, TIMED_OUT, RESET, LIMITED, *FAILED, *TOO_LATE, *SPOKE_OF_TIME]


@pytest.mark.parametrize("error", READ_AGAIN, ids=names(READ_AGAIN))
def test_reads_are_retried(error):
    """Retries a read after no connection, a timeout, a limit or the service's own failure."""
    assert failing_with(error)[0] == "answer"


@pytest.mark.parametrize("error", FINAL, ids=names(FINAL))
def test_final_errors_are_not_retried(error):
    """Raises at once if a retry cannot help."""
    assert failing_with(error) == (error, [0])


@pytest.mark.parametrize("error", [NOT_CONNECTED, LIMITED], ids=names([NOT_CONNECTED, LIMITED]))
def test_a_purchase_is_retried_if_the_service_has_not_acted(error):
    """Repeats a purchase only if no connection was made, or after 429."""
    assert failing_with(error, repeatable=False)[0] == "answer"


MAY_HAVE_ACTED = [TIMED_OUT, RESET, *FAILED, *TOO_LATE, *SPOKE_OF_TIME]


@pytest.mark.parametrize("error", MAY_HAVE_ACTED, ids=names(MAY_HAVE_ACTED))
def test_a_purchase_is_never_sent_twice(error):
    """Raises at once if the service may have acted on the purchase."""
    assert failing_with(error, repeatable=False) == (error, [0])


def test_attempts_are_capped():
    """Raises the last error after `max_tries` attempts in all."""
    outcome, tries = failing_with(*FAILED, policy=RetryPolicy(max_tries=3))
    assert outcome is FAILED[2]
    assert len(tries) == 3


def test_one_attempt_means_no_retry():
    """Raises the first error if `max_tries` is 1."""
    assert failing_with(TIMED_OUT, policy=RetryPolicy(max_tries=1, confirm_timeout=0)) == (
        TIMED_OUT,
        [0],
    )


def test_the_service_s_wait_is_not_changed():
    """Waits exactly as long as the service requests, without jitter."""
    wait = RateLimitedError(429, "slow down", retry_after=10.0)
    assert failing_with(wait, wait) == ("answer", [0, 10, 20])


def test_a_wait_past_the_deadline_is_not_cut_short():
    """Raises at once, instead of waiting less, if the wait would exceed `max_time`."""
    wait = RateLimitedError(429, "slow down", retry_after=10.0)
    outcome, tries = failing_with(*[wait] * 9, policy=RetryPolicy(max_tries=99, max_time=25))
    assert outcome is wait
    assert tries == [0, 10, 20]


def test_own_waits_have_full_jitter_and_a_cap():
    """Draws each wait between 0 and a ceiling that doubles up to `max_wait`."""
    policy = RetryPolicy(max_tries=7, max_time=1000, initial_wait=1, max_wait=8)
    ceilings = [1, 2, 4, 8, 8, 8]
    drawn = []
    for _ in range(100):
        _, tries = failing_with(*[TIMED_OUT] * 6, policy=policy)
        drawn.append([later - sooner for sooner, later in pairwise(tries)])
    for waits, ceiling in zip(zip(*drawn, strict=True), ceilings, strict=True):
        assert 0 <= min(waits) < ceiling / 4
        assert ceiling * 3 / 4 < max(waits) <= ceiling


@pytest.mark.parametrize("policy", [RetryPolicy(max_tries=3), RetryPolicy(max_time=0)])
def test_the_error_has_no_context(policy):
    """Raises the last error without a traceback of another."""
    outcome, _ = failing_with(*FAILED, policy=policy)
    assert outcome.__cause__ is None
    assert outcome.__context__ is None


@pytest.mark.parametrize("wrong", [{"max_tries": 0}, {"max_time": -1}, {"max_wait": -0.1}])
def test_refuses_an_invalid_policy(wrong):
    """Raises `ValueError`, which names the field, for fewer than one attempt or a negative time."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RetryPolicy(**wrong)
