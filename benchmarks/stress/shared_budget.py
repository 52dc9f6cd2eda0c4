"""Four processes of 50 tasks share one budget through Redis, while things go wrong.

Their clocks are a second apart; one is killed, the scripts are flushed, Redis is stopped and
started without its data. A server of its own counts what arrives. The run fails if a window was
overdrawn, a task got stuck, or less than 97 % of the budget was used outside the faults.

    python benchmarks/stress/shared_budget.py [--short]
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from redis.asyncio import Redis

from lcphone_async import BudgetUnavailableError
from lcphone_async.redis import RedisRateLimiter

sys.path.append(str(Path(__file__).parents[2] / "tests"))
from support.redis_server import RedisServer

PROCESSES, TASKS, LIMIT = 4, 50, 100
LEAST_USE = 0.97


def serve(ports: "multiprocessing.Queue[int]") -> None:
    """A server that notes when each request arrives and whose it is, and answers a little later."""
    arrivals: list[tuple[float, str]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):  # of the one that is killed
            await answer_all(reader, writer)
        writer.close()

    async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := (await reader.readline()).decode().strip():
            if request == "arrivals":
                writer.write(json.dumps(arrivals).encode() + b"\n")
            else:
                arrivals.append((time.monotonic(), request))
                await asyncio.sleep(random.expovariate(1 / 0.01))
                writer.write(b"\n")

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def work(process: int, redis_port: int, server_port: int, period: float) -> None:
    """One process: its tasks send requests for as long as it lives."""
    real_time = time.time
    time.time = lambda: real_time() + process  # the clocks of the machines differ

    async def task(limiter: RedisRateLimiter, name: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server_port)
        while True:
            try:
                async with limiter.slot("location"):
                    writer.write(f"{name}\n".encode())
                    await reader.readline()
            except BudgetUnavailableError:
                await asyncio.sleep(0.05)

    async def main() -> None:
        limiter = RedisRateLimiter(Redis(port=redis_port), LIMIT, period)
        await asyncio.gather(*(task(limiter, f"{process}-{number}") for number in range(TASKS)))

    asyncio.run(main())


@contextmanager
def running(target: object, *arguments: object) -> Iterator[multiprocessing.Process]:
    """A process, killed at the end."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


async def arrivals_at(port: int) -> list[tuple[float, str]]:
    """What the server has noted so far."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**26)
    writer.write(b"arrivals\n")
    answer = await reader.readline()
    writer.close()
    return [(moment, name) for moment, name in json.loads(answer)]


class Faults:
    """What goes wrong and when; `clean` are the stretches of time between."""

    def __init__(self, redis: RedisServer, victim: multiprocessing.Process, period: float) -> None:
        self.redis, self.victim, self.period = redis, victim, period
        self.clean: list[tuple[float, float]] = []

    async def run(self, periods: int) -> None:
        """Every fault in turn, with a clean stretch before, between and after them."""
        await self.wait_cleanly(periods, settle=1)
        self.victim.kill()
        await self.wait_cleanly(periods, settle=3)  # a dead process' slots are free after two
        async with Redis(port=self.redis.port) as client:
            await client.script_flush()
        await self.wait_cleanly(periods, settle=1)
        self.redis.stop()
        await asyncio.sleep(1)
        self.redis.start()
        await asyncio.sleep(1)  # for as long it is left alone
        await self.wait_cleanly(periods, settle=3)

    async def wait_cleanly(self, periods: int, settle: int) -> None:
        """Lets some periods pass, and then some in which nothing is wrong."""
        await asyncio.sleep(settle * self.period)
        start = time.monotonic()
        await asyncio.sleep(periods * self.period)
        self.clean.append((start, time.monotonic()))


def fullest_window(moments: list[float], period: float) -> int:
    """The most requests that any window of a period held."""
    return max(bisect_left(moments, t + period) - i for i, t in enumerate(moments))


def use(moments: list[float], stretch: tuple[float, float], period: float) -> float:
    """How full the window was, on average over a stretch of time."""
    start, end = stretch
    steps = [start + (end - start) * step / 1000 for step in range(1000)]
    fill = [bisect_right(moments, t) - bisect_right(moments, t - period) for t in steps]
    return sum(fill) / len(fill) / LIMIT


async def run(period: float, periods: int, *, short: bool) -> int:
    """The whole story, with so many clean periods after each fault."""
    redis = RedisServer()
    redis.start()
    ports: multiprocessing.Queue[int] = multiprocessing.get_context("spawn").Queue()
    with running(serve, ports):
        port = ports.get(timeout=60)
        workers = [running(work, number, redis.port, port, period) for number in range(PROCESSES)]
        processes = [worker.__enter__() for worker in workers]
        try:
            while len({name.split("-")[0] for _, name in await arrivals_at(port)}) < PROCESSES:
                await asyncio.sleep(0.1)
            faults = Faults(redis, processes[-1], period)
            await faults.run(periods)
            arrivals = await arrivals_at(port)
        finally:
            for worker in workers:
                worker.__exit__(None, None, None)
            redis.stop()
    return report(arrivals, faults.clean, period, short=short)


def report(
    arrivals: list[tuple[float, str]],
    clean: list[tuple[float, float]],
    period: float,
    *,
    short: bool,
) -> int:
    """Prints the figures; 1 if a promise was broken."""
    moments = sorted(moment for moment, _ in arrivals)
    fullest = fullest_window(moments, period)
    uses = [use(moments, stretch, period) for stretch in clean]
    last_stretch = {name for moment, name in arrivals if moment > clean[-1][0]}
    stuck = (PROCESSES - 1) * TASKS - len(last_stretch)
    print(f"{PROCESSES} processes of {TASKS} tasks, {LIMIT} requests in {period:g} s")
    print(f"requests                        {len(arrivals)}")
    print(f"fullest window                  {fullest} of {LIMIT}")
    for name, share in zip(("at first", "one killed", "flushed", "restarted"), uses, strict=True):
        print(f"use of the budget, {name:<12} {share:.1%}")
    print(f"tasks stuck at the end          {stuck}")
    if short:  # on a busy machine the clock decides over the others
        return int(fullest > LIMIT)
    return int(fullest > LIMIT or stuck > 0 or min(uses) < LEAST_USE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="only see that it runs")
    short = parser.parse_args().short
    if RedisServer.program is None:
        sys.exit("redis-server is not installed")
    period, periods = (1, 3) if short else (2, 6)
    sys.exit(asyncio.run(run(period, periods, short=short)))
