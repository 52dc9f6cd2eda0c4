"""Event loops, threads, forks, other processes and the end of the interpreter."""

import asyncio
import copy
import gc
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ProcessPoolExecutor

import pytest

from lcphone_async import (
    ClientClosedError,
    LCPhoneClient,
    OAuthTokens,
    PurchaseJournal,
    RateLimiter,
)

PLACE, NUMBER = "loc1", "+18305551234"


async def some_of_everything(url, **options):
    """Reads, searches, buys, leaves a walk early and is cancelled; then checks for leftovers."""
    given = {"base_url": url, **options}
    async with LCPhoneClient(given.pop("token", "any"), **given) as client:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(client.number_pools(PLACE))
            group.create_task(client.search_available(PLACE, "US"))
            walk = group.create_task(count(client.active_numbers(PLACE, page_size=10)))
        assert walk.result() > 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await count(client.active_numbers(PLACE, page_size=1))
        leaving = asyncio.create_task(client.number_pools(PLACE))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        if NUMBER not in await numbers(client):
            assert (await client.purchase(PLACE, NUMBER)).number == NUMBER
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def count(generator):
    return len([each async for each in generator])


async def numbers(client):
    return [number.phone_number async for number in client.active_numbers(PLACE)]


def eager():
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    return loop


def uv():
    return pytest.importorskip("uvloop", reason="no uvloop on this platform").new_event_loop()


@pytest.mark.parametrize(
    "loop",
    [
        asyncio.new_event_loop,
        pytest.param(
            eager,
            marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are of 3.12"),
        ),
        uv,
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_on_any_loop(lcphone_sandbox, loop, debug):
    """Works on asyncio's own loop, on uvloop and with eager tasks, in debug mode too."""
    with asyncio.Runner(loop_factory=loop, debug=debug) as runner:
        runner.run(some_of_everything(lcphone_sandbox.url))


def test_several_loops_in_turn(lcphone_sandbox, tmp_path):
    """The same limiter, token source and journal work on several loops in turn."""
    source = OAuthTokens(client_id="id", client_secret="secret", refresh_token="first")
    with PurchaseJournal(tmp_path / "purchases.db") as journal:
        shared = {"limiter": RateLimiter(), "token": source, "journal": journal}
        for _ in range(3):
            asyncio.run(some_of_everything(lcphone_sandbox.url, **shared))


def test_a_client_on_two_loops(lcphone_sandbox):
    """The error says that the client belongs to another loop, closed or in another thread."""
    client = LCPhoneClient("any", base_url=lcphone_sandbox.url)
    with asyncio.Runner() as first:
        first.run(client.number_pools(PLACE))
        seen = []

        def elsewhere():
            with pytest.raises(ClientClosedError, match="another event loop"):
                asyncio.run(client.number_pools(PLACE))
            seen.append(True)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        elsewhere()
        first.run(client.close())
    assert seen == [True, True]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_models_go_to_other_processes(lcphone_sandbox, method):
    """Models and errors can be sent to another process and back."""

    async def read():
        async with LCPhoneClient("any", base_url=lcphone_sandbox.url) as client:
            return [
                await client.active_numbers_page(PLACE),
                await client.search_available(PLACE, "US"),
                await client.number_pools(PLACE),
            ]

    models = asyncio.run(read())
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        assert pool.submit(copy.copy, models).result() == models


def test_a_client_in_a_reference_cycle(lcphone_sandbox):
    """A closed client in a reference cycle with its token source is collected."""

    async def use():
        source = OAuthTokens(client_id="id", client_secret="secret", refresh_token="first")
        client = LCPhoneClient(source, base_url=lcphone_sandbox.url)
        client.itself = client
        await client.number_pools(PLACE)
        await client.close()
        return source, weakref.ref(client), weakref.ref(client._calls)

    source, *gone = asyncio.run(use())
    gc.collect()
    assert [each() for each in gone] == [None, None]
    assert "id" in repr(source)


async def test_a_dropped_client(lcphone_sandbox):
    """A used client that was not closed is collected, even if its token source is still used."""
    source = OAuthTokens(client_id="id", client_secret="secret", refresh_token="first")
    client = LCPhoneClient(source, base_url=lcphone_sandbox.url)
    await client.number_pools(PLACE)
    session, gone = client._calls._transport._session, weakref.ref(client._calls)
    with pytest.warns(ResourceWarning, match="unclosed <.*LCPhoneClient"):
        del client
        gc.collect()
    gc.collect()  # the warning had a reference to it
    assert gone() is None
    await session.close()


async def test_a_walk_closed_by_another_task(lcphone_sandbox):
    """Another task may close a walk between two numbers."""
    async with LCPhoneClient("any", base_url=lcphone_sandbox.url) as client:
        walk = client.active_numbers(PLACE, page_size=10)
        await anext(walk)
        await asyncio.create_task(walk.aclose())
        assert [number async for number in walk] == []
        assert asyncio.all_tasks() - {asyncio.current_task()} == set()


PROGRAM = """
import asyncio, os, signal, sys
from lcphone_async import *

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
url, path = sys.argv[1:]

def new():
    return LCPhoneClient("any", base_url=url)

"""


def run(program, lcphone_sandbox, tmp_path):
    """The exit code and the output of a program that runs with all of Python's checks."""
    command = [sys.executable, "-X", "dev", "-W", "error"]
    arguments = [lcphone_sandbox.url, str(tmp_path)]
    ended = subprocess.run(
        [*command, "-c", PROGRAM + program, *arguments],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    slow = re.compile(r"^Executing .* took .* seconds\n", re.MULTILINE)  # from asyncio's debug mode
    return ended.returncode, ended.stdout.split(), slow.sub("", ended.stderr)


FORKING = """
def in_child(work):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        asyncio.run(work())
    except (ClientClosedError, RuntimeError) as error:
        print(type(error).__name__, flush=True)
    os._exit(0)

async def pools(client):
    return len(await client.number_pools("loc1"))

async def its_own():
    async with new() as own:
        await pools(own)

async def in_store():
    store = FileTokenStore(path + "/tokens.json")
    async with store.lock():
        assert await store.load() == "text"

async def main():
    journal = PurchaseJournal(path + "/purchases.db")
    store = FileTokenStore(path + "/tokens.json")
    async with new() as client, store.lock():
        assert await store.replace(None, "text")
        await journal.records()
        await pools(client)
        for _ in range(2):
            assert in_child(its_own) == 0
            assert in_child(lambda: pools(client)) == 0
            assert in_child(journal.records) == 0
            await pools(client)
    assert in_child(in_store) == 0
    assert await journal.records() == []
    journal.close()

asyncio.run(main())
"""


@pytest.mark.exhaustive
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_after_a_fork(lcphone_sandbox, tmp_path):
    """A child cannot use what its parent opened, may open its own, and does not harm the parent."""
    program = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n" + FORKING
    code, out, err = run(program, lcphone_sandbox, tmp_path)
    assert (code, out) == (0, ["ClientClosedError", "RuntimeError"] * 2), err
    assert len(lcphone_sandbox.requests) == 5  # no child used its parent's connection


WITHOUT_A_NAME = """
del asyncio.iscoroutinefunction
from lcphone_async.sandbox import Fault, Sandbox

async def main():
    async with Sandbox(faults=[Fault(status=502, times=2)]) as sandbox:
        retry = RetryPolicy(initial_wait=0)
        async with LCPhoneClient("any", base_url=sandbox.url, retry=retry) as client:
            await client.number_pools("loc1")
        print(len(sandbox.requests))
asyncio.run(main())
"""


@pytest.mark.exhaustive
def test_without_iscoroutinefunction(lcphone_sandbox, tmp_path):
    """Retries work if `asyncio` has no `iscoroutinefunction`, as from Python 3.16 on."""
    assert run(WITHOUT_A_NAME, lcphone_sandbox, tmp_path) == (0, ["3"], "")


OPEN = """
async def main():
    global client
    client = new()
    await client.number_pools("loc1")
asyncio.run(main())
"""

HALF_DONE = """
async def main():
    global walk
    async with new() as client:
        walk = client.active_numbers("loc1", page_size=10)
        await anext(walk)
asyncio.run(main())
"""

PENDING = """
async def main():
    client = new()
    async def use():
        async with client:
            await client.number_pools("loc1")
            await asyncio.sleep(60)
    task = asyncio.create_task(use())
    while not client._calls.is_open:
        await asyncio.sleep(0)
asyncio.run(main())
"""

AUDITING = """
from lcphone_async.audit import audit

async def main(seconds):
    async with new() as client:
        places, store = [f"loc{n}" for n in range(40)], f"{path}/{seconds}.duckdb"
        task = asyncio.create_task(audit(client, places, store, concurrency=2))
        await asyncio.sleep(seconds)
for hundredths in range(0, 50, 5):
    asyncio.run(main(hundredths / 100))
"""

INTERRUPTED = """
async def main():
    async with new() as client:
        async for _ in client.active_numbers("loc1", page_size=10):
            os.kill(os.getpid(), signal.SIGINT)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""

EXITING = """
async def main():
    async with new() as client:
        async def leave():
            await client.number_pools("loc1")
            sys.exit(7)
        leaving = asyncio.create_task(leave())
        await asyncio.wait([leaving, asyncio.create_task(client.number_pools("loc1"))])
        await asyncio.sleep(60)
asyncio.run(main())
"""


def test_an_open_client_at_exit(lcphone_sandbox, tmp_path):
    """Warns at exit that the client was not closed; the exit code is unchanged."""
    code, out, err = run(OPEN, lcphone_sandbox, tmp_path)
    assert (code, out) == (0, [])
    assert "LCPhoneClient" in err
    assert "async with" in err


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("program", "expected", "says"),
    [
        pytest.param(HALF_DONE, 0, [], id="a walk half done"),
        pytest.param(PENDING, 0, [], id="a task pending"),
        pytest.param(AUDITING, 0, [], id="an audit pending"),
        pytest.param(INTERRUPTED, 0, ["interrupted"], id="Ctrl-C"),
    ],
)
def test_a_program_that_ends_early(lcphone_sandbox, tmp_path, program, expected, says):
    """A program that ends at any point writes nothing of its own."""
    assert run(program, lcphone_sandbox, tmp_path) == (expected, says, "")


def test_a_task_that_exits(lcphone_sandbox, tmp_path):
    """A task that calls `sys.exit` leaves nothing unclosed; asyncio itself logs the exit."""
    code, out, err = run(EXITING, lcphone_sandbox, tmp_path)
    assert (code, out) == (7, [])
    assert re.findall("(?i)unclosed|never awaited|destroyed", err) == []
