"""How quick the sandbox is: to start, and to serve a page of a million numbers.

The start is measured in this process, imports left out, as a test suite meets it once per test;
and as the command, until its URL is printed, beside a process that imports `aiohttp.web` and ends.
A page is compared with the same bytes out of a bare aiohttp handler, on the same loop, one
request after the other: what is over 1 is what it costs to grow, filter and write a thousand
numbers. A last page costs what a first one does, as no page is built before it is asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import median
from time import perf_counter

import aiohttp
from _report import print_table, print_versions
from aiohttp import web

from lcphone_async.sandbox import Sandbox

NUMBERS = 1_000_000
PATH = "/phone-system/numbers/location/loc1"
HEADERS = {"Authorization": "Bearer any", "Version": "v3"}


@asynccontextmanager
async def same_bytes(body: bytes) -> AsyncIterator[str]:
    """A server that answers everything with `body`; gives its URL."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def seconds(act: Callable[[], Awaitable[object]], times: int) -> float:
    """The median time of one call."""
    taken = []
    for _ in range(times):
        started = perf_counter()
        await act()
        taken.append(perf_counter() - started)
    return median(taken)


async def start_and_stop() -> None:
    """One life of a sandbox with a million numbers a location."""
    async with Sandbox(numbers_per_location=NUMBERS):
        pass


async def run_command() -> None:
    """One `lcphone sandbox`, until it prints its URL."""
    arguments = ("-m", "lcphone_async", "sandbox")
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE)
    assert process.stdout is not None  # noqa: S101
    await process.stdout.readline()
    process.kill()
    await process.wait()


async def import_aiohttp() -> None:
    """One process that imports aiohttp's server."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import aiohttp.web")
    await process.wait()


async def measure(times: int) -> None:
    """Prints the start, and the pages beside their peers."""
    start = await seconds(start_and_stop, times)
    command, bare_import = [
        await seconds(process, max(times // 10, 3)) for process in (run_command, import_aiohttp)
    ]
    rows = []
    async with (
        Sandbox(numbers_per_location=NUMBERS, max_requests=10**9, daily_quota=10**9) as sandbox,
        aiohttp.ClientSession(headers=HEADERS) as session,
    ):

        async def get(url: str) -> bytes:
            async with session.get(url) as response:
                return await response.read()

        for name, page, size in (
            ("first page of 50", 0, 50),
            ("first page of 1000", 0, 1000),
            ("last page of 1000", 749, 1000),
            ("a page of 1000, pools and all", 500, 1000),
        ):
            everything = "&skipNumberPool=false" if "pools" in name else ""
            url = f"{sandbox.url}{PATH}?page={page}&pageSize={size}{everything}"
            body = await get(url)
            own = await seconds(lambda url=url: get(url), times)
            async with same_bytes(body) as peer:
                bare = await seconds(lambda peer=peer: get(peer), times)
            rows.append((name, f"{len(body):,}", f"{own * 1e3:.2f}", f"{own / bare:.1f}"))
    print(f"\nStart and stop: {start * 1e3:.1f} ms, the median of {times}")
    ratio = command / bare_import
    print(f"As a command: {command * 1e3:.0f} ms, {ratio:.1f} of a process that imports aiohttp")
    columns = ("", "bytes", "ms", "of bare aiohttp")
    print_table(f"A location of {NUMBERS:,} numbers", columns, rows)


def main() -> None:
    """Runs it, for CI or at length."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="few runs, to see that it works")
    print_versions("aiohttp", "msgspec")
    asyncio.run(measure(5 if parser.parse_args().short else 200))


if __name__ == "__main__":
    main()
