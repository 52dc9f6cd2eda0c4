"""The window, the day, and the six headers. Time is a number that the tests move."""

import pytest

from lcphone_async.sandbox import Sandbox, TokenSettings

HEADERS = (
    "X-RateLimit-Limit-Daily",
    "X-RateLimit-Daily-Remaining",
    "X-RateLimit-Interval-Milliseconds",
    "X-RateLimit-Max",
    "X-RateLimit-Remaining",
)
DAY = 86_400.0


class Clock:
    now = 20_000 * DAY

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def limits(answer):
    return tuple(int(answer.headers[name]) for name in HEADERS)


async def test_documented_limits(caller):
    """Unless told otherwise it is 100 requests per 10 s and 200,000 per day."""
    assert limits(await caller.active("loc1")) == (200_000, 199_999, 10_000, 100, 99)


async def test_429_once_the_window_is_spent(call, clock):
    """Gives 429 once `max_requests` were taken, and takes more when the first are past."""
    async with Sandbox(max_requests=3, period=2.5, clock=clock) as sandbox:
        caller = call(sandbox)
        assert [(await caller.active("loc1")).status for _ in range(4)] == [200, 200, 200, 429]
        clock.now += 2.49
        assert (await caller.active("loc1")).status == 429
        clock.now += 0.01
        assert (await caller.active("loc1")).status == 200


async def test_the_window_slides(call, clock):
    """Each request leaves the window `period` after it came, not all at once."""
    async with Sandbox(max_requests=2, period=10, clock=clock) as sandbox:
        caller = call(sandbox)
        statuses = []
        for wait in (0, 6, 3, 1, 1, 5):
            clock.now += wait
            statuses.append((await caller.active("loc1")).status)
        assert statuses == [200, 200, 429, 200, 429, 200]


async def test_429_looks_as_it_should(call, clock):
    """A 429 says so in its body, has the six headers and no Retry-After."""
    async with Sandbox(max_requests=1, clock=clock) as sandbox:
        await call(sandbox).active("loc1")
        answer = await call(sandbox).active("loc1")
        assert (answer.status, answer.body["message"]) == (429, "Too Many Requests")
        assert limits(answer) == (200_000, 199_999, 10_000, 1, 0)
        assert "Retry-After" not in answer.headers


async def test_rejected_requests_do_not_count(call, clock):
    """A 429 takes nothing from the window or the day."""
    async with Sandbox(max_requests=1, daily_quota=2, clock=clock) as sandbox:
        caller = call(sandbox)
        assert [(await caller.active("loc1")).status for _ in range(5)] == [200] + [429] * 4
        clock.now += 10
        answer = await caller.active("loc1")
        assert (answer.status, limits(answer)[1]) == (200, 0)


async def test_the_day(call, clock):
    """A spent day gives 429 with nothing left of it, and ends 24 hours after its first request."""
    clock.now += 5 * 3_600
    async with Sandbox(daily_quota=2, clock=clock) as sandbox:
        caller = call(sandbox)
        assert [(await caller.active("loc1")).status for _ in range(3)] == [200, 200, 429]
        clock.now += DAY - 1
        answer = await caller.active("loc1")
        assert (answer.status, limits(answer)) == (429, (2, 0, 10_000, 100, 100))
        clock.now += 1
        assert (await caller.active("loc1")).status == 200


async def test_the_day_s_reset(call, clock):
    """`X-RateLimit-Daily-Reset` is the milliseconds until the day ends, on refusals too."""
    async with Sandbox(daily_quota=2, clock=clock) as sandbox:
        caller = call(sandbox)
        told = []
        for wait in (0, 57, 0.5, DAY - 57.5):
            clock.now += wait
            told.append(int((await caller.active("loc1")).headers["X-RateLimit-Daily-Reset"]))
        assert told == [86_400_000, 86_343_000, 86_342_500, 86_400_000]


async def test_each_location_has_its_own(call, clock):
    """A location's budget is not another's, but it is that of all operations and contracts."""
    async with Sandbox(max_requests=1, clock=clock) as sandbox:
        caller = call(sandbox)
        assert (await caller.active("loc1")).status == 200
        assert (await caller.active("loc2")).status == 200
        assert (await caller.pools(locationId="loc1")).status == 429
        assert (await caller.available("loc1", countryCode="US")).status == 429
        assert (await caller.purchase("loc1", phoneNumber="+18305551234")).status == 429
        assert (await call(sandbox, version="2021-07-28").active("loc1")).status == 429
        assert sandbox.ledger == []


async def test_each_app_has_its_own(call, clock):
    """Tokens of one app share a budget; those of another have theirs."""
    tokens = {"a1": TokenSettings(), "a2": TokenSettings(), "b": TokenSettings(app="other")}
    async with Sandbox(max_requests=1, tokens=tokens, clock=clock) as sandbox:
        statuses = [
            (await call(sandbox, token=token).active("loc1")).status for token in ("a1", "a2", "b")
        ]
        assert statuses == [200, 429, 200]


async def test_headers_on_errors(call, sandbox):
    """Errors after the token check have the headers, and count."""
    answers = [
        await call(sandbox, version="v9").active("loc1"),
        await call(sandbox).active("loc1", page="x"),
        await call(sandbox).purchase("loc1"),
    ]
    assert [answer.status for answer in answers] == [401, 400, 400]
    assert [limits(answer)[4] for answer in answers] == [99, 98, 97]


async def test_a_bad_token_costs_nobody_anything(call):
    """A request with an invalid token has no headers and takes nothing."""
    async with Sandbox(tokens=["pit-a"]) as sandbox:
        refused = await call(sandbox, token="pit-b").active("loc1")
        assert not set(HEADERS) & set(refused.headers)
        assert limits(await call(sandbox, token="pit-a").active("loc1"))[4] == 99
