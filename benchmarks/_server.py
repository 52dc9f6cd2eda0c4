"""Servers for the benchmarks: any one in a process of its own, and a raw one that counts.

`CountingServer` costs a few microseconds a request. It takes
`GET /<key>/<limit>/<period>/<spurt>/<up>/<down>`: it counts the request `up` seconds after it
came in, as if it had been on the way for so long, and answers `down` seconds later. Limiters that
do not react to a 429 behave the same whichever window counts, so every window judges each request
as if it were the only one; the status and `X-RateLimit-Remaining` are those of the sliding one.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from multiprocessing.connection import Connection
from statistics import mean
from typing import Any, Self
from urllib.parse import urlsplit

from attrs import define, field

PHASES = 5
"""Fixed windows begin at so many different moments of the period."""


@define
class Windows:
    """One key's requests, as a sliding window and fixed ones at several phases count them."""

    limit: int
    period: float
    arrivals: list[tuple[int, float, bool]] = field(factory=list)
    """Of each request its spurt of work, when it came, and whether the sliding window took it."""
    _recent: deque[float] = field(factory=deque)
    _fixed: Counter[tuple[int, int]] = field(factory=Counter)

    def count(self, spurt: int, now: float) -> int:
        """Counts a request; gives what remains of the sliding window, -1 where it is refused."""
        while self._recent and self._recent[0] <= now - self.period:
            self._recent.popleft()
        accepted = len(self._recent) < self.limit
        if accepted:
            self._recent.append(now)
        self.arrivals.append((spurt, now, accepted))
        for phase in range(PHASES):
            self._fixed[phase, int(now / self.period + phase / PHASES)] += 1
        return self.limit - len(self._recent) if accepted else -1

    def use(self) -> float:
        """Accepted requests over what the limit allowed while there was work; at most 1."""
        return mean(self._use(spurt) for spurt in {spurt for spurt, _, _ in self.arrivals})

    def _use(self, spurt: int) -> float:
        """The least time for some whole windows over the time they took, on the average.

        Each request is compared with that some windows later, so that neither the first burst
        nor the delay of the last request decides.
        """
        came = [(at, accepted) for number, at, accepted in self.arrivals if number == spurt]
        taken = [at for at, accepted in came if accepted]
        whole = len(taken) // self.limit - 1
        if whole < 1:  # there is nothing to compare with, as the rest was refused
            return len(taken) / len(came)
        pairs = zip(taken, taken[whole * self.limit :], strict=False)
        return mean(whole * self.period / (end - start) for start, end in pairs)

    def refused(self) -> int:
        """How many requests the sliding window refused."""
        return sum(not accepted for _, _, accepted in self.arrivals)

    def refused_by_worst_fixed(self) -> int:
        """How many the fixed windows refused whose phase suited least."""
        refusals: Counter[int] = Counter()
        for (phase, _), count in self._fixed.items():
            refusals[phase] += max(0, count - self.limit)
        return max(refusals.values())


class CountingServer:
    """An HTTP server with just enough parsing for the target of a GET without a body."""

    def __init__(self) -> None:
        self.keys: dict[str, Windows] = {}

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        # A full backlog drops the SYN, and the client waits a second before the next.
        self._server = await loop.create_server(
            lambda: _Connection(self.keys), "127.0.0.1", backlog=4096
        )
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()


class _Connection(asyncio.Protocol):
    def __init__(self, keys: dict[str, Windows]) -> None:
        self._keys = keys
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Takes a request; a small one on loopback comes in one piece."""
        target = data.split(b" ", 2)[1].decode()
        _, key, limit, period, spurt, up, down = target.split("/")
        if key not in self._keys:
            self._keys[key] = Windows(int(limit), float(period))
        self._loop.call_later(float(up), self._count, self._keys[key], int(spurt), float(down))

    def _count(self, windows: Windows, spurt: int, down: float) -> None:
        remaining = windows.count(spurt, self._loop.time())
        status = b"429 Too Many Requests" if remaining < 0 else b"200 OK"
        head = b"HTTP/1.1 %b\r\nX-RateLimit-Remaining: %d\r\nContent-Length: 0\r\n\r\n"
        self._loop.call_later(down, self._transport.write, head % (status, max(0, remaining)))


class RawClient:
    """A pool of keep-alive connections: the least that a request can cost."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).hostname, urlsplit(url).port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def get(self, target: str) -> tuple[int, int]:
        """The status and what remains of the limit."""
        connection = self._free.pop() if self._free else await self._connect()
        reader, writer = connection
        writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        status, remaining, *_ = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        self._free.append(connection)
        return int(status.split()[1]), int(remaining.split()[1])

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self._address)

    def close(self) -> None:
        """Closes the connections; none may be in use."""
        for _, writer in self._free:
            writer.close()


@contextmanager
def in_process(
    make: Callable[[], AbstractAsyncContextManager[Any]],
    report: Callable[[Any], Any],
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Runs the server that `make` makes in another process.

    Gives its `url`, and a function that fetches what `report` says of the server.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, its = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(make, report, its), daemon=True)
    process.start()
    its.close()

    def fetch() -> Any:
        ours.send(True)
        return ours.recv()

    try:
        yield ours.recv(), fetch
    finally:
        ours.close()
        process.join()


def _serve(
    make: Callable[[], AbstractAsyncContextManager[Any]],
    report: Callable[[Any], Any],
    pipe: Connection,
) -> None:
    async def serve() -> None:
        async with make() as server:
            pipe.send(server.url)
            with suppress(EOFError):
                while await asyncio.to_thread(pipe.recv):
                    pipe.send(report(server))

    asyncio.run(serve())
