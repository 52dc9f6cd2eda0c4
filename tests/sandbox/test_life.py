"""Starting, stopping, threads, the pytest fixture, and what an import costs."""

import asyncio
import gc
import socket
import subprocess
import sys
import threading
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from pathlib import Path

import attrs
import pytest

from lcphone_async.sandbox import Fault, LocationSettings, OAuthSettings, Sandbox, TokenSettings
from lcphone_async.sandbox.threads import running_in_thread

pytest_plugins = ["pytester"]

PATH = "/phone-system/numbers/location/loc1"


def status(url):
    connection = HTTPConnection(url.removeprefix("http://"))
    connection.request("GET", PATH, headers={"Authorization": "Bearer x", "Version": "v3"})
    with connection.getresponse() as response:
        connection.close()
        return response.status


def test_no_url_before_the_start():
    """Says what is missing when it does not run."""
    with pytest.raises(RuntimeError, match="async with"):
        _ = Sandbox().url


async def test_port_and_host(unused_tcp_port_factory, call):
    """Listens where it is told to."""
    port = unused_tcp_port_factory()
    async with Sandbox(host="localhost", port=port) as sandbox:
        assert sandbox.url == f"http://localhost:{port}"
        assert (await call(sandbox).active("loc1")).status == 200


@pytest.mark.sample(3)
@pytest.mark.parametrize("turns", range(6))
async def test_connections_on_their_way(turns):
    """Leaves nothing of connections that nobody has accepted when it closes."""
    async with Sandbox() as sandbox:
        address = ("127.0.0.1", int(sandbox.url.rpartition(":")[2]))
        for _ in range(7):
            socket.create_connection(address).close()
        for _ in range(turns):
            await asyncio.sleep(0)
    del sandbox
    gc.collect()  # what was left open warns, which is an error here


async def test_a_taken_port():
    """A port that is taken is an `OSError`, and leaves nothing behind."""
    async with Sandbox() as first:
        port = int(first.url.rpartition(":")[2])
        second = Sandbox(port=port)
        with pytest.raises(OSError, match=str(port)):
            await second.start()
        with pytest.raises(RuntimeError):
            _ = second.url


async def test_it_leaves_no_task(call):
    """Stops with a connection still open, and leaves no task of its own."""
    before = asyncio.all_tasks()
    async with Sandbox() as sandbox:
        await call(sandbox).active("loc1")
    assert asyncio.all_tasks() == before


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


async def cancelled_after(turns, coroutine):
    """Whether it was cancelled so early that it could not end before."""
    task = asyncio.create_task(coroutine)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


@pytest.mark.parametrize("turns", range(1, 8))
async def test_a_start_that_is_cancelled(unused_tcp_port, turns):
    """Leaves nothing that listens, whenever it is cancelled, and can start again."""
    sandbox = Sandbox(port=unused_tcp_port)
    if await cancelled_after(turns, sandbox.start()):
        assert not listens(unused_tcp_port)
        await sandbox.start()
    assert listens(unused_tcp_port)
    await sandbox.close()


@pytest.mark.parametrize("turns", range(1, 8))
async def test_a_stop_that_is_cancelled(turns):
    """Stops all the same, whenever it is cancelled."""
    sandbox = Sandbox()
    await sandbox.start()
    port = int(sandbox.url.rpartition(":")[2])
    await cancelled_after(turns, sandbox.close())
    assert not listens(port)


async def test_a_stop_before_the_start_is_over(unused_tcp_port):
    """Finds nothing to stop yet: who started it stops it."""
    sandbox = Sandbox(port=unused_tcp_port)
    await asyncio.gather(sandbox.start(), sandbox.close())
    assert sandbox.url.endswith(str(unused_tcp_port))
    await sandbox.close()
    assert not listens(unused_tcp_port)


async def test_two_starts_at_once():
    """Refuses the second."""
    sandbox = Sandbox()
    both = await asyncio.gather(sandbox.start(), sandbox.start(), return_exceptions=True)
    assert [str(each)[:30] for each in both] == ["None", "the sandbox is running already"]
    await sandbox.close()


async def test_the_state_outlives_a_stop(call):
    """A sandbox that is started again is the one it was."""
    sandbox = Sandbox()
    async with sandbox:
        await call(sandbox).purchase("loc1", phoneNumber="+18305551234")
    async with sandbox:
        page = await call(sandbox).page("loc1", searchFilter="+18305551234")
        assert len(page["numbers"]) == 1


async def test_it_starts_once():
    """Refuses to start while it runs; stopping twice is one stop."""
    async with Sandbox() as sandbox:
        with pytest.raises(RuntimeError, match="already"):
            await sandbox.start()
        await sandbox.close()


def test_in_a_thread():
    """Serves from a thread of its own, which ends with the block."""
    before = threading.active_count()
    with Sandbox().in_thread() as sandbox:
        assert status(sandbox.url) == 200
        assert sandbox.requests[0].path == PATH
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_a_thread_that_cannot_start():
    """What goes wrong in the thread is raised where the block begins."""
    with Sandbox().in_thread() as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(OSError, match=str(port)), Sandbox(port=port).in_thread():
            pytest.fail("started on a port that is taken")


def test_a_thread_that_cannot_stop():
    """What goes wrong when it is stopped is raised where the block ends."""

    @asynccontextmanager
    async def stubborn():
        yield
        raise OSError("will not close")

    with pytest.raises(OSError, match="will not close"), running_in_thread(stubborn()):
        pass


def test_a_block_that_fails():
    """An exception in the block comes out of it, and the thread ends."""
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), Sandbox().in_thread():
        raise ZeroDivisionError
    assert threading.active_count() == before


def test_the_fixture_in_a_plain_test(lcphone_sandbox):
    """The fixture runs in a test without an event loop."""
    assert status(lcphone_sandbox.url) == 200


async def test_the_fixture_in_an_async_test(lcphone_sandbox, call):
    """The fixture runs beside a test's own event loop."""
    await call(lcphone_sandbox).purchase("loc1", phoneNumber="+18305551234")
    assert [entry.phone_number for entry in lcphone_sandbox.ledger] == ["+18305551234"]


@pytest.mark.exhaustive
def test_the_fixture_comes_with_the_package(pytester):
    """Another project's test has the fixture without importing anything, one sandbox a test."""
    pytester.makepyfile("""
        import pytest

        @pytest.mark.parametrize("turn", [1, 2])
        def test_it(lcphone_sandbox, turn):
            assert lcphone_sandbox.url.startswith("http://127.0.0.1:")
            assert lcphone_sandbox.requests == []
    """)
    pytester.runpytest_subprocess("-p", "no:asyncio", "-W", "error").assert_outcomes(passed=2)


@pytest.mark.exhaustive
def test_the_clients_fixture(pytester, monkeypatch):
    """Another project's test has a client of its sandbox, and warns of nothing by itself."""
    monkeypatch.setenv("PYTHONWARNINGS", "error")  # also while plugins are imported
    pytester.makepyfile("""
        import asyncio

        import pytest
        from lcphone_async import RateLimitedError
        from lcphone_async.sandbox import Fault

        async def pools(lcphone_client, lcphone_sandbox):
            async with lcphone_client as client:
                assert len(await client.number_pools("loc1")) == 2
                lcphone_sandbox.faults.append(Fault(status=503, times=2))
                assert len(await client.number_pools("loc1")) == 2
                lcphone_sandbox.faults.append(Fault(status=429))
                with pytest.raises(RateLimitedError):
                    await client.number_pools("loc1")

        def test_it(lcphone_client, lcphone_sandbox):
            asyncio.run(pools(lcphone_client, lcphone_sandbox))
    """)
    outcome = pytester.runpytest_subprocess("-p", "no:asyncio", "-W", "error")
    outcome.assert_outcomes(passed=1)


async def test_the_clients_fixture_in_an_async_test(lcphone_client, lcphone_sandbox):
    """The client opens on the test's own event loop."""
    async with lcphone_client as client:
        found = await client.search_available("loc1", "US")
        await client.purchase("loc1", found.numbers[0])
    assert len(lcphone_sandbox.ledger) == 1


@pytest.mark.exhaustive
def test_import_is_light():
    """Loading the plugin, as pytest does in every run, imports no server and no client.

    The sandbox shares with the client only how work is brought to its end, and the clock that no
    test stops.
    """
    code = """
import sys, types
# Stands in for the package above, whose own imports are not the sandbox's.
parent = types.ModuleType("lcphone_async")
parent.__path__ = sys.argv[1:]
sys.modules["lcphone_async"] = parent
import lcphone_async.pytest_plugin
print({"aiohttp", "attrs", "msgspec", "asyncio"} & sys.modules.keys())
import lcphone_async.sandbox
lcphone_async.sandbox.Sandbox
print(sorted(name for name in sys.modules if name.startswith("lcphone_async._internal.")))
print({name.split(".")[1] for name in sys.modules if name.startswith("lcphone_async.")}
      - {"sandbox", "pytest_plugin", "_internal"})
"""
    import lcphone_async

    run = subprocess.run(
        [sys.executable, "-c", code, *lcphone_async.__path__],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == (
        "set()\n['lcphone_async._internal.lazy', 'lcphone_async._internal.tasks']\nset()\n"
    )


def test_names():
    """The package hands on what it says it does."""
    import lcphone_async.sandbox as package

    assert all(getattr(package, name).__name__ == name for name in package.__all__)


@pytest.mark.parametrize("cls", [Sandbox, Fault, LocationSettings, TokenSettings, OAuthSettings])
def test_every_argument_is_typed(cls):
    """The typing test passes every argument of a public class."""
    typed = (Path(__file__).parents[1] / "typing" / "sandbox.py").read_text()
    arguments = {field.alias for field in attrs.fields(cls) if field.init}
    assert {name for name in arguments if f"{name}=" not in typed} == set()
