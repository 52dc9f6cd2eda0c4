"""Whether calls end when they should, against servers that are slow on purpose.

Each server is met by one attempt under `timeout=`, by a page, a walk, a search and a purchase with
its read-back under an `asyncio.timeout` around the call, and by a chain of tries under
`RetryPolicy.max_time`, after which no other try may begin. The run fails if a call ends sooner,
or later by more than a tenth; a shorter one may take the loop's own 30 ms.

Last, what a page of a million numbers takes, and how long the parsing of 60 MiB holds up the event
loop, which no deadline can cut short; the rest of its decoding goes on in a thread. That is shown
and not judged. With `--short` nothing is.

    python benchmarks/stress/deadlines.py [--short]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

from attrs import frozen

from lcphone_async import LCPhoneClient, LCPhoneError, RetryPolicy

sys.path.append(str(Path(__file__).parents[1]))  # for the modules that all benchmarks share
from _report import print_table, print_versions
from _walks import resident

Call = Callable[[LCPhoneClient], Awaitable[object]]
Behave = Callable[[asyncio.StreamWriter], Awaitable[None]]

NUMBER = "+18305551234"
HEAD = b"HTTP/1.1 200 OK\r\n"
ROW = b'{"phoneNumber": "+18305551234"}'
EMPTY = b'{"numbers": [], "total": 0}'
EMPTY_PAGE = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(EMPTY), EMPTY)

LATE, LOOP = 0.1, 0.03


async def never(_: asyncio.StreamWriter) -> None:
    """Takes the request, and says nothing."""
    await asyncio.Event().wait()


async def slow_head(writer: asyncio.StreamWriter) -> None:
    """A byte of the head a tenth of a second."""
    for byte in EMPTY_PAGE:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.1)


async def slow_body(writer: asyncio.StreamWriter) -> None:
    """The head at once, and spaces without an end."""
    writer.write(HEAD + b"\r\n")
    while True:
        writer.write(b" ")
        await asyncio.sleep(0.1)


async def half(writer: asyncio.StreamWriter) -> None:
    """Stops in the middle of a body."""
    writer.write(EMPTY_PAGE[:-10])
    await asyncio.Event().wait()


async def early_hints(writer: asyncio.StreamWriter) -> None:
    """Other answers before the answer, without an end."""
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
        await writer.drain()
        await asyncio.sleep(0)


async def refusing(writer: asyncio.StreamWriter) -> None:
    """503, at once."""
    writer.write(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")


def big(numbers: int) -> Behave:
    """One page of so many numbers, in the smallest rows there are: they take longest."""
    body = b'{"numbers": [' + b",".join([ROW] * numbers) + b"]}"

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
        writer.write(body)
        await writer.drain()

    return behave


SERVERS = (never, slow_head, slow_body, half, early_hints)


class Server:
    """Behaves in one way, but answers the look-up before a purchase with an empty page."""

    def __init__(self, behave: Behave, look_ups: int = 0) -> None:
        self._behave = behave
        self._look_ups = look_ups
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._tasks.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await reader.readuntil(b"\r\n\r\n"):
                if self._look_ups:
                    self._look_ups -= 1
                    writer.write(EMPTY_PAGE)
                else:
                    await self._behave(writer)
        self._tasks.discard(task)
        writer.close()


@frozen
class Ended:
    """A call, when it should have ended and when it did."""

    what: str
    server: str
    due: float
    took: float

    @property
    def in_time(self) -> bool:
        """Whether the promise is kept."""
        return self.due * (1 - LATE) <= self.took <= self.due + max(self.due * LATE, LOOP)

    def row(self) -> list[str]:
        """Its line of the table."""
        verdict = "kept" if self.in_time else "BROKEN"
        return [f"{self.what}: {self.server}", f"{self.due:.2f}", f"{self.took:.3f}", verdict]


async def page(client: LCPhoneClient) -> object:
    """One page."""
    return await client.active_numbers_page("a")


async def walk(client: LCPhoneClient) -> object:
    """All pages."""
    return [number async for number in client.active_numbers("a")]


async def search(client: LCPhoneClient) -> object:
    """One search."""
    return await client.search_available("a", "US")


async def purchase(client: LCPhoneClient) -> object:
    """A purchase whose look-up is answered."""
    return await client.purchase("a", NUMBER)


async def met(server: Server, call: Call, around: float | None = None, **options: Any) -> float:
    """Seconds until a call of the server is over."""
    async with server as url, LCPhoneClient("t", base_url=url, **options) as client:
        began = perf_counter()
        with suppress(LCPhoneError, TimeoutError):
            async with asyncio.timeout(around):
                await call(client)
        return perf_counter() - began


async def attempts(seconds: float) -> list[Ended]:
    """`timeout=` of one attempt, of each server."""
    ended = []
    retry = RetryPolicy(max_tries=1)
    for behave in SERVERS:
        took = await met(Server(behave), page, timeout=seconds, retry=retry)
        ended.append(Ended("one attempt, timeout=", behave.__name__, seconds, took))
    return ended


async def around(seconds: float) -> list[Ended]:
    """An `asyncio.timeout` around each kind of call, of each server, with all its tries."""
    ended = []
    retry = RetryPolicy(max_tries=1000, max_wait=0.1, failure_budget=1000)
    for call in (page, walk, search, purchase):
        for behave in (*SERVERS, refusing):
            server = Server(behave, look_ups=call is purchase)
            took = await met(server, call, around=seconds, retry=retry)
            ended.append(Ended(f"{call.__name__}, timeout around", behave.__name__, seconds, took))
    return ended


async def chains(seconds: float) -> list[Ended]:
    """What bounds a call by its own settings alone: the sum of what they say."""
    attempt, more = seconds / 2, seconds * 2
    retry = RetryPolicy(max_tries=1000, max_time=more, initial_wait=0, confirm_timeout=seconds)
    # The fourth try ends just after `max_time`, so that no fifth begins.
    tries = await met(Server(never), page, timeout=attempt, retry=retry)
    bought = await met(Server(never, look_ups=1), purchase, timeout=attempt, retry=retry)
    return [
        Ended("tries, max_time", "never", attempt + more, tries),
        Ended("purchase and read-back", "never", attempt + seconds, bought),
    ]


async def watched(numbers: int, call: Call, around: float | None = None) -> tuple[float, float]:
    """Seconds that a call of a page of so many numbers takes, and that the loop stands at most."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        last = perf_counter()
        while True:
            await asyncio.sleep(0.001)
            longest, last = max(longest, perf_counter() - last), perf_counter()

    watching = asyncio.create_task(watch())
    took = await met(Server(big(numbers)), call, around=around)
    await asyncio.sleep(0.01)  # so that it sees the last standstill
    watching.cancel()
    return took, longest


async def large(seconds: float, *, short: bool) -> list[list[str]]:
    """What large answers do: one read to its end, and a larger one that is given up."""
    many, most = (100_000, 200_000) if short else (1_000_000, 60 * 2**20 // len(ROW))

    async def all_of_them(client: LCPhoneClient) -> None:
        got = len((await client.active_numbers_page("a")).numbers)
        if got != many:
            raise RuntimeError(f"{got} numbers of {many}")

    before = resident()
    took, stood = await watched(many, all_of_them)
    memory = (resident("VmHWM") - before) / 1024
    rows = [[f"{many:,} numbers in one page", "", f"{took:.2f}", f"{stood:.2f}", f"{memory:,.0f}"]]
    took, stood = await watched(most, page, seconds)
    what = f"{most:,} numbers, timeout around"
    return [*rows, [what, f"{seconds:.2f}", f"{took:.2f}", f"{stood:.2f}", ""]]


async def measure(*, short: bool) -> tuple[list[Ended], list[list[str]]]:
    """All of it."""
    seconds = 0.5 if short else 2.0
    ended = [*await attempts(seconds), *await around(seconds), *await chains(seconds)]
    return ended, await large(seconds, short=short)


def main() -> int:
    """Measures and prints; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--short", action="store_true", help="only see that it runs")
    short = parser.parse_args().short
    ended, rows = asyncio.run(measure(short=short))
    print_versions("aiohttp")
    print_table(
        "When calls ended, in seconds",
        ["deadline: server", "due", "took", ""],
        [each.row() for each in ended],
    )
    columns = ["not judged", "due", "took", "loop stood", "memory, MiB"]
    print_table("Large answers", columns, rows)
    broken = [each for each in ended if not each.in_time]
    print(f"\n{len(ended) - len(broken)} of {len(ended)} kept to within a tenth")
    return int(bool(broken) and not short)


if __name__ == "__main__":
    sys.exit(main())
