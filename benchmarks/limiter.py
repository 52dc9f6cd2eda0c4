"""Does a limiter keep to the limit, and does it use it? Ours and its peers on real servers.

    python benchmarks/limiter.py [--short]      # with the extra `bench`

1. For each limiter and arrival pattern, as a server in another process counts them: requests
   above the limit (429s), the share of the budget that was used while there was work, and calls
   that a later one overtook. Also what an acquire costs where there is room.
2. `LCPhoneClient` against the sandbox, while another program spends half of the same budget.

The usual latency is 0.5 % of the period: 50 ms of the service's 10 s. It decides what ours can use,
period / (period + mean latency), as a slot stays taken for a period after the answer. Exits with 1
if our limiter breaks a promise of its own; a short run does not judge shares.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import operator
import random
import statistics
import sys
from collections.abc import Iterator
from functools import partial
from time import perf_counter
from typing import NamedTuple
from urllib.parse import quote

from _limiters import LIMIT, LIMITERS, OURS, PACKAGES, Call, Make, Send
from _report import percent, print_table, print_versions
from _second_client import shared_budget
from _server import CountingServer, RawClient, Windows, in_process

LATENCY = 0.005
"""Of the usual request, on the average, as a share of the period."""


class Pattern(NamedTuple):
    """How work arrives; delays are shares of the period."""

    tasks: int = 600
    spurts: int = 1
    cold: float = 0.0
    """How much later the first hundred requests reach the server."""
    tail: float = 0.0
    """How much longer one request in a hundred takes."""

    def delays(self, dice: random.Random, number: int) -> tuple[float, float]:
        """How long a request is on its way to the server, and its answer on the way back."""
        latency = dice.uniform(0.4, 1.6) * LATENCY + self.tail * (not dice.randrange(100))
        up = latency * dice.random()
        return up + self.cold * dice.uniform(0.5, 1) * (number < LIMIT), latency - up


PATTERNS = {
    "cold start": Pattern(cold=0.05),
    "long tails": Pattern(tasks=50, tail=0.2),
    "idle gaps": Pattern(spurts=2),
    "bursts": Pattern(),
    "steady": Pattern(tasks=20),
}


Case = tuple[str, str]
"""A limiter and a pattern."""


class Part(NamedTuple):
    """A part of the run; the cases of one group run at the same time."""

    period: float
    requests: int
    groups: list[list[Case]]
    least_use: float
    """Of the budget, that ours must reach."""


ONE_BY_ONE = [[(limiter, name) for name in PATTERNS] for limiter in LIMITERS]
AT_ONCE = list(itertools.chain(*ONE_BY_ONE))
# Side by side at 10 s, a peer's hundreds of waiters that all wake at once would delay ours.
OURS_AND_STEADY = [case for case in AT_ONCE if case[0] in OURS or case[1] == "steady"]
FULL = [
    Part(1.0, 600, ONE_BY_ONE, least_use=0.98),
    Part(2.0, 400, ONE_BY_ONE, least_use=0.98),
    Part(10.0, 400, [OURS_AND_STEADY], least_use=0.99),
]
SHORT = [Part(1.0, 200, [AT_ONCE], least_use=0.0)]


class Outcome(NamedTuple):
    """What came of one limiter under one pattern."""

    windows: Windows
    overtaken: int


async def work(call: Call, pattern: Pattern, part: Part, client: RawClient, target: str) -> int:
    """Does a spurt of work through a limiter; gives how many calls a later one overtook."""
    dice, total = random.Random(0), part.requests // pattern.spurts
    delays = [pattern.delays(dice, number) for number in range(total)]
    numbers, sent = iter(range(total)), []

    async def send(number: int) -> tuple[int, int]:
        sent.append(number)
        up, down = (share * part.period for share in delays[number])
        return await client.get(f"{target}/{up:.6f}/{down:.6f}")

    async def task() -> None:
        for number in numbers:
            await call(partial(send, number))

    await asyncio.gather(*(task() for _ in range(min(pattern.tasks, total))))
    return sum(map(operator.lt, sent, itertools.accumulate(sent, max)))


async def play(case: Case, part: Part, client: RawClient) -> int:
    """Plays a pattern to a new limiter; gives how many calls a later one overtook."""
    limiter, name = case
    call, pattern, overtaken = LIMITERS[limiter](part.period), PATTERNS[name], 0
    for spurt in range(pattern.spurts):
        if spurt:
            await asyncio.sleep(part.period * random.uniform(1, 1.5))
        target = f"/{key(case)}/{LIMIT}/{part.period}/{spurt}"
        overtaken += await work(call, pattern, part, client, target)
    return overtaken


async def play_all(part: Part, url: str) -> dict[Case, int]:
    """Plays all cases, group by group; gives how many calls were overtaken."""
    client, overtaken = RawClient(url), {}
    for group in part.groups:
        plays = {}
        for case in group:
            plays[case] = asyncio.create_task(play(case, part, client))
            await asyncio.sleep(0.15)  # each begins with a hundred requests
        overtaken |= {case: await playing for case, playing in plays.items()}
    client.close()
    return overtaken


def key(case: Case) -> str:
    """The server's name for a case."""
    return quote(" under ".join(case))


def run(part: Part) -> dict[Case, Outcome]:
    """What came of each case, by the server's own count."""
    with in_process(CountingServer, operator.attrgetter("keys")) as (url, report):
        overtaken = asyncio.run(play_all(part, url))
        windows = report()
    return {case: Outcome(windows[key(case)], count) for case, count in overtaken.items()}


def show(part: Part, outcomes: dict[Case, Outcome]) -> None:
    """Prints a row for each limiter."""
    rows = []
    for limiter in LIMITERS:
        row = {name: outcomes[limiter, name] for name in PATTERNS if (limiter, name) in outcomes}
        worst_fixed = sum(outcome.windows.refused_by_worst_fixed() for outcome in row.values())
        overtaken = sum(outcome.overtaken for outcome in row.values())
        cells = [
            f"{row[name].windows.refused():>3} {percent(row[name].windows.use()):>7}"
            if name in row
            else "-"
            for name in PATTERNS
        ]
        rows.append([limiter, *cells, str(worst_fixed), str(overtaken)])
    latency = f"latency {1000 * part.period * LATENCY:g} ms"
    title = f"100 per {part.period:g} s, {latency}, {part.requests} requests: 429s and use"
    print_table(title, ["", *PATTERNS, "429s, fixed windows", "overtaken"], rows)


def broken(part: Part, outcomes: dict[Case, Outcome]) -> Iterator[str]:
    """The promises that our limiter broke."""
    for case, outcome in outcomes.items():
        where = f"{' under '.join(case)}, 100 per {part.period:g} s"
        refused = max(outcome.windows.refused(), outcome.windows.refused_by_worst_fixed())
        if case[0] not in OURS:
            continue
        if refused:
            yield f"{where}: {refused} requests above the limit"
        if outcome.overtaken:
            yield f"{where}: {outcome.overtaken} calls were overtaken by a later one"
        if outcome.windows.use() < part.least_use:
            yield f"{where}: {percent(outcome.windows.use())} of the budget was used"


async def acquire_costs(batches: int) -> dict[str, float]:
    """Seconds for one acquire and release with room; the median of batches of 100."""

    async def send() -> tuple[int, int]:
        return 200, LIMIT

    async def nothing(send: Send) -> None:
        await send()

    async def cost(make: Make) -> float:
        times = []
        for _ in range(batches):
            call = make(10.0)
            start = perf_counter()
            for _ in range(LIMIT):
                await call(send)
            times.append((perf_counter() - start) / LIMIT)
        return statistics.median(times)

    bare = await cost(lambda _: nothing)
    return {limiter: await cost(make) - bare for limiter, make in LIMITERS.items()}


def show_costs(costs: dict[str, float]) -> None:
    """Prints what an acquire costs, and against ours."""
    least = costs["lcphone_async"]
    rows = [[name, f"{1e6 * cost:.1f} µs", f"{cost / least:.1f}"] for name, cost in costs.items()]
    print_table("One acquire and release with room", ["", "cost", "against ours"], rows)


def main() -> int:
    """Runs all parts; gives the exit code."""
    parser = argparse.ArgumentParser(description="Our limiter and its peers on real servers.")
    parser.add_argument("--short", action="store_true", help="about 10 s, to see that it runs")
    short = parser.parse_args().short
    print_versions("lcphone-async", "aiohttp", *PACKAGES)
    show_costs(asyncio.run(acquire_costs(batches=10 if short else 200)))
    faults = []
    for part in SHORT if short else FULL:
        outcomes = run(part)
        show(part, outcomes)
        faults += broken(part, outcomes)
    faults += shared_budget(*((0.5, 6, 1.0) if short else (2.0, 14, 0.01)))
    print("", *(f"BROKEN: {fault}" for fault in faults or ["nothing"]), sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
