"""The circuit breaker: after too many failures, a client sends nothing for a while."""

import asyncio
import logging
from contextlib import suppress

import pytest

from lcphone_async import (
    AuthenticationError,
    CircuitOpenError,
    ClientClosedError,
    CountrySearch,
    LCPhoneClient,
    LCPhoneError,
    PurchaseJournal,
    PurchaseOutcomeUnknownError,
    RateLimitedError,
    RateLimiter,
    RequestTimeoutError,
    RetryPolicy,
    ServerError,
    bulk,
)
from lcphone_async._http.circuit import CircuitBreaker
from lcphone_async._http.retry import call_with_retries
from lcphone_async._wire.requests import number_pools
from support.fake_clock import run
from support.raw_server import http, http_json

REQUEST = number_pools("location")
DOWN = ServerError(503, "down for maintenance")
POOLS = http_json({"data": [], "total": 0})
BUDGET = 10


def client_of(server, **options):
    retry = RetryPolicy(initial_wait=0, confirm_timeout=0.01, failure_budget=BUDGET, **options)
    return LCPhoneClient("t", base_url=server.url, retry=retry)


async def outcomes(calls):
    return await asyncio.gather(*calls, return_exceptions=True)


def later(monkeypatch, seconds):
    """Advances the loop's clock."""
    loop = asyncio.get_running_loop()
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + seconds)


@pytest.fixture
async def down(raw_server):
    raw_server.reply(http(status=503))
    return raw_server


async def test_a_service_that_is_down_is_not_hammered(down):
    """Calls that are in progress when it opens are not retried, and no others are sent."""
    async with client_of(down) as client:
        errors = await outcomes(client.number_pools(f"location{i}") for i in range(300))
        sent = len(down.requests)
        errors += await outcomes(client.number_pools(f"location{i}") for i in range(300))
    assert BUDGET <= sent <= 300 + BUDGET  # of up to 1,500 attempts
    assert len(down.requests) == sent
    assert {type(error) for error in errors} == {CircuitOpenError}


async def test_sequential_calls_use_up_the_failure_budget(down):
    """Sends exactly as many failing attempts as the budget allows, retries included."""
    async with client_of(down) as client:
        errors = [await outcomes([client.number_pools("location")]) for _ in range(9)]
    assert len(down.requests) == BUDGET
    assert [type(error) for (error,) in errors] == [ServerError] * 2 + [CircuitOpenError] * 7


async def test_an_open_circuit_is_reported(down, caplog):
    """The error has call, last failure and time of the next probe; the log reports it once."""
    caplog.set_level(logging.WARNING)
    async with client_of(down) as client:
        await outcomes(client.number_pools("location") for _ in range(3))
        with pytest.raises(CircuitOpenError) as raised:
            await client.search_available("location", "US")
    error = raised.value
    assert error.path == "/phone-system/numbers/location/location/available"
    assert 0 < error.retry_after <= 2
    assert "not sent, as the service seems to be down: 503: " in str(error)
    (message,) = caplog.messages
    assert message.startswith("circuit open; probing every 2 s: 503: ")


async def test_one_call_is_the_probe(down, monkeypatch):
    """Sends one call every two seconds."""
    async with client_of(down, max_tries=1) as client:
        await outcomes(client.number_pools("location") for _ in range(BUDGET))
        for _ in range(5):
            later(monkeypatch, 1)
            await outcomes(client.number_pools("location") for _ in range(3))
            sent = len(down.requests)
            later(monkeypatch, 1)
            await outcomes(client.number_pools("location") for _ in range(3))
            assert len(down.requests) == sent + 1


async def test_the_first_response_closes_it(down, monkeypatch):
    """Sends all calls again, with a full budget, after one response."""
    async with client_of(down, max_tries=1) as client:
        await outcomes(client.number_pools("location") for _ in range(BUDGET))
        down.reply(POOLS)
        later(monkeypatch, 2)
        assert await outcomes(client.number_pools("location") for _ in range(1)) == [[]]
        down.reply(http(status=503))
        errors = await outcomes(client.number_pools("location") for _ in range(BUDGET))
    assert [type(error) for error in errors] == [ServerError] * BUDGET


async def test_a_search_of_many_countries(down):
    """Returns the error for each country that failed, and the results of the others."""
    async with client_of(down) as client:
        await outcomes(client.number_pools("location") for _ in range(3))
        found = [search async for search in client.search_countries("location", ["US", "CA"])]
    assert {type(search) for search in found} == {CountrySearch}
    assert {type(search.error) for search in found} == {CircuitOpenError}


async def test_a_purchase_is_not_sent(down, tmp_path):
    """Buys nothing, leaves nothing open, and the error says that nothing was sent."""
    with PurchaseJournal(tmp_path / "journal.db") as journal:
        retry = RetryPolicy(initial_wait=0, max_tries=1, failure_budget=BUDGET)
        client = LCPhoneClient("t", base_url=down.url, retry=retry, journal=journal)
        async with client:
            await outcomes(client.number_pools("location") for _ in range(BUDGET))
            with pytest.raises(CircuitOpenError, match="not sent"):
                await client.purchase("location", "+18305551234")
        assert not [record for record in await journal.records() if record.is_open]
    assert not [request for request in down.requests if request.method == "POST"]


async def test_a_purchase_that_was_sent_stays_in_doubt(down, tmp_path):
    """Raises `PurchaseOutcomeUnknownError` if the POST itself opened the circuit."""
    retry = RetryPolicy(initial_wait=0, max_tries=1, failure_budget=1, confirm_timeout=0.01)
    async with LCPhoneClient("t", base_url=down.url, retry=retry) as client:
        with pytest.raises(PurchaseOutcomeUnknownError):
            await client.purchase("location", "+18305551234")
    assert [request.method for request in down.requests] == ["POST"]


async def test_calls_that_are_not_sent_take_no_slot(down):
    """Fails all calls in a location's wait queue as soon as the first of them has a slot."""
    limiter = RateLimiter(1, 1000)
    retry = RetryPolicy(max_tries=1, failure_budget=1)
    async with LCPhoneClient("t", base_url=down.url, retry=retry, limiter=limiter) as client:
        with suppress(CircuitOpenError):
            async with asyncio.timeout(20), limiter.slot("busy"):
                waiting = [asyncio.create_task(client.number_pools("busy")) for _ in range(3)]
                await outcomes([client.number_pools("location")])
                await client.number_pools("location")
        async with asyncio.timeout(20):
            errors = await outcomes(waiting)
            assert [type(error) for error in errors] == [CircuitOpenError] * 3
            async with limiter.slot("busy"):
                pass


def failures_of(circuit, *errors):
    """Sends one request after another with these outcomes."""
    for error in errors:
        circuit.acquire_probe(REQUEST)
        circuit.record(error)


NO_OUTAGES = [
    AuthenticationError(401, "Invalid token"),
    RateLimitedError(429, "slow down, or calls are timed out"),
    ServerError(501, "never"),
    ClientClosedError("GET", "/", "closed"),
]


@pytest.mark.parametrize("error", NO_OUTAGES, ids=lambda error: type(error).__name__)
def test_refusals_do_not_open_it(error):
    """Stays closed whatever the service refuses, if the service itself works."""

    async def main():
        failures_of(CircuitBreaker(2), *[error] * 9)

    run(main())


def test_a_closed_client_does_not_close_it():
    """Stays open if nothing was sent, until there is a response."""

    async def main():
        circuit = CircuitBreaker(1)
        failures_of(circuit, DOWN)
        circuit.record(ClientClosedError("GET", "/", "closed"))
        with pytest.raises(CircuitOpenError):
            circuit.raise_if_open(REQUEST)

    run(main())


def test_occasional_responses_keep_it_closed():
    """Stays closed as long as one attempt in eleven has a response."""

    async def main():
        failures_of(CircuitBreaker(11), *[*[DOWN] * 10, None] * 99)

    run(main())


@pytest.mark.exhaustive
async def test_a_failing_location_does_not_block_the_others(raw_server):
    """Sends the calls of other locations, however often those of one location fail."""
    raw_server.reply(lambda request: http(status=500) if "bad" in request.target else POOLS)
    async with client_of(raw_server) as client:
        for _ in range(30):
            (bad,) = await outcomes([client.number_pools("bad")])
            assert isinstance(bad, ServerError)
            assert await client.number_pools("good") == []


def test_old_responses_do_not_count():
    """Opens after the budgeted number of failures, however many responses came before."""

    async def main():
        circuit = CircuitBreaker(2)
        failures_of(circuit, *[None] * 99, DOWN, DOWN)
        with pytest.raises(CircuitOpenError):
            circuit.raise_if_open(REQUEST)

    run(main())


def test_a_cancelled_probe_is_followed_by_another():
    """Sends another probe after the next pause if the first was cancelled."""

    async def main():
        circuit = CircuitBreaker(1)
        failures_of(circuit, DOWN)
        await asyncio.sleep(2)
        circuit.acquire_probe(REQUEST)
        with pytest.raises(CircuitOpenError):
            circuit.acquire_probe(REQUEST)
        await asyncio.sleep(2)
        circuit.acquire_probe(REQUEST)

    run(main())


def times_of_a_call(circuit):
    """The times at which a call meets an open circuit, and its result."""
    asked = []

    async def attempt():
        asked.append(asyncio.get_running_loop().time())
        circuit.acquire_probe(REQUEST)
        return "answer"

    async def main():
        failures_of(circuit, RequestTimeoutError("GET", "/", "30 s"))
        try:
            return await call_with_retries(attempt, RetryPolicy(), repeatable=False)
        except LCPhoneError as error:
            return error

    return run(main()), asked


def test_ordinary_calls_do_not_wait():
    """Raises at once, so that a waiting user can be told."""
    outcome, asked = times_of_a_call(CircuitBreaker(1))
    assert isinstance(outcome, CircuitOpenError)
    assert asked == [0]


def test_bulk_calls_wait():
    """Continues after the pause."""
    with bulk():
        outcome, asked = times_of_a_call(CircuitBreaker(1))
    assert outcome == "answer"
    assert set(asked) == {0, 2}


def test_bulk_calls_do_not_wait_for_ever():
    """Raises if the circuit is still open after `max_time`, whatever `max_tries` is."""

    async def attempt():
        raise CircuitOpenError("GET", "/", "down", 2.0)

    async def main():
        with bulk(), pytest.raises(CircuitOpenError):
            await call_with_retries(attempt, RetryPolicy(max_tries=1, max_time=9), repeatable=True)
        return asyncio.get_running_loop().time()

    assert run(main()) == 8
