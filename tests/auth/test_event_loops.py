"""A token source belongs to one event loop at a time: another is refused, and never hangs."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lcphone_async import AgencyTokens, ClientClosedError, TokenUnavailableError
from lcphone_async.auth import FileTokenStore
from lcphone_async.sandbox import Fault
from support.oauth_app import COMPANY

SOON = 20.0


@pytest.fixture
def pool():
    """Threads that run an event loop each."""
    with ThreadPoolExecutor(4) as threads:
        yield threads


def agency(app, source):
    return AgencyTokens(company_id=COMPANY, source=source)


each_source = pytest.mark.parametrize("is_agency", [False, True], ids=["oauth", "agency"])


def made(app, **options):
    """A source of the app's installation, or of an agency's."""
    is_agency = options.pop("is_agency")
    tokens = app.tokens(app.oauth.install(None if is_agency else "loc1"), **options)
    return agency(app, tokens) if is_agency else tokens


async def called(app, source):
    """The outcome of one call on this thread's loop."""
    async with app.client(source) as client:
        return await asyncio.wait_for(client.number_pools("loc1"), SOON)


@pytest.mark.sample(1)
@each_source
@pytest.mark.parametrize("delay", [0.01, 0.5], ids=["idle", "refreshing"])
async def test_two_loops_at_once(v3, pool, is_agency, delay):
    """Raises at once on a second loop while the first one runs, and sends no second refresh."""
    v3.sandbox.faults.append(Fault(operation="token", point="after", delay=delay))
    source = made(v3, is_agency=is_agency)
    async with v3.client(source) as client:
        call = asyncio.create_task(client.number_pools("loc1"))
        await asyncio.sleep(0.1)
        loop = asyncio.get_running_loop()
        with pytest.raises(TokenUnavailableError, match="another event loop"):
            await loop.run_in_executor(pool, asyncio.run, called(v3, source))
        await call
        await client.number_pools("loc1")
    assert v3.outcomes() == ["issued"]


@each_source
async def test_many_loops_at_once(v3, pool, is_agency):
    """Serves one of several loops that begin at the same moment, and refuses the others."""
    source, barrier = made(v3, is_agency=is_agency), threading.Barrier(4)

    async def wait_and_call():
        barrier.wait(SOON)
        try:
            return await called(v3, source)
        finally:
            await asyncio.to_thread(barrier.wait, SOON)  # so that all loops run meanwhile

    loop = asyncio.get_running_loop()
    calls = [loop.run_in_executor(pool, asyncio.run, wait_and_call()) for _ in range(4)]
    ended = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in ended if isinstance(one, TokenUnavailableError)]
    assert len(refused) == 3
    assert v3.outcomes() == ["issued"]


@each_source
async def test_one_loop_after_another(v3, pool, is_agency):
    """Serves a loop in another thread once the one before has ended."""
    source, loop = made(v3, is_agency=is_agency), asyncio.get_running_loop()
    for _ in range(3):
        assert await loop.run_in_executor(pool, asyncio.run, called(v3, source))
    assert v3.outcomes() == ["issued"]


async def test_a_source_for_each_loop(v3, pool, tmp_path):
    """Sends one refresh for the loops of several threads whose sources share a store."""
    grant, loop = v3.oauth.install("loc1"), asyncio.get_running_loop()
    sources = [v3.tokens(grant, store=FileTokenStore(tmp_path / "t.json")) for _ in range(4)]
    calls = [loop.run_in_executor(pool, asyncio.run, called(v3, source)) for source in sources]
    assert all(await asyncio.gather(*calls))
    assert v3.outcomes() == ["issued"]


async def test_a_loop_that_was_stopped(v3, pool):
    """Asks anew on the next loop where one was stopped with a request under way."""
    v3.sandbox.faults.append(Fault(operation="location-token", point="after", delay=0.5, times=1))
    source, loop = made(v3, is_agency=True), asyncio.get_running_loop()
    stopped = asyncio.new_event_loop()

    def begin_and_stop():
        client = v3.client(source)
        call = stopped.create_task(client.number_pools("loc1"))
        stopped.run_until_complete(asyncio.sleep(0.2))
        return client, call

    client, call = await loop.run_in_executor(pool, begin_and_stop)
    assert not call.done()
    assert await loop.run_in_executor(pool, asyncio.run, called(v3, source))
    await loop.run_in_executor(pool, stopped.run_until_complete, client.close())
    assert isinstance(call.exception(), ClientClosedError)
    await loop.run_in_executor(pool, stopped.close)
    assert v3.outcomes("location") == ["issued", "issued"]
