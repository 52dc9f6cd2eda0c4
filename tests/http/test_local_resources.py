"""The machine runs out of descriptors, ports or threads, which is not the service's fault."""

import asyncio
import errno
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from socket import create_server, socket

import aiohttp
import pytest

from lcphone_async import ConnectFailedError, LCPhoneClient, LocalResourceError, RetryPolicy
from lcphone_async._http import body
from lcphone_async.audit import StoreError, audit
from lcphone_async.sandbox import Sandbox

ONCE = RetryPolicy(max_tries=1, failure_budget=2)
LIMITED = pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_NOFILE here")

# `without_descriptors()` takes all that there are, and gives them back at the end.
HELPERS = """
import asyncio, contextlib, json, os, resource, sys
from lcphone_async import LCPhoneClient, LCPhoneError, PurchaseJournal, RateLimiter, RetryPolicy

_, most = resource.getrlimit(resource.RLIMIT_NOFILE)

@contextlib.contextmanager
def without_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
    taken = []
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.dup(0))
    try:
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)

"""

CALLS = """
async def numbers(client):
    return [number async for number in client.active_numbers("a")]

async def main(url, journal):
    errors = []
    once = RetryPolicy(max_tries=1, failure_budget=2, confirm_timeout=0.1)
    options = {"base_url": url, "retry": once, "journal": PurchaseJournal(journal)}
    async with LCPhoneClient("pit-any", **options) as client:
        operations = {
            "pools": lambda: client.number_pools("a"),
            "numbers": lambda: numbers(client),
            "search": lambda: client.search_available("a", "US"),
            "purchase": lambda: client.purchase("a", "+18305551234"),
        }
        with without_descriptors():
            for operation in operations.values():
                try:
                    await operation()
                except Exception as error:
                    errors.append((type(error).__name__, str(error)))
        bought = [bool(await operation()) for operation in operations.values()]
    print(json.dumps([errors, bought]))

asyncio.run(main(*sys.argv[1:]))
"""

AUDIT = """
from lcphone_async.audit import audit

async def main(url, store):
    held = []
    patient = RetryPolicy(max_tries=2, initial_wait=0.01)
    options = {"base_url": url, "limiter": RateLimiter(10_000), "retry": patient}

    def progress(now):
        if now.done >= 3 and not held:
            held.append(stack.enter_context(without_descriptors()))

    async with LCPhoneClient("pit-any", **options) as client:
        ids = [f"loc{number}" for number in range(3_000)]
        with contextlib.ExitStack() as stack:
            # Without connections that are kept, each request needs a descriptor.
            client._transport._open_session(None).connector._force_close = True
            first = await audit(client, ids, store, concurrency=2, on_progress=progress)
        done = first.coverage.get("complete", 0)
    print(json.dumps([type(first.error).__name__, str(first.error), done, first.coverage]))

asyncio.run(main(*sys.argv[1:]))
"""


FILES = """
from lcphone_async import FileTokenStore
from lcphone_async.audit import audit

async def main(folder):
    store, audited = FileTokenStore(f"{folder}/tokens.json"), f"{folder}/audit.db"
    async with LCPhoneClient("pit-any") as client:
        with without_descriptors():
            errors = []
            for use in (store.load(), audit(client, ["a"], audited)):
                try:
                    await use
                except (OSError, LCPhoneError) as error:
                    errors.append(str(error))
    print(json.dumps(errors))

asyncio.run(main(*sys.argv[1:]))
"""


async def run(program, *arguments):
    """The output of a program that may use up all descriptors of its process."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", HELPERS + program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.sample(1)
@LIMITED
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_no_descriptors_are_left(tmp_path, host):
    """Raises `LocalResourceError` with a hint; the same client works again later."""
    async with Sandbox() as sandbox:
        url = sandbox.url.replace("127.0.0.1", host)
        errors, went_on = await run(CALLS, url, tmp_path / "journal")
        purchases = [record.method for record in sandbox.requests].count("POST")
    assert [name for name, _ in errors] == ["LocalResourceError"] * 4
    assert all("raise `ulimit -n`" in text for _, text in errors)
    assert went_on == [True] * 4
    assert purchases == 1


@pytest.mark.exhaustive
@LIMITED
async def test_files_without_descriptors(tmp_path):
    """Raises the same hint for files as for calls."""
    (tmp_path / "tokens.json").write_text("{}")
    errors = await run(FILES, tmp_path)
    for text, name in zip(errors, ("tokens.json", "audit.db"), strict=True):
        assert "Too many open files: raise `ulimit -n`" in text
        assert name in text


@LIMITED
async def test_an_audit_without_descriptors(tmp_path):
    """Stops, keeps the finished locations, and blames none of the others."""
    async with Sandbox(numbers_per_location=5) as sandbox:
        store = tmp_path / "store"
        error, text, done, coverage = await run(AUDIT, sandbox.url, store)
        # The store's own file may fail first.
        assert error in {"LocalResourceError", "StoreError"}
        assert "too many open files" in text.lower()
        assert 0 < done < 3_000
        assert coverage == {"complete": done, "pending": 3_000 - done}


async def test_no_port_or_address_is_left():
    """Raises `LocalResourceError` if the local address is unavailable."""
    connector = aiohttp.TCPConnector(
        local_addr=("192.0.2.1", 0)
    )  # belongs to no machine (RFC 5737)
    async with (
        Sandbox() as sandbox,
        aiohttp.ClientSession(connector=connector) as session,
        LCPhoneClient("any", base_url=sandbox.url, session=session, retry=ONCE) as client,
    ):
        for _ in range(5):
            with pytest.raises(LocalResourceError, match="no free port left, or no such address"):
                await client.number_pools("a")


CAUSES = ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EACCES", "EPERM", "EADDRNOTAVAIL")


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_local_errors_do_not_count(cause, host):
    """Local errors do not open the circuit, and the next call is sent."""
    number = getattr(errno, cause)
    failing = True

    def new_socket(info):
        if failing:
            raise OSError(number, os.strerror(number))
        return socket(*info[:3])

    connector = aiohttp.TCPConnector(socket_factory=new_socket)
    async with (
        Sandbox() as sandbox,
        aiohttp.ClientSession(connector=connector) as session,
        LCPhoneClient(
            "any", base_url=sandbox.url.replace("127.0.0.1", host), session=session, retry=ONCE
        ) as client,
    ):
        for _ in range(5):
            with pytest.raises(LocalResourceError, match=r"this (process|machine) "):
                await client.number_pools("a")
        failing = False
        assert await client.number_pools("a")


async def test_a_service_that_refuses_connections():
    """Is not taken for a local error."""
    with create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    async with LCPhoneClient("any", base_url=url, retry=ONCE) as client:
        with pytest.raises(ConnectFailedError) as caught:
            await client.number_pools("a")
    assert type(caught.value) is ConnectFailedError


@contextmanager
def without_threads():
    """Prevents new threads."""

    def start(_):
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        yield


async def test_no_thread_for_name_resolution():
    """Raises `LocalResourceError` if no thread can resolve the service's name."""
    url = "https://lcphone.invalid"
    async with LCPhoneClient("any", base_url=url, retry=ONCE) as client:
        with without_threads():
            for _ in range(5):
                with pytest.raises(LocalResourceError, match="ulimit -u"):
                    await client.number_pools("a")


async def test_no_thread_for_a_large_body(monkeypatch):
    """Decodes a large body on the event loop if no thread can be started."""
    monkeypatch.setattr(body, "_LARGE", 1)
    async with Sandbox() as sandbox, LCPhoneClient("any", base_url=sandbox.url) as client:
        with without_threads():
            assert len(await client.number_pools("a")) == 2


async def test_no_thread_for_an_audit(tmp_path):
    """Raises `StoreError`, and blames no location."""
    async with Sandbox() as sandbox, LCPhoneClient("any", base_url=sandbox.url) as client:
        with without_threads(), pytest.raises(StoreError, match="can't start new thread"):
            await audit(client, ["a"], tmp_path / "store")
