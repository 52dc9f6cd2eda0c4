"""A walk or search that ends early, or whose client is closed, leaves nothing behind."""

import asyncio
import contextlib
import gc
import time
import warnings

import aiohttp
import pytest

from lcphone_async import (
    BadRequestError,
    ClientClosedError,
    LCPhoneClient,
    RateLimiter,
    RequestTimeoutError,
    RetryPolicy,
)
from support.paged_server import PagedServer
from support.until import until

BUDGET = 20


class LeftError(Exception):
    """Raised by the consumer."""


@pytest.fixture
async def server():
    async with PagedServer().running() as server:
        yield server


@pytest.fixture
def limiter():
    return RateLimiter(BUDGET, 0.01)


@pytest.fixture
async def client(server, limiter):
    retry = RetryPolicy(initial_wait=5, max_wait=5)
    async with LCPhoneClient("t", base_url=server.url, limiter=limiter, retry=retry) as client:
        yield client


@pytest.fixture(params=[True, False], ids=["known total", "unknown total"])
def total(request, server):
    server.tells_total = request.param


async def nothing_is_left(server, limiter):
    """Fails if a task, a connection or a slot is left."""
    await until(lambda: asyncio.all_tasks() - handlers() == {asyncio.current_task()})
    await until(lambda: server.busy == 0)
    async with asyncio.timeout(30):
        slots = [limiter.slot("location") for _ in range(BUDGET)]
        await asyncio.gather(*(slot.__aenter__() for slot in slots))
    for slot in slots:
        await slot.__aexit__(None, None, None)


def handlers():
    """The tasks in which the server waits for its next request."""
    return {task for task in asyncio.all_tasks() if "PagedServer" in repr(task.get_coro())}


async def walk(client, leave_after, how=None):
    """Consumes `leave_after` numbers, and then leaves in one of the ways."""
    count = 0
    async for _ in client.active_numbers("location", page_size=100):
        count += 1
        if count == leave_after:
            if how is None:
                break
            raise how
    return count


LEAVE_AFTER = [1, 100, 101, 150, 4999]


@pytest.mark.usefixtures("total")
@pytest.mark.parametrize("leave_after", LEAVE_AFTER)
async def test_breaking_out(server, client, limiter, leave_after):
    """A `break` leaves nothing, at the first number, at a page's end or within a page."""
    assert await walk(client, leave_after) == leave_after
    await nothing_is_left(server, limiter)


@pytest.mark.usefixtures("total")
@pytest.mark.parametrize("leave_after", LEAVE_AFTER)
async def test_failing_in_the_loop(server, client, limiter, leave_after):
    """An exception of the consumer leaves nothing, and is raised."""
    with pytest.raises(LeftError):
        await walk(client, leave_after, LeftError())
    await nothing_is_left(server, limiter)


@pytest.mark.parametrize("answered", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("held", [0, 1, 7])
@pytest.mark.parametrize("end", ["cancel", "timeout"])
async def test_leaving_during_a_request(server, client, limiter, held, answered, end):
    """A cancellation or timeout while a response is received leaves nothing."""
    server.held[held] = answered
    timeout = asyncio.timeout(None)

    async def leave():
        async with timeout:
            await walk(client, 5000)

    task = asyncio.create_task(leave())
    await until(lambda: held in server.asked)
    if end == "cancel":
        task.cancel()
    else:
        timeout.reschedule(0)
    with pytest.raises(asyncio.CancelledError if end == "cancel" else TimeoutError):
        await task
    await nothing_is_left(server, limiter)


@pytest.mark.sample(2)
@pytest.mark.parametrize("earlier", [0.02, -0.02])
@pytest.mark.parametrize("held", [0.0, 0.5])
@pytest.mark.parametrize("what", ["page", "walk"])
async def test_a_cancellation_at_the_moment_of_a_timeout(server, what, held, earlier):
    """A cancellation is not lost if the caller's timeout and the client's own end together."""
    server.held[0] = held
    loop = asyncio.get_running_loop()
    once = RetryPolicy(max_tries=1)
    async with LCPhoneClient("t", base_url=server.url, timeout=0.2, retry=once) as client:
        call = client.active_numbers_page("location") if what == "page" else walk(client, 5000)
        loop.call_later(0.15, time.sleep, 0.1)  # the loop sees both in one iteration
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2 - earlier):
                with contextlib.suppress(RequestTimeoutError):
                    await call
                await asyncio.sleep(20)


async def test_an_error_of_the_service(server, client, limiter):
    """An error ends the walk after the pages before it, and leaves nothing."""
    server.held = dict.fromkeys(range(6, 50), 0.0)
    server.status[5] = 400
    numbers = []
    with pytest.raises(BadRequestError):
        async for number in client.active_numbers("location", page_size=100):
            numbers.append(number)  # noqa: PERF401  # what came before the error counts
    assert len(numbers) == 500
    await nothing_is_left(server, limiter)


async def test_closing_the_client_during_a_walk(server, client):
    """A walk that waits for a page raises `ClientClosedError`, and leaves nothing."""
    server.held = dict.fromkeys(range(5, 50), 0.0)
    task = asyncio.create_task(walk(client, 5000))
    await until(lambda: 5 in server.asked)
    await client.close()
    with pytest.raises(ClientClosedError):
        await task
    await until(lambda: asyncio.all_tasks() - handlers() == {asyncio.current_task()})
    await until(lambda: not handlers())


@pytest.mark.parametrize("steps", [0, 1, 150])
async def test_closing_the_generator(server, client, limiter, steps):
    """`aclose` leaves nothing, even for a generator that was never started."""
    numbers = client.active_numbers("location", page_size=100)
    for _ in range(steps):
        await anext(numbers)
    await numbers.aclose()
    await nothing_is_left(server, limiter)


async def test_a_dropped_generator_ends_by_itself(server, client, limiter):
    """A generator that is dropped without `aclose` leaves nothing."""
    numbers = client.active_numbers("location", page_size=100)
    await anext(numbers)
    del numbers
    gc.collect()
    await nothing_is_left(server, limiter)


async def test_closing_the_client_ends_calls_in_progress(server, client):
    """A call that waits for its response raises `ClientClosedError`, and leaves nothing."""
    server.held[0] = 0.0
    calls = [asyncio.create_task(client.active_numbers_page("location")) for _ in range(30)]
    await until(lambda: len(server.asked) == 10)
    await client.close()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} == {ClientClosedError}
    await until(lambda: asyncio.all_tasks() - handlers() == {asyncio.current_task()})
    await until(lambda: not handlers())


async def test_closing_repeatedly_and_concurrently(server, client):
    """`close` may be called repeatedly and concurrently; afterwards, calls are refused."""
    await client.active_numbers_page("location")
    await asyncio.gather(client.close(), client.close())
    await client.close()
    with pytest.raises(ClientClosedError):
        await client.active_numbers_page("location")
    assert len(server.asked) == 1


async def test_a_caller_s_session_stays_open(server):
    """The client closes no session that it did not create."""
    async with aiohttp.ClientSession() as session:
        async with LCPhoneClient("t", base_url=server.url, session=session) as client:
            await client.active_numbers_page("location")
        assert not session.closed
        async with session.get(f"{server.url}/?page=0&pageSize=1") as response:
            assert response.status == 200


async def test_an_unclosed_client_warns(server):
    """A used client that is dropped unclosed emits `ResourceWarning`."""
    client = LCPhoneClient("t", base_url=server.url)
    await client.active_numbers_page("location")
    session = client._calls._transport._session
    with pytest.warns(ResourceWarning, match="unclosed <.*LCPhoneClient"):
        del client
        gc.collect()
    await session.close()


async def test_an_unused_client_does_not_warn():
    """A client that never created a session emits no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LCPhoneClient("t")
        gc.collect()
